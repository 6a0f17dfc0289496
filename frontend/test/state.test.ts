import {describe, expect, it} from 'vitest';

import {fromHash, initial, readRules, toHash} from '../src/state';

describe('state in the URL', () => {
  it('comes back as it went', () => {
    const state = {
      ...initial('ja'), view: {lon: 139.88, lat: 36.55, zoom: 15.5, pitch: 50, bearing: -18}, mode: '2d' as const,
      colourBy: 'risk:river_flood:みどり川:L2:depth', rules: [{id: 'storeys_above', max: 2}, {id: 'usage', in: [3, 'nodata']}],
      selected: 'bldg_1', off: ['road', 'label'], opacity: 0.5, lang: 'en' as const, gsi: true
    };
    expect(fromHash('#' + toHash(state), 'ja')).toEqual(state);
  });

  it('says no colouring explicitly', () => {
    expect(toHash(initial('ja'))).toBe('c=none');
    expect(fromHash('#c=none', 'ja').colourBy).toBeNull();
  });

  it('leaves hostile input at the defaults', () => {
    const s = fromHash('#v=x/1/2&m=4d&f=%7B%22a%22%3A1%7D&off=../etc.<b>&o=99&l=xx', 'ja');
    expect(s.view).toBeNull();
    expect(s.mode).toBe('3d');
    expect(s.rules).toEqual([]);
    expect(s.off).toEqual([]);
    expect(s.opacity).toBe(1);
    expect(s.lang).toBe('ja');
    expect(fromHash('#v=15/95/200', 'ja').view).toBeNull();
  });

  it('keeps only rules of the right shape', () => {
    expect(readRules([{id: 'a'}, {id: 1, in: [1]}, {id: 'b', in: [1, {}, 'x']}, {id: 'c', min: 1, max: 'z'}, null])).toEqual([
      {id: 'b', in: [1, 'x']}, {id: 'c', min: 1}
    ]);
    expect(readRules('not json')).toEqual([]);
  });
});
