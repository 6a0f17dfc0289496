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
  const floor = new Map<number, number>();
  const m = matrix;
  for (let i = 0; i < n; i++) {
    const x = p[3 * i], y = p[3 * i + 1], z = p[3 * i + 2];
    positions[3 * i] = m[0] * x + m[4] * y + m[8] * z + m[12];
    positions[3 * i + 1] = m[1] * x + m[5] * y + m[9] * z + m[13];
    const h = m[2] * x + m[6] * y + m[10] * z + m[14] + originHeight;
    positions[3 * i + 2] = h;
    const row = rowOf[ids[i]] ?? 0;
    rows[i] = row;
    const low = floor.get(row);
    if (low === undefined || h < low) floor.set(row, h);
    if (NORMAL) {
      const a = NORMAL.value[3 * i], b = NORMAL.value[3 * i + 1], c = NORMAL.value[3 * i + 2];
      const u = m[0] * a + m[4] * b + m[8] * c, v = m[1] * a + m[5] * b + m[9] * c, w = m[2] * a + m[6] * b + m[10] * c;
      const length = Math.hypot(u, v, w) || 1;
      normals.set([u / length, v / length, w / length], 3 * i);
    }
  }
  for (let i = 0; i < n; i++) positions[3 * i + 2] -= floor.get(rows[i]) as number;
  return {
    positions, normals, rows, surfaces: _SURFACE ? Uint8Array.from(_SURFACE.value as ArrayLike<number>) : null,
    indices: primitive.indices.value
  };
}

/** Vertex colours out of the colours by row: roofs as they are, walls a little darker. */
export function colourVertices(mesh: TileMesh, rgb: Uint8Array, selected: number): Uint8Array {
  const out = new Uint8Array(mesh.rows.length * 4);
  for (let i = 0; i < mesh.rows.length; i++) {
    const row = mesh.rows[i];
    const shade = mesh.surfaces && mesh.surfaces[i] === 0 ? 0.86 : 1;
    if (row === selected) out.set([0 * shade, 70 * shade, 255 * shade, 255], i * 4);
    else out.set([rgb[row * 3] * shade, rgb[row * 3 + 1] * shade, rgb[row * 3 + 2] * shade, 255], i * 4);
  }
  return out;
}
