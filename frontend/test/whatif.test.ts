import {describe, expect, it} from 'vitest';

import type {Attribute} from '../src/manifest';
import {canRise, lowestDryFloor, raised} from '../src/whatif';

const attribute = (quantity: string): Attribute => ({id: `${quantity}:s`, group: 'exposure', quantity} as never);
const depth = Float32Array.of(0.4, 2.9, 0, NaN, 9.5, 2.9);
const storeys = Float32Array.of(2, 2, 2, 2, 6, NaN);
const height = Float32Array.of(7, 7, 7, 7, 12, 7);

describe('higher water', () => {
  it('puts a bound into the upper class', () => {
    expect([0.49, 0.5, 2.99, 3, 5, 10, 12].map(lowestDryFloor)).toEqual([1, 2, 2, 3, 5, 5, 6]);
  });

  it('deepens where there is water and leaves the rest', () => {
    const after = raised(attribute('depth'), depth, 1, undefined, undefined, undefined);
    expect(Array.from(after, (v) => Math.round(v * 10) / 10)).toEqual([1.4, 3.9, 0, NaN, 10.5, 3.9]);
  });

  it('turns staying into leaving, and into unknown where storeys are missing; never the other way', () => {
    const verdict = Uint8Array.of(1, 1, 2, 255, 1, 1); // 1 stay, 2 outside, 255 unknown
    expect(Array.from(raised(attribute('verdict'), verdict, 1, depth, storeys, height))).toEqual([1, 0, 2, 255, 0, 255]);
    expect(Array.from(raised(attribute('verdict'), Uint8Array.of(0, 0, 0, 0, 0, 0), 1, depth, storeys, height))).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('says no dry floor where none is left or none is known', () => {
    const floor = Uint8Array.of(1, 2, 255, 255, 5, 2);
    expect(Array.from(raised(attribute('dry_floor'), floor, 1, depth, storeys, height))).toEqual([2, 255, 255, 255, 255, 255]);
  });

  it('is offered only where it can answer', () => {
    expect(canRise(attribute('verdict'))).toBe(true);
    expect(canRise({id: 'usage'} as never)).toBe(false);
    expect(canRise(undefined)).toBe(false);
  });
});
