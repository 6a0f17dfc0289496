import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

import {parse} from 'smol-toml';
import {describe, expect, it, vi} from 'vitest';

import {depthWords, floorWords, ordered, spoken} from '../residents/answer';
import {ask, fromTile, type HazardSet, OutsideMap, type Place, type Shelter, type Site, tileOf, wind, within} from '../residents/record';
import {folded, Search} from '../residents/search';
import {ageOf, Live, type Status, understood} from '../residents/status';
import {NOBODY, steps} from '../residents/timeline';
import {firstLanguage, likely} from '../residents/words';

const folder = join(import.meta.dirname, '../../src/citymap/i18n/residents');
const catalogues = Object.fromEntries(readdirSync(folder).map((f) => [f.replace('.toml', ''), parse(readFileSync(join(folder, f), 'utf8')) as Record<string, string>]));
const source = readdirSync('residents').filter((f) => f.endsWith('.ts')).map((f) => readFileSync(join('residents', f), 'utf8')).join('\n');
const names = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();

describe('the words of the page', () => {
  it('are in every language, with the same gaps to fill', () => {
    expect(Object.keys(catalogues)).toEqual(expect.arrayContaining(['ja', 'easy', 'en']));
    for (const [code, words] of Object.entries(catalogues)) {
      expect(Object.keys(words).sort(), code).toEqual(Object.keys(catalogues.ja).sort());
      for (const [key, text] of Object.entries(words)) {
        expect(text.trim(), `${code} ${key}`).not.toBe('');
        expect([...new Set(names(text))], `${code} ${key}`).toEqual([...new Set(names(catalogues.ja[key]))]);
      }
    }
  });

  it('are all used, and all there', () => {
    const asked = [...source.matchAll(/\bt\('([a-z0-9_]+)'/gi)].map((m) => m[1]);
    for (const key of asked) expect(catalogues.ja, key).toHaveProperty(key);
    const made = [...source.matchAll(/`([a-z]+)_\$\{/g)].map((m) => `${m[1]}_`);
    const unused = Object.keys(catalogues.ja).filter((k) => k !== 'language' && !source.includes(`'${k}'`) && !made.some((m) => k.startsWith(m)));
    expect(unused).toEqual([]);
  });

  it('come in the language asked for, chosen last, or of the browser', () => {
    const known = ['ja', 'easy', 'en', 'pt', 'zh-Hans'];
    expect(firstLanguage(known, 'pt', 'en', ['ja'])).toBe('pt');
    expect(firstLanguage(known, '<script>', 'en', ['ja'])).toBe('en');
    expect(firstLanguage(known, null, null, ['pt-BR', 'en'])).toBe('pt');
    expect(firstLanguage(known, null, null, ['zh-CN'])).toBe('zh-Hans');
    expect(firstLanguage(known, null, null, ['tl-PH'])).toBe('en');
    expect(firstLanguage(known, null, null, ['ja-JP'])).toBe('ja');
    expect(likely('pt', 'en', ['ja'])).toBe('pt');
    expect(likely('../../x', null, ['ja-JP'])).toBe('ja');
    expect(likely(null, 'vi', ['ja'])).toBe('vi');
    expect(likely(null, null, ['zh-CN'])).toBe('en');
    expect(likely(null, null, [])).toBe('ja');
  });
});

describe('search', () => {
  const search = new Search({
    districts: [['本町一丁目', 13988000, 3655000, 'ほんちょういっちょうめ']], places: [['第一小学校', 13988100, 3655100, '', 'Daiichi School']],
    addresses: [['みどり川市本町', [['一丁目2番3号', 13988200, 3655200], ['一丁目2番30号', 13988300, 3655300]]]]
  });
  it('finds every way of typing', () => {
    expect(folded('本町一丁目２番３号')).toBe(folded('本町１－２－３'));
    for (const text of ['本町1-2-3', '本町１丁目２番３号', '本町 一丁目2の3']) expect(search.find(text).hits[0]?.label).toBe('みどり川市本町一丁目2番3号');
    expect(search.find('ホンチョウ').hits[0].kind).toBe('district');
    expect(search.find('daiichi').hits[0]).toEqual({kind: 'place', label: '第一小学校', lon: 139.881, lat: 36.551});
    expect(search.find('<img src=x onerror=alert(1)>').hits).toEqual([]);
    expect(search.find('   ').hits).toEqual([]);
  });
  it('says how many there are beyond those it shows', () => {
    const {hits, total} = search.find('本町', 2);
    expect([hits.length, total]).toEqual([2, 3]);
  });
});

const status = (over: Partial<Status> = {}): Status => ({
  order: {mode: 'normal', level: null, hazard: '', districts: [], message: {}, since: null},
  openings: {a: {state: 'open', head_count: 3, at: null}}, closures: [], as_of: '2026-11-21T10:00:00Z', max_age_s: 900, ...over
});

describe('what is live', () => {
  it('is believed while it is fresh and not a second longer', () => {
    let now = 0;
    const live = new Live(new URL('http://x/status.json'), () => now);
    expect(live.opening('a').state).toBe('unknown');
    live.hear(status(), 10);
    expect(live.opening('a').state).toBe('open');
    expect(live.opening('b').state).toBe('unknown');
    now = 889_000;
    expect(live.opening('a').state).toBe('open');
    now = 891_000;
    expect([live.now, live.opening('a').state]).toEqual([null, 'unknown']);
  });

  it('is not believed when it is old already, or from the future', () => {
    const live = new Live(new URL('http://x/status.json'), () => 0);
    live.hear(status(), 901);
    expect(live.now).toBeNull();
    live.hear(status(), -600);
    expect(live.now).toBeNull();
  });

  it('goes by the clock of the server', () => {
    const now = Date.parse('2030-01-01T00:00:00Z'); // a wrong clock here
    expect(ageOf('2026-11-21T10:00:00Z', 'Sat, 21 Nov 2026 10:01:00 GMT', now)).toBe(60);
    expect(ageOf('2026-11-21T10:00:00Z', 'Sat, 21 Nov 2026 10:01:00 GMT', now, '1200')).toBe(1260); // kept by a CDN
    expect(ageOf('2026-11-21T10:00:00Z', null, Date.parse('2026-11-21T10:02:00Z'))).toBe(120);
  });

  it('keeps nothing that it cannot understand', async () => {
    const live = new Live(new URL('data:application/json,{"half":'));
    await live.refresh();
    expect(live.now).toBeNull();
  });
});

const one: HazardSet = {
  set: 's', hazard: 'river_flood', name: '', scale: 'L2', state: 'inside', depth_m: 2.18, duration_h: 5, collapse_flow: false, collapse_erosion: false,
  verdict: 'stay_upstairs', dry_floor: 2, reasons: [], edge_m: null
};
const place = (over: Partial<Place>): Place => ({
  lon: 0, lat: 0, district: null, building: null, hazard: 'river_flood', hazards: [], verdict: 'stay_upstairs', reasons: [], dry_floor: 2,
  sets: [one], shelters: [], wifi: [], leave_by: null, instead: {action: 'highest', floor: null, name: null, away_m: null}, ...over
});

describe('the answer', () => {
  it('says a depth upwards, never less than it is', () => {
    expect(depthWords(one)).toBe('depth'); // no catalogue is loaded here
    expect(Math.ceil(2.18 * 2) / 2).toBe(2.5);
  });

  it('never lets a floor be better than the verdict', () => {
    expect(floorWords(place({}), 1)).toBe('floor_below');
    expect(floorWords(place({}), 2)).toBe('floor_above');
    for (const floor of [1, 5]) {
      expect(floorWords(place({verdict: 'leave', dry_floor: 2}), floor)).toBe('floor_leave');
      expect(floorWords(place({verdict: 'unknown', dry_floor: 2}), floor)).toBe('floor_unknown');
      expect(floorWords(place({dry_floor: null}), floor)).toBe('floor_unknown');
    }
  });

  it('puts open shelters first in a disaster and full ones last', () => {
    const shelters = ['full', 'unknown', 'open'].map((place_id) => ({place_id}) as Shelter);
    const opening = (state: string) => ({state, head_count: null, at: null}) as never;
    expect(ordered(shelters, opening, true).map((s) => s.place_id)).toEqual(['open', 'unknown', 'full']);
    expect(ordered(shelters, opening, false)[0].place_id).toBe('full');
  });

  it('lets those who need time leave at level 3', () => {
    const level3 = (who: object, leave = false) => steps({...NOBODY, ...who}, leave)[2];
    expect(level3({})).toEqual(['tl_3_ready']);
    for (const who of [{elderly: true}, {baby: true}, {medicine: true}]) expect(level3(who)).toEqual(['tl_3_go']);
    expect(level3({}, true)).toEqual(['tl_3_go']);
  });
});

describe('the files of a static site', () => {
  const {lon, lat, building, hazards, shelters, wifi, leave_by, ...record} = place({});
  void [lon, lat, building, hazards, shelters, wifi, leave_by];
  const ground = {...record, verdict: 'unknown', dry_floor: null};
  const tile = {
    west: 139, south: 36, east: 139.002, north: 36.002, records: [ground, record],
    buildings: [[[139_000_100, 36_000_100, 139_000_300, 36_000_100, 139_000_300, 36_000_300, 139_000_100, 36_000_300], 1, {gml_id: 'b', name: null, storeys: 2}]] as never,
    ground: [0, 0, 0, 0], shelters: {river_flood: [[], [], [{place_id: 'x'} as Shelter], []]}, wifi: []
  };
  it('answer for the building at the point, else for the ground', () => {
    const on = fromTile(tile, 2, 139.0002, 36.0002, null);
    expect([on.verdict, on.building?.gml_id, on.shelters[0].place_id]).toEqual(['stay_upstairs', 'b', 'x']);
    const beside = fromTile(tile, 2, 139.0015, 36.0015, null);
    expect([beside.verdict, beside.building, beside.shelters]).toEqual(['unknown', null, []]);
  });
  it('tell the time limits of the building, and of the ground that they are not known', () => {
    const limit = (state: string): unknown => [{mobility: 'adult', state, at: null, by: null, shelter_id: null}];
    const told = {...tile, leave_by: {release: 'r', scenario: 's', start: '', margin_min: 10, drill: false, mobility: limit('unknown')},
      buildings: [[...tile.buildings[0] as never[], limit('never')]]} as never;
    expect(fromTile(told, 2, 139.0002, 36.0002, null).leave_by?.mobility[0].state).toBe('never');
    expect(fromTile(told, 2, 139.0015, 36.0015, null).leave_by?.mobility[0].state).toBe('unknown');
    expect(fromTile(tile, 2, 139.0002, 36.0002, null).leave_by).toBeNull();
  });
  it('are found by the point', () => {
    expect(tileOf(139.88, 36.55, 17)).toEqual([116464, 51221]);
    expect(within(1, 1, [0, 0, 2, 0, 2, 2, 0, 2])).toBe(true);
    expect(within(3, 1, [0, 0, 2, 0, 2, 2, 0, 2])).toBe(false);
  });
});

describe('an answer that is read in a hurry', () => {
  const reasons = ['collapse_flow', 'dry_floor_available', 'depth_below_floor', 'outside'];
  const said = (verdict: string): string[] => spoken({verdict, reasons} as Place);

  it('puts nothing that reassures beside a word to leave, or to doubt', () => {
    expect(said('leave')).toEqual(['collapse_flow']);
    expect(said('unknown')).toEqual(['collapse_flow']);
    expect(said('stay_upstairs')).toEqual(['collapse_flow', 'dry_floor_available', 'depth_below_floor']);
    expect(said('outside_assumed_area')).toEqual([]);
  });

  it('says the direction of a shelter', () => {
    const from = {lon: 139.88, lat: 36.55};
    const ways: [number, number, string][] = [[0, 1, 'n'], [1, 1, 'ne'], [1, 0, 'e'], [1, -1, 'se'], [0, -1, 's'], [-1, -1, 'sw'], [-1, 0, 'w'], [-1, 1, 'nw']];
    for (const [x, y, name] of ways) expect(wind(from, {lon: from.lon + (x * 0.01) / Math.cos((36.55 * Math.PI) / 180), lat: from.lat + y * 0.01})).toBe(name);
  });
});

describe('a place whose file is not there', () => {
  it('is outside the map only where it is outside', async () => {
    const site = {data: 'data/x/', grid: {z: 17, cells: 3}, bbox: [139, 36, 140, 37]} as unknown as Site;
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('', {status: 404})));
    const asked = (lon: number): Promise<unknown> => ask(new URL('http://x/'), site, lon, 36.5, null).catch((e: unknown) => e instanceof OutsideMap);
    expect(await asked(138)).toBe(true);
    expect(await asked(139.5)).toBe(false);
    vi.unstubAllGlobals();
  });
});

describe('a status that is broken', () => {
  const whole = {order: {mode: 'normal', level: null, hazard: '', districts: [], message: {}, since: null}, openings: {}, closures: null, as_of: '2026-11-21T07:00:00Z', max_age_s: 900};

  it('is not known, instead of half an order', () => {
    expect(understood(whole)).toBe(true);
    for (const broken of [null, {}, [], {...whole, order: {}}, {...whole, order: {...whole.order, mode: 'calm'}}, {...whole, order: {...whole.order, districts: null}},
      {...whole, openings: null}, {...whole, as_of: 'soon'}, {...whole, max_age_s: 'long'}, {...whole, order: {...whole.order, message: null}}]) expect(understood(broken), JSON.stringify(broken)).toBe(false);
  });
});
