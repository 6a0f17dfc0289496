import {describe, expect, it} from 'vitest';

import {BUILDING, classify, classOf, GHOST, NO_DATA, paint, passes} from '../src/legend';
import type {Attribute, Rgb} from '../src/manifest';

const colour = (n: number): Rgb => [n, n, n];
const depth: Attribute = {
  id: 'd', title: {ja: '深さ'}, type: 'number', dtype: 'float32', nodata: 'NaN', url: '',
  legend: [{min: 0, max: 0.5, label: {ja: 'a'}, colour: colour(1)}, {min: 0.5, max: 3, label: {ja: 'b'}, colour: colour(2)}, {min: 3, label: {ja: 'c'}, colour: colour(3)}]
};
const usage: Attribute = {
  id: 'u', title: {ja: '用途'}, type: 'category', dtype: 'uint8', nodata: 255, url: '',
  legend: [{value: 0, code: '411', label: {ja: '住宅'}, colour: colour(10)}, {value: 1, code: '402', label: {ja: '店'}, colour: colour(20)}]
};

describe('legend', () => {
  it('puts a boundary into the upper class', () => {
    expect([0, 0.4999, 0.5, 2.9999, 3, 99].map((v) => classOf(depth, v))).toEqual([0, 0, 1, 1, 2, 2]);
  });

  it('never takes missing for a class', () => {
    expect(classOf(depth, NaN)).toBe(-1);
    expect(classOf(usage, 255)).toBe(-1);
    expect([...classify(depth, Float32Array.of(NaN, 0))]).toEqual([3, 0]);
    expect([...classify(usage, Uint8Array.of(255, 1, 7))]).toEqual([2, 1, 2]);
  });

  it('lets missing pass no range', () => {
    expect(passes(depth, {id: 'd', min: 0}, NaN)).toBe(false);
    expect(passes(depth, {id: 'd', max: 99}, NaN)).toBe(false);
    expect(passes(depth, {id: 'd', in: ['nodata']}, NaN)).toBe(true);
    expect(passes(usage, {id: 'u', in: ['411']}, 0)).toBe(true);
    expect(passes(usage, {id: 'u', in: [1]}, 0)).toBe(false);
  });

  it('paints rows by class, and ghosts those that do not match', () => {
    const column = Float32Array.of(0.2, 0.5, NaN, 5);
    const {rgb, shown, matching} = paint(4, depth, column, [{rule: {id: 'd', min: 0.5}, attribute: depth, column}]);
    expect([...shown]).toEqual([0, 1, 0, 1]);
    expect(matching).toBe(2);
    expect([...rgb]).toEqual([...GHOST, 2, 2, 2, ...GHOST, 3, 3, 3]);
    expect([...paint(4, depth, column, []).rgb.slice(6, 9)]).toEqual(NO_DATA);
    expect([...paint(1, undefined, undefined, []).rgb]).toEqual(BUILDING);
  });
});
