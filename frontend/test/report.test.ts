import {readdirSync, readFileSync} from 'node:fs';

import {describe, expect, it} from 'vitest';

import easy from '../report/i18n/easy.json';
import en from '../report/i18n/en.json';
import ja from '../report/i18n/ja.json';
import {nearest, Plane} from '../light/area';
import {positionOf} from '../report/exif';
import {after, type Item, uuid} from '../report/queue';
import {firstLang} from '../report/texts';

const item = {id: 'a', at: 0, state: 'sending', photos: [{bytes: new ArrayBuffer(1), type: 'image/jpeg'}], photoCount: 1, lang: 'ja', tries: 0} as unknown as Item;

describe('the catalogue of the form', () => {
  it('has the same keys and placeholders in all three languages', () => {
    const names = (s: string): string[] => (s.match(/\{\w+\}/g) ?? []).sort();
    for (const other of [easy, en] as Record<string, string>[]) {
      expect(Object.keys(other).sort()).toEqual(Object.keys(ja).sort());
      for (const [key, text] of Object.entries(ja)) expect(names(other[key]), key).toEqual(names(text));
    }
  });

  it('has every key that the source asks for', () => {
    const text = readdirSync('report').filter((f) => f.endsWith('.ts')).map((f) => readFileSync(`report/${f}`, 'utf8')).join();
    const asked = [...text.matchAll(/\bt\('([^']+)'/g)].map((m) => m[1]);
    expect(asked.length).toBeGreaterThan(30);
    for (const key of asked) expect(ja, key).toHaveProperty([key]);
  });

  it('speaks as asked, as last time, or as the browser does', () => {
    expect(firstLang('easy', 'en', ['en'])).toBe('easy');
    expect(firstLang('xx', 'en', ['ja'])).toBe('en');
    expect(firstLang(null, null, ['ja-JP'])).toBe('ja');
    expect(firstLang(null, null, ['pt-BR'])).toBe('en');
  });
});

describe('what an answer means', () => {
  it('is accepted only when our server says so', () => {
    expect(after(item, {status: 201, body: {number: 7}})).toMatchObject({state: 'accepted', number: 7, photos: []});
    expect(after(item, {status: 200, body: {number: 7}}).state).toBe('accepted');
    // The log-in page of a Wi-Fi answers 200 too.
    expect(after(item, {status: 200, body: null})).toMatchObject({state: 'waiting', photos: item.photos});
  });

  it('keeps everything that may pass later', () => {
    for (const status of [301, 401, 403, 404, 408, 429, 500, 502, 503, 507]) {
      expect(after(item, {status, body: null})).toMatchObject({state: 'waiting', photos: item.photos});
    }
    expect(after(item, null)).toMatchObject({state: 'waiting', note: 'later', tries: 1});
  });

  it('refuses with the reason and keeps the photos for correcting', () => {
    for (const status of [413, 415, 422]) {
      expect(after(item, {status, body: {message: 'x', remedy: 'y'}})).toMatchObject({state: 'refused', reason: 'x', remedy: 'y', photos: item.photos});
    }
  });
});

describe('the plane of the map', () => {
  const data = {bbox: [139, 36, 139.1, 36.1] as [number, number, number, number], steps: 1000};
  const plane = new Plane(data);

  it('goes to metres and back', () => {
    const there = plane.degrees(plane.metres({lon: 139.03, lat: 36.07}));
    expect(there.lon).toBeCloseTo(139.03, 9);
    expect(there.lat).toBeCloseTo(36.07, 9);
    expect(plane.height).toBeCloseTo(11132, 0);
    expect(plane.width).toBeLessThan(plane.height);
  });

  it('decodes lines and finds the landmark nearby', () => {
    expect(plane.line([0, 0, 1000, 500, -500, 0])).toEqual([[0, 0], plane.step([1000, 500]), plane.step([500, 500])]);
    const area = {...data, lines: {} as never, districts: [], landmarks: [{name: 'a', at: [500, 500]}, {name: 'b', at: [510, 500]}] as never};
    expect(nearest(area, {lon: 139.0508, lat: 36.05})).toBe('b');
    expect(nearest(area, {lon: 139.09, lat: 36.09})).toBeNull();
  });
});

describe('the position in a photo', () => {
  /** A JPEG head with EXIF: 36°33′0″N 139°52′48″E. */
  const photo = (little: boolean, west = false): ArrayBuffer => {
    const view = new DataView(new ArrayBuffer(200));
    const u16 = (at: number, v: number) => view.setUint16(12 + at, v, little);
    const u32 = (at: number, v: number) => view.setUint32(12 + at, v, little);
    view.setUint16(0, 0xffd8);
    view.setUint16(2, 0xffe1);
    view.setUint16(4, 190);
    view.setUint32(6, 0x45786966);
    u16(0, little ? 0x4949 : 0x4d4d);
    if (little) view.setUint16(12, 0x4949);
    u16(2, 42);
    u32(4, 8);
    u16(8, 1);
    u16(10, 0x8825), u16(12, 4), u32(14, 1), u32(18, 30);
    u16(30, 4);
    const entry = (i: number, tag: number, type: number, count: number) => (u16(32 + i * 12, tag), u16(34 + i * 12, type), u32(36 + i * 12, count));
    entry(0, 1, 2, 2), view.setUint8(12 + 40, 'N'.charCodeAt(0));
    entry(1, 2, 5, 3), u32(32 + 12 + 8, 90);
    entry(2, 3, 2, 2), view.setUint8(12 + 32 + 24 + 8, (west ? 'W' : 'E').charCodeAt(0));
    entry(3, 4, 5, 3), u32(32 + 36 + 8, 120);
    [[36, 1], [33, 1], [0, 1]].forEach(([n, d], i) => (u32(90 + i * 8, n), u32(94 + i * 8, d)));
    [[139, 1], [52, 1], [4800, 100]].forEach(([n, d], i) => (u32(120 + i * 8, n), u32(124 + i * 8, d)));
    return view.buffer;
  };

  it('is read in both byte orders, lon and lat not swapped', () => {
    for (const little of [true, false]) {
      const at = positionOf(photo(little))!;
      expect(at.lat).toBeCloseTo(36.55, 9);
      expect(at.lon).toBeCloseTo(139.88, 9);
    }
    expect(positionOf(photo(true, true))!.lon).toBeCloseTo(-139.88, 9);
  });

  it('is null where there is none or the file is broken', () => {
    expect(positionOf(new ArrayBuffer(0))).toBeNull();
    for (let cut = 0; cut < 180; cut += 7) positionOf(photo(true).slice(0, cut));
    expect(positionOf(new Uint8Array([0x89, 0x50, 0x4e, 0x47]).buffer)).toBeNull();
  });
});

it('makes UUIDs of version 4', () => {
  const made = new Set(Array.from({length: 50}, uuid));
  expect(made.size).toBe(50);
  for (const id of made) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
