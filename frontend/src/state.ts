/** The one state object of the page, and how it stands in the URL. */
import type {Lang} from './i18n';
import type {Rule} from './legend';
import {shownFromText, shownToText, type Shown} from './overlays';
import {wishFromText, wishToText, type WaterWish} from './water/wish';

export type View = {lon: number; lat: number; zoom: number; pitch: number; bearing: number};
export type State = {
  view: View | null; mode: '3d' | '2d'; colourBy: string | null; rules: Rule[]; selected: string | null;
  off: string[]; opacity: number; lang: Lang; gsi: boolean; overlays: Shown[]; rise: number; water: WaterWish | null;
};

export const initial = (lang: Lang): State => ({
  view: null, mode: '3d', colourBy: null, rules: [], selected: null, off: [], opacity: 1, lang, gsi: false, overlays: [], rise: 0, water: null
});

const number = (text: string | undefined, low: number, high: number): number | null => {
  const v = Number(text);
  return text && Number.isFinite(v) && v >= low && v <= high ? v : null;
};

/** The state as the part of a URL after `#`. */
export function toHash(s: State): string {
  const q = new URLSearchParams();
  if (s.view) {
    const {zoom, lat, lon, bearing, pitch} = s.view;
    q.set('v', [zoom.toFixed(2), lat.toFixed(5), lon.toFixed(5), bearing.toFixed(0), pitch.toFixed(0)].join('/'));
  }
  if (s.mode !== '3d') q.set('m', s.mode);
  q.set('c', s.colourBy ?? 'none');
  if (s.rules.length) q.set('f', JSON.stringify(s.rules));
  if (s.selected) q.set('s', s.selected);
  if (s.off.length) q.set('off', s.off.join('.'));
  if (s.opacity !== 1) q.set('o', s.opacity.toFixed(2));
  if (s.lang !== 'ja') q.set('l', s.lang);
  if (s.gsi) q.set('gsi', '1');
  if (s.overlays.length) q.set('ov', shownToText(s.overlays));
  if (s.rise) q.set('up', s.rise.toFixed(1));
  if (s.water) q.set('w', wishToText(s.water));
  return q.toString();
}

/** Reads what `toHash` wrote; whatever is not understood is left at its default. */
export function fromHash(hash: string, lang: Lang): State {
  const s = initial(lang);
  const q = new URLSearchParams(hash.replace(/^#/, ''));
  const parts = (q.get('v') ?? '').split('/');
  const zoom = number(parts[0], 0, 24);
  const lat = number(parts[1], -90, 90);
  const lon = number(parts[2], -180, 180);
  if (zoom !== null && lat !== null && lon !== null) {
    s.view = {zoom, lat, lon, bearing: number(parts[3], -360, 360) ?? 0, pitch: number(parts[4], 0, 80) ?? 0};
  }
  if (q.get('m') === '2d') s.mode = '2d';
  s.colourBy = q.get('c') === 'none' ? null : q.get('c');
  s.rules = readRules(q.get('f'));
  s.selected = q.get('s');
  s.off = (q.get('off') ?? '').split('.').filter((x) => /^[a-z]+$/.test(x));
  s.opacity = number(q.get('o') ?? undefined, 0, 1) ?? 1;
  if (q.get('l') === 'en' || q.get('l') === 'easy') s.lang = q.get('l') as Lang;
  s.gsi = q.get('gsi') === '1';
  s.overlays = shownFromText(q.get('ov'));
  s.rise = number(q.get('up') ?? undefined, 0, 5) ?? 0;
  s.water = wishFromText(q.get('w'));
  return s;
}

/** Rules out of untrusted text or messages: only what has the right shape is kept. */
export function readRules(source: unknown): Rule[] {
  let data: unknown = source;
  if (typeof source === 'string') {
    try {
      data = JSON.parse(source);
    } catch {
      return [];
    }
  }
  if (!Array.isArray(data)) return [];
  const rules: Rule[] = [];
  for (const item of data.slice(0, 32) as Record<string, unknown>[]) {
    if (!item || typeof item.id !== 'string') continue;
    const rule: Rule = {id: item.id};
    if (Array.isArray(item.in)) {
      rule.in = item.in.filter((x) => typeof x === 'number' || typeof x === 'string') as (number | string)[];
      if (item.in.includes(null)) rule.in.push('nodata');
    }
    if (typeof item.min === 'number') rule.min = item.min;
    if (typeof item.max === 'number') rule.max = item.max;
    if (rule.in || rule.min !== undefined || rule.max !== undefined) rules.push(rule);
  }
  return rules;
}
