import {describe, expect, it} from 'vitest';

import {colourVertices, decode, shade} from '../src/buildings/geometry';

const identity = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 100, 1];
const accessor = (value: number[], stride: number) => ({value, stride, count: value.length / stride});
const glb = {
  attributes: {
    POSITION: accessor([0, 0, 5, 1, 0, 9, 0, 1, 5, 4, 4, -3, 5, 4, 7, 4, 5, -3], 3),
    NORMAL: accessor([0, 0, 2, 0, 0, 2, 0, 0, 2, 3, 0, 0, 3, 0, 0, 3, 0, 0], 3),
    _FEATURE_ID_0: accessor([0, 0, 0, 1, 1, 1], 1)
  },
  indices: Uint16Array.of(0, 1, 2, 3, 4, 5), matrix: [], rows: Uint32Array.of(40, 7)
};

describe('geometry', () => {
  const mesh = decode(glb, identity, 37, null);

  it('sets every building on the plane', () => {
    expect([2, 5, 8].map((i) => mesh.positions[i])).toEqual([0, 4, 0]);
    expect([11, 14, 17].map((i) => mesh.positions[i])).toEqual([0, 10, 0]);
  });

  it('sets every building on the relief, its walls well into the ground', () => {
    const relief = decode(glb, identity, 37, 120);
    // 100 + 37 + 5 − 120 = 22 is the first building's ground, 14 the second's
    expect([2, 5, 8].map((i) => relief.positions[i])).toEqual([20.5, 26, 20.5]);
    expect([11, 14, 17].map((i) => relief.positions[i])).toEqual([12.5, 24, 12.5]);
  });

  it('knows rows, and shades walls darker than roofs', () => {
    expect([...mesh.rows]).toEqual([40, 40, 40, 7, 7, 7]);
    expect(mesh.shades[0]).toBe(255);
    expect(mesh.shades[3]).toBeLessThan(200);
    expect(shade(0, -1, 0)).toBeGreaterThan(shade(0, 1, 0));
    expect(shade(0, 0, -1)).toBeLessThan(shade(1, 0, 0));
  });

  it('colours by row, the selected one apart, walls darker', () => {
    const rgb = new Uint8Array(41 * 3).fill(100);
    const hatched = new Uint8Array(41).fill(1);
    const out = colourVertices(mesh, rgb, hatched, 40);
    expect([...out.slice(0, 4)]).toEqual([0, 70, 255, 255]);
    const wall = Math.floor((100 * shade(1, 0, 0)) / 255);
    expect([...out.slice(12, 16)]).toEqual([wall, wall, wall, 0]);
    expect(colourVertices(mesh, rgb, null, 40)[15]).toBe(255);
  });
});
