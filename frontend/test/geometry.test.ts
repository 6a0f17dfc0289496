import {describe, expect, it} from 'vitest';

import {colourVertices, decode} from '../src/buildings/geometry';

const identity = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 100, 1];
const primitive = {
  attributes: {
    POSITION: {value: [0, 0, 5, 1, 0, 9, 0, 1, 5, 4, 4, -3, 5, 4, 7, 4, 5, -3]},
    NORMAL: {value: [0, 0, 2, 0, 0, 2, 0, 0, 2, 3, 0, 0, 3, 0, 0, 3, 0, 0]},
    _FEATURE_ID_0: {value: [0, 0, 0, 1, 1, 1]}, _SURFACE: {value: [1, 1, 1, 0, 0, 0]}
  },
  indices: {value: Uint16Array.of(0, 1, 2, 3, 4, 5)}
};

describe('geometry', () => {
  const mesh = decode(primitive, identity, 37, [40, 7]);

  it('sets every building on the plane', () => {
    expect([2, 5, 8].map((i) => mesh.positions[i])).toEqual([0, 4, 0]);
    expect([11, 14, 17].map((i) => mesh.positions[i])).toEqual([0, 10, 0]);
  });

  it('knows rows and unit normals', () => {
    expect([...mesh.rows]).toEqual([40, 40, 40, 7, 7, 7]);
    expect([...mesh.normals.slice(0, 3)]).toEqual([0, 0, 1]);
    expect([...mesh.normals.slice(9, 12)]).toEqual([1, 0, 0]);
  });

  it('colours by row, the selected one apart, walls darker', () => {
    const rgb = new Uint8Array(41 * 3).fill(100);
    const out = colourVertices(mesh, rgb, 40);
    expect([...out.slice(0, 4)]).toEqual([0, 70, 255, 255]);
    expect([...out.slice(12, 16)]).toEqual([86, 86, 86, 255]);
  });
});
