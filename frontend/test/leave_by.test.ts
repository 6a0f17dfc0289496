import {describe, expect, it} from 'vitest';

import {clockWords, insteadWords, limits, noWalking} from '../residents/leave_by';
import type {Place} from '../residents/record';
import {Live, type Status} from '../residents/status';

const AS_OF = '2026-11-21T05:00:00Z'; // 14:00 in Japan
const about = {release: 'r1', scenario: '決壊', start: '2026-11-21T13:00:00+09:00', margin_min: 10, drill: false};
const row = (at: string | null, state = 'by') => ({mobility: 'adult', state, at, by: at?.slice(11, 16) ?? null, shelter_id: 's'});
const place = (...mobility: unknown[]): Place => ({district: {id: 'd1', name: ''}, leave_by: {...about, mobility},
  instead: {action: 'upstairs', floor: 3, name: null, away_m: null}}) as unknown as Place;

function live(over: Partial<Status> = {}, order: object = {}): {live: Live; later: (ms: number) => void} {
  let now = 0;
  const made = new Live(new URL('http://x/status.json'), () => now);
  made.hear({order: {mode: 'normal', level: null, districts: [], ...order}, openings: {}, closures: [], as_of: AS_OF, max_age_s: 900, leave_by: about, ...over} as never, 0);
  return {live: made, later: (ms) => (now = ms)};
}

describe('退避期限', () => {
  const soon = place(row('2026-11-21T14:10:00+09:00'));
  it('is told until it passes by the clock of the server, then an action stands instead of a way', () => {
    const {live: heard, later} = live();
    expect(limits(soon, heard)[0].state).toBe('by');
    expect(noWalking(soon, heard)).toBe(false);
    later(600_000);
    expect(limits(soon, heard)[0].state).toBe('passed');
    expect(noWalking(soon, heard)).toBe(true);
    expect(insteadWords(soon.instead)).toBe('act_upstairs');
  });
  it('is not told when another release holds, none does, or nobody knows', () => {
    expect(limits(soon, live({leave_by: {...about, release: 'r2'}}).live)).toEqual([]);
    expect(limits(soon, live({leave_by: null}).live)).toEqual([]);
    const {live: old, later} = live();
    later(901_000);
    expect(limits(soon, old)).toEqual([]);
    expect(limits({...soon, leave_by: null} as Place, live().live)).toEqual([]);
  });
  it('names the day unless it is today', () => {
    const now = Date.parse(AS_OF);
    expect(clockWords(row('2026-11-21T14:10:00+09:00') as never, now)).toBe('14:10');
    expect(clockWords(row('2026-11-22T00:10:00+09:00') as never, now)).toBe('11/22 00:10');
    expect(clockWords(row('2026-11-22T00:10:00+09:00') as never, Date.parse('2026-11-21T15:05:00Z'))).toBe('00:10');
  });
  it('yields to an order that holds, wherever it holds, but not to a drill', () => {
    for (const level of [3, 4, 5]) expect(limits(soon, live({}, {mode: 'disaster', level, districts: [{id: 'd9', name: ''}]}).live)).toEqual([]);
    expect(limits(soon, live({}, {mode: 'drill', level: 4}).live)).toHaveLength(1);
    expect(limits(soon, live({}, {mode: 'disaster', level: null}).live)).toHaveLength(1);
  });
  it('shows no way at level 5, where it holds or may hold', () => {
    const at = (districts: object[]) => live({leave_by: null}, {mode: 'disaster', level: 5, districts}).live;
    const far = {...soon, district: null} as Place;
    expect([noWalking(soon, at([])), noWalking(soon, at([{id: 'd1', name: ''}])), noWalking(soon, at([{id: 'd2', name: ''}])), noWalking(far, at([{id: 'd2', name: ''}]))])
      .toEqual([true, true, false, true]);
    expect(noWalking(soon, live({leave_by: null}, {mode: 'drill', level: 5}).live)).toBe(false);
  });
  it('keeps the way while one class still has time, and unknown is not too late', () => {
    const both = place(row('2026-11-21T13:50:00+09:00'), row('2026-11-21T14:10:00+09:00'));
    expect(noWalking(both, live().live)).toBe(false);
    expect(noWalking(place(row(null, 'unknown')), live().live)).toBe(false);
    expect(noWalking(place(row(null, 'no_way')), live().live)).toBe(true);
  });
});
