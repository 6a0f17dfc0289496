/** What is laid over the city: the list from the server, and each layer as MapLibre draws it. */
import type maplibregl from 'maplibre-gl';

import type {Text} from './i18n';

export type OverlayClass = {label: Text; colour: [number, number, number]; min: number | null; max: number | null; value: string | null};
export type Overlay = {
  id: string; group: Text | null; title: Text; description: Text | null; form: 'raster' | 'vector' | 'tileset'; url: string;
  legend: {quantity: string; unit: string; missing: Text; classes: OverlayClass[]} | null;
  attribution: Text; licence: string; vintage: string; minzoom: number; maxzoom: number;
  bounds: [number, number, number, number] | null; visible: boolean; opacity: number; remote: boolean;
};
/** An overlay that is on: its id and how dense it is drawn; the last lies on top. */
export type Shown = {id: string; opacity: number};

const PLAIN: [number, number, number] = [0, 112, 128];
const MAX_SHOWN = 12;
const css = (c: [number, number, number]): string => `rgb(${c.join(',')})`;

/** `id~0.5!id2` in the URL; whatever is not understood is left out. */
export const shownToText = (shown: Shown[]): string => shown.map((s) => `${s.id}~${s.opacity.toFixed(2)}`).join('!');
export function shownFromText(text: string | null): Shown[] {
  const out: Shown[] = [];
  for (const part of (text ?? '').split('!').slice(0, MAX_SHOWN)) {
    const [id, opacity] = part.split('~');
    const value = Number(opacity);
    if (/^[a-z][\w.-]{1,80}$/.test(id) && value >= 0 && value <= 1 && !out.some((s) => s.id === id)) out.push({id, opacity: value});
  }
  return out;
}

/** The overlays of a city; where the server has no list (an old one, offline) there are none. */
export async function loadOverlays(base: string): Promise<{layers: Overlay[]; problems: string[]}> {
  try {
    const answer = await fetch(new URL('api/overlays.json', base), {credentials: 'same-origin'});
    if (!answer.ok) return {layers: [], problems: []};
    const said = (await answer.json()) as {layers: Overlay[]; problems: string[]};
    const origin = new URL(base).origin;
    return {layers: said.layers.filter((o) => new URL(o.url, base).origin === origin), problems: said.problems};
  } catch {
    return {layers: [], problems: []};
  }
}

/** Keeps the map's overlay sources and layers as the state says; a tileset is drawn by deck.gl instead. */
export class OverlayStack {
  private drawn: string[] = [];

  constructor(private map: maplibregl.Map, private base: string, private known: Map<string, Overlay>) {}

  /** Layers of MapLibre that a click may read, top first. */
  get readable(): string[] {
    return this.drawn.flatMap((id) => this.layerIds(id)).filter((l) => this.map.getLayer(l)).reverse();
  }

  private layerIds(id: string): string[] {
    return ['raster', 'fill', 'line', 'point'].map((part) => `ov-${id}-${part}`);
  }

  sync(shown: Shown[]): void {
    const wanted = shown.filter((s) => this.known.get(s.id) && this.known.get(s.id)?.form !== 'tileset');
    for (const id of this.drawn) {
      if (!wanted.some((s) => s.id === id)) this.remove(id);
    }
    const before = this.map.getLayer('rail') ? 'rail' : undefined;
    for (const {id, opacity} of wanted) {
      if (!this.map.getSource(`ov-${id}`)) this.add(this.known.get(id) as Overlay);
      this.fade(id, opacity);
      for (const layer of this.layerIds(id)) if (this.map.getLayer(layer)) this.map.moveLayer(layer, before);
    }
    this.drawn = wanted.map((s) => s.id);
  }

  private remove(id: string): void {
    for (const layer of this.layerIds(id)) if (this.map.getLayer(layer)) this.map.removeLayer(layer);
    if (this.map.getSource(`ov-${id}`)) this.map.removeSource(`ov-${id}`);
  }

  private fade(id: string, opacity: number): void {
    const parts: [string, string, number][] = [['raster', 'raster-opacity', 1], ['fill', 'fill-opacity', 0.85], ['line', 'line-opacity', 1], ['point', 'circle-opacity', 1]];
    for (const [part, property, share] of parts) {
      if (this.map.getLayer(`ov-${id}-${part}`)) this.map.setPaintProperty(`ov-${id}-${part}`, property, opacity * share);
    }
  }

  private add(o: Overlay): void {
    const source = `ov-${o.id}`;
    const tiles = [new URL(o.url, this.base).href.replaceAll('%7B', '{').replaceAll('%7D', '}')];
    const limits = {minzoom: o.minzoom, ...(o.bounds ? {bounds: o.bounds} : {})};
    if (o.form === 'raster') {
      this.map.addSource(source, {type: 'raster', tiles, tileSize: 256, maxzoom: Math.min(o.maxzoom, 18), ...limits});
      // Classes have hard edges: no colour stands between two of them.
      const sampling = o.legend?.classes.length ? 'nearest' : 'linear';
      this.map.addLayer({id: `${source}-raster`, type: 'raster', source, paint: {'raster-resampling': sampling, 'raster-fade-duration': 0}});
      return;
    }
    this.map.addSource(source, {type: 'vector', tiles, maxzoom: Math.min(o.maxzoom, 16), ...limits});
    const classes = o.legend?.classes ?? [];
    const colour = classes.length
      ? (['match', ['get', 'k'], ...classes.flatMap((c, i) => [i + 1, css(c.colour)]), '#777777'] as never)
      : css(PLAIN);
    const from = {source, 'source-layer': 'overlay'};
    const is = (type: string) => ['==', ['geometry-type'], type] as never;
    this.map.addLayer({id: `${source}-fill`, type: 'fill', ...from, filter: is('Polygon'), paint: {'fill-color': colour, 'fill-antialias': classes.length < 2}});
    this.map.addLayer({id: `${source}-line`, type: 'line', ...from, filter: classes.length > 1 ? is('LineString') : (['!=', ['geometry-type'], 'Point'] as never), paint: {'line-color': colour, 'line-width': 2.5}});
    this.map.addLayer({id: `${source}-point`, type: 'circle', ...from, filter: is('Point'), paint: {'circle-color': colour, 'circle-radius': 6, 'circle-stroke-color': '#ffffff', 'circle-stroke-width': 1.5}});
  }
}
