/** Decoding of one 3D Tile: positions in metres over its origin, every building standing on the plane 0. */

export type TileMesh = {
  positions: Float32Array; normals: Float32Array; rows: Uint32Array; surfaces: Uint8Array | null;
  indices: Uint16Array | Uint32Array;
};
type Accessor = {value: ArrayLike<number>; normalized?: boolean};
type Primitive = {attributes: Record<string, Accessor>; indices: {value: Uint16Array | Uint32Array}};

/**
 * @param matrix node matrix times the tile's model matrix (column major, 4 × 4)
 * @param originHeight height of the frame's origin, added to every z
 * @param rowOf feature id → building row
 */
export function decode(
  primitive: Primitive, matrix: ArrayLike<number>, originHeight: number, rowOf: ArrayLike<number>
): TileMesh {
  const {POSITION, NORMAL, _FEATURE_ID_0, _BATCHID, _SURFACE} = primitive.attributes;
  const p = POSITION.value;
  const ids = (_FEATURE_ID_0 ?? _BATCHID).value;
  const n = p.length / 3;
  const positions = new Float32Array(n * 3);
  const normals = new Float32Array(n * 3);
  const rows = new Uint32Array(n);
  const m = matrix;
  const floor = new Float32Array(rowOf.length).fill(Infinity); // lowest vertex by feature
  for (let i = 0, k = 0; i < n; i++, k += 3) {
    const x = p[k], y = p[k + 1], z = p[k + 2];
    positions[k] = m[0] * x + m[4] * y + m[8] * z + m[12];
    positions[k + 1] = m[1] * x + m[5] * y + m[9] * z + m[13];
    const h = m[2] * x + m[6] * y + m[10] * z + m[14] + originHeight;
    positions[k + 2] = h;
    const id = ids[i];
    rows[i] = rowOf[id];
    if (h < floor[id]) floor[id] = h;
    if (NORMAL) {
      const v = NORMAL.value;
      const a = v[k], b = v[k + 1], c = v[k + 2];
      const e = m[0] * a + m[4] * b + m[8] * c, f = m[1] * a + m[5] * b + m[9] * c, g = m[2] * a + m[6] * b + m[10] * c;
      const length = Math.sqrt(e * e + f * f + g * g) || 1;
      normals[k] = e / length;
      normals[k + 1] = f / length;
      normals[k + 2] = g / length;
    }
  }
  for (let i = 0; i < n; i++) positions[3 * i + 2] -= floor[ids[i]];
  return {
    positions, normals, rows, surfaces: _SURFACE ? Uint8Array.from(_SURFACE.value as ArrayLike<number>) : null,
    indices: primitive.indices.value
  };
}

/** Vertex colours out of the colours by row: roofs as they are, walls a little darker. */
export function colourVertices(mesh: TileMesh, rgb: Uint8Array, selected: number): Uint8Array {
  const out = new Uint8Array(mesh.rows.length * 4);
  for (let i = 0, k = 0; i < mesh.rows.length; i++, k += 4) {
    const row = mesh.rows[i];
    const shade = mesh.surfaces && mesh.surfaces[i] === 0 ? 0.86 : 1;
    if (row === selected) {
      out[k] = 0;
      out[k + 1] = 70 * shade;
      out[k + 2] = 255 * shade;
    } else {
      out[k] = rgb[row * 3] * shade;
      out[k + 1] = rgb[row * 3 + 1] * shade;
      out[k + 2] = rgb[row * 3 + 2] * shade;
    }
    out[k + 3] = 255;
  }
  return out;
}
