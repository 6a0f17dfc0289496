import {describe, expect, it} from 'vitest';

import {People, STATES, WaterFrames, type PeopleHead, type WaterHead} from '../src/people_playback';
import {readPacked, type Packed} from '../src/playback_file';

/** Four households on a line from west to east, 1000 s: one walks and arrives, one drives and is stranded, one stays upstairs, one never leaves. */
const file: Packed<PeopleHead> = {
  head: {bbox: [139, 36, 140, 37], duration_s: 1000, status: ['waiting', 'en_route', 'evacuated', 'stranded', 'vertical', 'stayed'], people: 10, flood_delay_s: 0},
  arrays: {
    start: new Uint32Array([0, 3, 5, 6, 7]), x: new Uint16Array([0, 32768, 65535, 0, 65535, 100, 200]), y: new Uint16Array([0, 0, 0, 0, 0, 0, 0]),
    t: new Uint16Array([6554, 13107, 26214, 13107, 32768, 65535, 65535]), size: new Uint8Array([4, 3, 2, 1]), status: new Uint8Array([2, 3, 4, 0]), car: new Uint8Array([0, 1, 0, 0])
  }
};
const counted = (p: People): Record<string, number> => Object.fromEntries(STATES.map((s, k) => [s, p.counted[k]]));

describe('people of a playback', () => {
  it('are at home, on the way and at the end as time goes on', () => {
    const p = new People(file);
    p.moveTo(0);
    expect(counted(p)).toMatchObject({waiting: 8, upstairs: 2, walking: 0});
    p.moveTo(150);
    expect(counted(p)).toMatchObject({walking: 4, waiting: 4, upstairs: 2});
    p.moveTo(300);
    expect(counted(p)).toMatchObject({walking: 4, driving: 3, waiting: 1});
    p.moveTo(1000);
    expect(counted(p)).toMatchObject({arrived: 4, stranded: 3, upstairs: 2, waiting: 1, walking: 0, driving: 0});
  });
  it('are between two vertices in proportion to time, also after going back', () => {
    const p = new People(file);
    p.moveTo(900);
    p.moveTo(150);
    expect(p.positions[0]).toBeCloseTo(139 + 0.25 - 139.5, 3);
    p.moveTo(300);
    expect(p.positions[0]).toBeCloseTo(0.25, 3);
    expect(p.positions[2]).toBeCloseTo(-0.5 + 100 / 300, 3);
  });
  it('are never lost: the counts add up to everybody at any time', () => {
    const p = new People(file);
    for (let s = 0; s <= 1000; s += 37) {
      p.moveTo(s);
      expect(p.counted.reduce((a, b) => a + b, 0)).toBe(10);
    }
  });
});

describe('water of a playback', () => {
  const water: Packed<WaterHead> = {
    head: {corners: [], rows: 1, columns: 2, time_s: [0, 600], colours: [[1, 2, 3]]}, arrays: {class: new Uint8Array([0, 0, 1, 0])}
  };
  it('shows the last frame not after the moment, later where the flood is late', () => {
    (globalThis as {ImageData?: unknown}).ImageData ??= class { constructor(readonly data: Uint8ClampedArray) {} };
    const now = new WaterFrames(water, 0), late = new WaterFrames(water, 300);
    expect([...now.at(599)!.data]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect([...now.at(600)!.data].slice(0, 3)).toEqual([1, 2, 3]);
    expect(late.at(100)).toBeNull();
    expect([...late.at(899)!.data][0]).toBe(0);
  });
});

describe('a packed file', () => {
  it('is read back, and another is refused', () => {
    const head = new TextEncoder().encode(JSON.stringify({a: 1, arrays: {n: {dtype: 'u2', at: 0, length: 2}}}).padEnd(64));
    const data = new Uint8Array(8 + head.length + 4);
    data.set(new TextEncoder().encode('CMPB'));
    new DataView(data.buffer).setUint32(4, head.length, true);
    data.set(head, 8);
    new Uint16Array(data.buffer, 8 + head.length, 2).set([7, 65535]);
    expect([...readPacked<{a: number}>(data.buffer).arrays.n]).toEqual([7, 65535]);
    expect(() => readPacked(new ArrayBuffer(16))).toThrow();
  });
});
