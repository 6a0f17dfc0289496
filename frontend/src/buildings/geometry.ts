/** Decoding of one 3D Tile: positions in metres over its origin, buildings standing on the map's ground. */

import type {Glb} from './glb';

const FOOT_M = 1.5; // how far walls go into the ground: the drawn relief is coarser than the surveyed one

export type TileMesh = {
  positions: Float32Array; rows: Uint32Array; shades: Uint8Array;
  indices: Uint16Array | Uint32Array;
};

/**
 * @param matrix node matrix times the tile's model matrix (column major, 4 × 4)
 * @param originHeight height of the frame's origin, added to every z
 * @param datum ellipsoidal height of the map's plane 0 under a relief; null: a flat map, every building on plane 0
 */
export function decode(
  glb: Glb, matrix: ArrayLike<number>, originHeight: number, datum: number | null
): TileMesh {
  const {POSITION, NORMAL, _FEATURE_ID_0} = glb.attributes;
  const {value: p, stride: across, count: n} = POSITION;
  const {value: feature, stride: along} = _FEATURE_ID_0;
  const ids = new Uint16Array(n);
  const rowOf = glb.rows;
  const positions = new Float32Array(n * 3);
  const shades = new Uint8Array(n).fill(255);
  const rows = new Uint32Array(n);
  const m = matrix;
  const floor = new Float32Array(rowOf.length).fill(Infinity); // lowest vertex by feature
  for (let i = 0, k = 0; i < n; i++, k += 3) {
    const at = i * across;
    const x = p[at], y = p[at + 1], z = p[at + 2];
    positions[k] = m[0] * x + m[4] * y + m[8] * z + m[12];
    positions[k + 1] = m[1] * x + m[5] * y + m[9] * z + m[13];
    const h = m[2] * x + m[6] * y + m[10] * z + m[14] + originHeight;
    positions[k + 2] = h;
    const id = (ids[i] = feature[i * along]);
    rows[i] = rowOf[id];
    if (h < floor[id]) floor[id] = h;
    if (NORMAL) {
      const v = NORMAL.value;
      const j = i * NORMAL.stride;
      const a = v[j], b = v[j + 1], c = v[j + 2];
      const e = m[0] * a + m[4] * b + m[8] * c, f = m[1] * a + m[5] * b + m[9] * c, g = m[2] * a + m[6] * b + m[10] * c;
      const length = Math.sqrt(e * e + f * f + g * g) || 1;
      shades[i] = shade(e / length, f / length, g / length);
    }
  }
  for (let i = 0, k = 2; i < n; i++, k += 3) {
    const above = positions[k] - floor[ids[i]];
    positions[k] = datum === null ? above : floor[ids[i]] - datum + (above < 0.3 ? -FOOT_M : above);
  }
  return {positions, rows, shades, indices: glb.indices.slice()};
}

/** Brightness (255 = full) of a face by its normal (east, north, up): flat roofs full, walls darker, lit from the south-west. */
export function shade(east: number, north: number, up: number): number {
  const light = up < -0.2 ? 0.55 : 0.74 + 0.26 * up - 0.09 * (0.7 * east + 0.7 * north);
  return Math.round(255 * Math.min(1, light));
}

/** Vertex colours out of the colours by row, shaded; alpha 0 asks for hatching (no data). */
export function colourVertices(mesh: TileMesh, rgb: Uint8Array, hatched: Uint8Array | null, selected: number): Uint8Array {
  const out = new Uint8Array(mesh.rows.length * 4);
  for (let i = 0, k = 0; i < mesh.rows.length; i++, k += 4) {
    const row = mesh.rows[i];
    const light = mesh.shades[i] / 255;
    if (row === selected) {
      out[k] = 0;
      out[k + 1] = 70 * light;
      out[k + 2] = 255 * light;
    } else {
      out[k] = rgb[row * 3] * light;
      out[k + 1] = rgb[row * 3 + 1] * light;
      out[k + 2] = rgb[row * 3 + 2] * light;
    }
    out[k + 3] = hatched && hatched[row] && row !== selected ? 0 : 255;
  }
  return out;
}
