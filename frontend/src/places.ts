/** Shelters with their opening as it is now, and public Wi-Fi: points over the city, each readable as a card. */
import type {Layer} from '@deck.gl/core';
import {ScatterplotLayer, TextLayer} from '@deck.gl/layers';

import type {Live} from '../residents/status';
import {lang, t} from './i18n';
import {el} from './ui/dom';

export type Shelter = {place_id: string; name: string; name_en: string | null; lon: number; lat: number};
export type Spot = Shelter & {ssid: string | null; operator: string | null; area: string | null; disaster: boolean | null; shelter: {place_id: string; name: string} | null};
type Mark = {at: [number, number]; letter: string; fill: number[]; ink: number[]; properties: {point: 'shelter' | 'wifi'; n: number}};

const WIFI_FROM = 13.5; // zoom: from further away they hide the city
const FILL: Record<string, number[]> = {open: [17, 90, 54], full: [255, 196, 0], closed: [90, 90, 94], unknown: [255, 255, 255]};
const INK: Record<string, number[]> = {open: [255, 255, 255], full: [26, 26, 28], closed: [255, 255, 255], unknown: [26, 26, 28]};
const FONT = "'BIZ UDPGothic','Hiragino Sans','Noto Sans JP','Noto Sans CJK JP',sans-serif";

export class CityPlaces {
  shelters: Shelter[] = [];
  wifi: Spot[] = [];

  constructor(private readonly live: Live) {}

  /** Read the lists beside the page, or in the folder of data that a static site names. */
  async load(base: URL): Promise<void> {
    const about = (await json(new URL('site.json', base))) as {data?: string | null} | null;
    const folder = about?.data ? new URL(about.data, base) : base;
    const lists = await Promise.all(['shelters.json', 'wifi.json'].map((name) => json(new URL(name, folder))));
    [this.shelters, this.wifi] = lists.map((l) => (Array.isArray(l) ? l.filter((p) => Number.isFinite(p?.lon) && Number.isFinite(p?.lat)) : [])) as [Shelter[], Spot[]];
  }

  /** Which of the groups there is anything of. */
  get groups(): string[] {
    return [this.shelters.length ? 'shelters' : '', this.wifi.length ? 'wifi' : ''].filter(Boolean);
  }

  layers(off: string[], zoom: number): Layer[] {
    const found: Layer[] = [];
    if (!off.includes('wifi') && zoom >= WIFI_FROM) {
      found.push(...drawn('wifi', this.wifi.map((w, n) => ({at: [w.lon, w.lat], letter: 'W', fill: [255, 255, 255], ink: [0, 23, 193], properties: {point: 'wifi', n}}))));
    }
    if (!off.includes('shelters')) {
      found.push(...drawn('shelters', this.shelters.map((s, n) => {
        const {state} = this.live.opening(s.place_id);
        return {at: [s.lon, s.lat], letter: t(`letter.${state}`), fill: FILL[state], ink: INK[state], properties: {point: 'shelter', n}};
      })));
    }
    return found;
  }

  /** What the signs mean, for the legend. */
  legend(off: string[]): HTMLElement[] {
    const entries: [string, string, string][] = [];
    if (this.shelters.length && !off.includes('shelters')) for (const s of ['open', 'full', 'closed', 'unknown']) entries.push([s, t(`letter.${s}`), t(`opening.${s}`)]);
    if (this.wifi.length && !off.includes('wifi')) entries.push(['wifi', 'W', t('layer.wifi')]);
    if (!entries.length) return [];
    return [el('section', {class: 'legend places', 'aria-label': t('layer.shelters')}, el('h3', {}, t('layer.shelters')),
      el('div', {class: 'entries'}, ...entries.map(([kind, letter, words]) => el('div', {class: 'entry'}, el('span', {class: `point ${kind}`, 'aria-hidden': 'true'}, letter), el('span', {}, words)))))];
  }

  /** A point in words. */
  card(properties: unknown, close: () => void): HTMLElement | null {
    const {point, n} = (properties ?? {}) as {point?: string; n?: number};
    const one = point === 'wifi' ? this.wifi[n!] : point === 'shelter' ? this.shelters[n!] : undefined;
    if (!one) return null;
    const rows: [string, string][] = [];
    if (point === 'shelter') {
      rows.push([t('opening'), this.opening(one.place_id)]);
      const spots = this.wifi.filter((w) => w.shelter?.place_id === one.place_id);
      if (spots.length) rows.push([t('layer.wifi'), spots.map((w) => w.ssid ?? w.name).join('、')]);
    } else {
      const w = one as Spot;
      const unknown = t('unknown');
      rows.push(['SSID', w.ssid ?? unknown], [t('wifi.operator'), w.operator ?? unknown], [t('wifi.area'), w.area ?? unknown],
        [t('wifi.disaster'), t(w.disaster === null ? 'wifi.disaster.unknown' : w.disaster ? 'wifi.disaster.yes' : 'wifi.disaster.no')],
        [t('wifi.shelter'), w.shelter ? `${w.shelter.name}（${this.opening(w.shelter.place_id)}）` : t('wifi.shelter.none')]);
    }
    const name = lang() === 'en' && one.name_en ? one.name_en : one.name;
    return el('section', {class: 'card', 'aria-label': name},
      el('header', {}, el('h2', {}, name), el('button', {type: 'button', class: 'close', 'aria-label': t('close'), onclick: close}, '×')),
      el('dl', {}, ...rows.flatMap(([k, v]) => [el('dt', {}, k), el('dd', {}, v)])));
  }

  private opening(id: string): string {
    const {state, head_count: people} = this.live.opening(id);
    return t(`opening.${state}`) + (people === null || state === 'unknown' ? '' : ` ${t('opening.people', {n: people})}`);
  }
}

function drawn(id: string, data: Mark[]): Layer[] {
  const common = {data, getPosition: (m: Mark) => m.at, parameters: {depthCompare: 'always'}, updateTriggers: {getFillColor: [data], getText: [data]}};
  return [
    new ScatterplotLayer({
      ...common, id: `points-${id}`, pickable: true, radiusUnits: 'pixels', getRadius: 11, stroked: true, lineWidthUnits: 'pixels', getLineWidth: 2,
      billboard: true, getFillColor: (m: Mark) => m.fill, getLineColor: [40, 40, 40]
    } as never) as unknown as Layer,
    new TextLayer({
      ...common, id: `letters-${id}`, getText: (m: Mark) => m.letter, getSize: 13, getColor: (m: Mark) => m.ink, fontFamily: FONT, fontWeight: 700,
      characterSet: [...new Set(data.map((m) => m.letter))], getTextAnchor: 'middle', getAlignmentBaseline: 'center'
    } as never) as unknown as Layer
  ];
}

async function json(url: URL): Promise<unknown> {
  try {
    const answer = await fetch(url);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}
