import {describe, expect, it} from 'vitest';

import {readDots} from '../src/buildings/dots';

describe('dots', () => {
  const bytes = Uint16Array.of(0, 65535, 120, 55, 65535, 0, 0, 0).buffer;
  const described = {url: '', bbox: [139, 36, 140, 37] as [number, number, number, number], base_m: 80};

  it('stand on the relief', () => {
    const {positions, radii} = readDots(bytes, described, 70);
    expect([...positions]).toEqual([139, 37, 26, 140, 36, 14]);
    expect([...radii]).toEqual([5.5, 0]);
  });

  it('lie on a flat map', () => {
    expect(readDots(bytes, described, null).positions[2]).toBe(0);
  });
});
