/** The map itself: MapLibre below, deck.gl above, and what they need of the state. */
import type {Layer, PickingInfo} from '@deck.gl/core';
import {FillStyleExtension} from '@deck.gl/extensions';
import {MVTLayer, Tile3DLayer} from '@deck.gl/geo-layers';
import {MapboxOverlay} from '@deck.gl/mapbox';
import {MVTLoader} from '@loaders.gl/mvt';
import maplibregl from 'maplibre-gl';
import 'maplibre-gl/dist/maplibre-gl.css';

import {GROUPS, TERRAIN, baseStyle} from './base';
import {dotsLayer, readDots, type Dots} from './buildings/dots';
import {CityTilesLoader} from './buildings/glb';
import {CityTilesLayer, type Colours} from './buildings/tiles_layer';
import type {City} from './manifest';
import {measureLayers, type Point} from './measure';
import {OverlayStack, type Overlay} from './overlays';
import type {State, View} from './state';

export type Hit = {lon: number; lat: number; row: number | null; layer: string | null; properties: unknown};
type Handlers = {click: (hit: Hit) => void; overlayFailed: (id: string) => void; move: (view: View, bounds: [number, number, number, number]) => void; fail: (key: string) => void};

const PATTERN = new FillStyleExtension({pattern: true, proceduralPattern: true});
const PATTERNS = {stripes: {type: 'hatch', angle: 45, strokeWidth: 4, gap: 4}}; // no data
const BLOCKS = 6000; // the widest tile holds no more buildings than these
const MEMORY_MB = 96; // of tile content kept; the whole page stays below 300 MB of heap

export class MapView {
  readonly map: maplibregl.Map;
  private overlay: MapboxOverlay;
  private colours: Colours = {rgb: new Uint8Array(3), hatched: null, version: 0};
  private shown: Uint8Array | null = null;
  private selected = -1;
  private extra: Layer[] = [];
  private played: Layer[] = [];
  private still: Layer[] = []; // everything but what is played
  private marker: maplibregl.Marker | null = null;
  private points: (() => Layer[]) | null = null;
  private stack: OverlayStack | null = null;
  private tilesets: Overlay[] = [];
  private measured: Point[] = [];
  private tilesLoaded = 0;
  private far = false; // so far that dots stand for buildings
  private dots: Dots | null | undefined;
  private pictured = false;
  private reduced = matchMedia('(prefers-reduced-motion: reduce)').matches;
  private moving: Layer[] = [];
  private above: MapboxOverlay | null = null; // what moves: on a canvas of its own, so that the map below rests

  constructor(container: HTMLElement, private city: City, private state: State, private on: Handlers) {
    const v = state.view as View;
    this.map = new maplibregl.Map({
      container, style: this.style(), center: [v.lon, v.lat], zoom: v.zoom, pitch: v.pitch, bearing: v.bearing,
      maxPitch: 75, maxZoom: 20, minZoom: 8, attributionControl: false, fadeDuration: 0,
      localIdeographFontFamily: "'BIZ UDPGothic','BIZ UDGothic','Hiragino Sans','Noto Sans JP','Noto Sans CJK JP',sans-serif"
    });
    this.map.keyboard.disable();
    this.map.addControl(new maplibregl.ScaleControl({maxWidth: 120}), 'bottom-left');
    this.overlay = new MapboxOverlay({interleaved: true, layers: [], pickingRadius: 4, getCursor: ({isHovering}) => (isHovering ? 'pointer' : 'grab')});
    this.map.addControl(this.overlay as unknown as maplibregl.IControl);
    this.map.on('click', (e) => this.click(e));
    this.map.on('moveend', () => this.moved());
    this.map.on('zoom', () => this.far !== this.isFar() && this.draw());
    this.map.on('zoomend', () => this.points && this.draw());
    this.map.on('error', (e) => {
      const source = (e as {sourceId?: string}).sourceId;
      if (source?.startsWith('ov-')) this.on.overlayFailed(source.slice(3));
      if (String(e.error?.message ?? '').includes('WebGL')) this.on.fail('error.webgl');
    });
    this.map.on('render', () => this.markFirstPicture());
    this.map.once('idle', () => this.raise());
    this.map.once('load', () => {
      this.draw(); // names exist now: the buildings go below them
      this.moved();
    });
  }

  get view(): View {
    const {lng, lat} = this.map.getCenter();
    return {lon: lng, lat, zoom: this.map.getZoom(), pitch: this.map.getPitch(), bearing: this.map.getBearing()};
  }

  /** The moment from which the page is of use, for `benchmarks/staff_map.py`: buildings stand there in their colours. */
  private markFirstPicture(): void {
    if (this.pictured || !this.colours.version || !(this.far ? this.dots : this.stats().selectedTiles)) return;
    performance.mark('citymap:first-picture');
    this.raise();
  }

  /** The ground rises once the buildings stand there (or nothing is left to wait for): a relief takes long to draw without a graphics card. */
  private raise(): void {
    if (this.pictured) return;
    this.pictured = true;
    if (this.state.mode === '3d' && this.map.getSource('terrain')) this.map.setTerrain(TERRAIN);
  }

  private moved(): void {
    const b = this.map.getBounds();
    this.on.move(this.view, [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()]);
  }

  private click(e: maplibregl.MapMouseEvent): void {
    const info = this.overlay.pickObject({x: e.point.x, y: e.point.y, radius: 4}) as (PickingInfo & {row?: number | null}) | null;
    const row = info ? (info.row ?? (info.object as {properties?: {row?: number}} | undefined)?.properties?.row ?? null) : null;
    let properties = info && row === null ? ((info.object as {properties?: unknown})?.properties ?? null) : null;
    if (!info && this.stack?.readable.length) {
      const found = this.map.queryRenderedFeatures(e.point, {layers: this.stack.readable})[0];
      if (found) properties = {overlay: found.source.slice(3), ...found.properties};
    }
    this.on.click({lon: e.lngLat.lng, lat: e.lngLat.lat, row, layer: info?.layer?.id ?? null, properties});
  }

  private style() {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    return baseStyle(this.city, {dark, gsi: this.state.gsi, off: this.state.off, relief: this.pictured && this.state.mode === '3d'});
  }

  setState(state: State): void {
    const old = this.state;
    this.state = state;
    if (old.mode !== state.mode) this.dots = undefined; // the other mode's ground is another
    if (old.mode !== state.mode && this.pictured && this.map.getSource('terrain')) this.map.setTerrain(state.mode === '3d' ? TERRAIN : null);
    if (old.overlays !== state.overlays) this.stack?.sync(state.overlays);
    if (old.gsi !== state.gsi) this.map.setStyle(this.style());
    else if (old.off !== state.off && this.map.isStyleLoaded()) {
      for (const [group, ids] of Object.entries(GROUPS)) {
        for (const id of ids) {
          if (this.map.getLayer(id)) this.map.setLayoutProperty(id, 'visibility', state.off.includes(group) ? 'none' : 'visible');
        }
      }
    }
    this.draw();
  }

  setColours(rgb: Uint8Array, hatched: Uint8Array | null, shown: Uint8Array | null): void {
    this.colours = {rgb, hatched, version: this.colours.version + 1};
    this.shown = shown;
    this.draw();
  }

  setSelected(row: number): void {
    this.selected = row;
    this.draw();
  }

  /** The overlays there are; they are drawn from now on as the state says. */
  setOverlays(known: Map<string, Overlay>, base: string): void {
    const begin = (): void => {
      this.stack = new OverlayStack(this.map, base, known);
      this.tilesets = [...known.values()].filter((o) => o.form === 'tileset').map((o) => ({...o, url: new URL(o.url, base).href}));
      this.stack.sync(this.state.overlays);
      this.draw();
    };
    if (this.map.isStyleLoaded()) begin();
    else this.map.once('idle', begin);
    this.map.on('style.load', () => this.stack?.sync(this.state.overlays));
  }

  setMeasured(points: Point[]): void {
    this.measured = points;
    this.draw();
  }

  /** The map as a picture, with metres per pixel of its middle. */
  async picture(): Promise<{url: string; metresPerPixel: number; width: number; height: number}> {
    const {lat, zoom} = this.view;
    const canvas = this.map.getCanvas();
    const url = await new Promise<string>((done) => {
      this.map.once('render', () => done(canvas.toDataURL('image/jpeg', 0.92))); // within the frame: the buffer still holds it
      this.map.triggerRepaint();
    });
    return {url, width: canvas.clientWidth, height: canvas.clientHeight, metresPerPixel: (40075016.686 * Math.cos((lat * Math.PI) / 180)) / (512 * 2 ** zoom)};
  }

  setExtra(layers: Layer[]): void {
    this.extra = layers;
    if (this.moving.length) this.setMoving(this.moving);
    else this.draw();
  }

  /** What a playback draws at this moment, above the buildings; cheap enough for every frame. */
  setPlayed(layers: Layer[]): void {
    this.played = layers;
    this.compose();
  }

  /** A pin at a place, on the relief where there is one. */
  mark(at: {lon: number; lat: number} | null): void {
    this.marker?.remove();
    this.marker = at ? new maplibregl.Marker({color: '#0017c1'}).setLngLat([at.lon, at.lat]).addTo(this.map) : null;
  }

  /** Metres of the map's plane 0, where the relief is drawn; null on the flat map. */
  get relief(): {datum: number | null; geoid: number} {
    return {datum: this.state.mode === '3d' ? this.city.datum : null, geoid: this.city.manifest.geoid_m ?? 0};
  }

  /** Points that are drawn over everything, asked for anew at every drawing. */
  setPoints(points: () => Layer[]): void {
    this.points = points;
    this.draw();
  }

  /** How far right and up of the page's middle a place flown to shall lie, clear of the panel (px). */
  offset: [number, number] = [0, 0];

  /** Layers that change every frame; the map and its buildings are not drawn anew for them. */
  setMoving(layers: Layer[]): void {
    if (!this.above) {
      if (!layers.length) return;
      this.above = new MapboxOverlay({interleaved: false, layers: []});
      this.map.addControl(this.above as unknown as maplibregl.IControl);
    }
    const began = layers.length > 0 && this.moving.length === 0;
    this.moving = layers;
    this.above.setProps({layers: layers.length ? [...layers, ...this.extra] : []});
    if (began || !layers.length) this.draw(); // what a page added stands above the people
  }

  draw(): void {
    const {mode, off, opacity} = this.state;
    const layers: Layer[] = [];
    this.far = this.isFar();
    if (!off.includes('buildings') && this.far) {
      if (this.dots) layers.push(dotsLayer(this.dots, this.colours.rgb, opacity));
      else if (this.dots === undefined) void this.fetchDots();
    }
    if (!off.includes('buildings')) layers.push(mode === '3d' ? this.tiles(opacity) : this.footprints(opacity));
    const beforeId = this.map.getLayer('place-label') ? 'place-label' : undefined;
    this.still = [...layers, ...this.foreign(), ...(this.moving.length ? [] : this.extra), ...(this.points?.() ?? []), ...measureLayers(this.measured)].map((l) => l.clone({beforeId} as never));
    this.compose();
  }

  private compose(): void {
    const beforeId = this.map.getLayer('place-label') ? 'place-label' : undefined;
    this.overlay.setProps({layers: [...this.still, ...this.played.map((l) => l.clone({beforeId} as never))]});
  }

  /** 3D Tiles of others that are on. */
  private foreign(): Layer[] {
    return this.tilesets.flatMap((o) => {
      const on = this.state.overlays.find((s) => s.id === o.id);
      if (!on) return [];
      return [new Tile3DLayer({
        id: `ov-${o.id}`, data: o.url, opacity: on.opacity, loadOptions: {core: {worker: false}, worker: false},
        onTilesetLoad: (tileset: unknown) => CityTilesLayer.lower(tileset, this.city.datum ?? 0, 0),
        onTileError: () => this.on.overlayFailed(o.id)
      } as never) as unknown as Layer];
    });
  }

  private isFar(): boolean {
    const {count, dots} = this.city.manifest.buildings;
    return Boolean(dots) && (this.state.mode === '2d' ? this.map.getZoom() < 13 : count > BLOCKS && this.map.getZoom() < 15.5);
  }

  private async fetchDots(): Promise<void> {
    this.dots = null;
    try {
      const {dots} = this.city.manifest.buildings;
      if (dots) this.dots = readDots(await this.city.dots(), dots, this.state.mode === '3d' ? this.city.datum : null);
      this.draw();
    } catch {
      this.on.fail('error.manifest');
    }
  }

  private tiles(opacity: number): Layer {
    const {ground, geoid_m: geoid = 0} = this.city.manifest;
    const {datum} = this.city;
    const low = ground?.min_m ?? 0, high = ground?.max_m ?? 0;
    // on a relief all goes down alike; on a flat map every building by its own ground
    const [drop, relief] = datum === null ? [geoid + (low + high) / 2, (high - low) / 2 + 20] : [datum, 2];
    return new CityTilesLayer({
      id: 'buildings', data: this.city.url(this.city.manifest.buildings.tileset), loaders: [CityTilesLoader], loader: CityTilesLoader,
      pickable: true, autoHighlight: true, highlightColor: [0, 70, 255, 90], opacity,
      colours: this.colours, selected: this.selected, datum,
      loadOptions: {
        core: {worker: false}, worker: false, '3d-tiles': {loadGLTF: false},
        tileset: {maximumMemoryUsage: MEMORY_MB, maximumScreenSpaceError: this.city.manifest.buildings.max_screen_space_error ?? 8, memoryAdjustedScreenSpaceError: true, throttleRequests: true}
      },
      onTilesetLoad: (tileset: unknown) => CityTilesLayer.lower(tileset, drop, relief),
      onTileLoad: () => {
        this.tilesLoaded++;
      },
      onTileError: () => this.on.fail('error.manifest')
    } as never) as unknown as Layer;
  }

  private footprints(opacity: number): Layer {
    const vector = this.city.manifest.vector;
    const {rgb, hatched, version} = this.colours;
    const row = (f: {properties: {row?: number}}): number => f.properties.row ?? 0;
    return new (MVTLayer as never as new (props: object) => Layer)({
      id: 'footprints', data: this.city.url(vector?.tiles ?? ''), minZoom: Math.max(13, vector?.minzoom ?? 13), maxZoom: vector?.maxzoom ?? 16,
      loaders: [MVTLoader], loadOptions: {core: {worker: false}, worker: false, mvt: {layers: ['buildings']}},
      pickable: true, autoHighlight: true, highlightColor: [0, 70, 255, 90], uniqueIdProperty: 'row', binary: false, stroked: true, filled: true, opacity,
      lineWidthUnits: 'pixels', getLineWidth: (f: never) => (row(f) === this.selected ? 3 : 0.5),
      getLineColor: (f: never) => (row(f) === this.selected ? [0, 70, 255] : [150, 145, 138]),
      getFillColor: (f: never) => [rgb[row(f) * 3], rgb[row(f) * 3 + 1], rgb[row(f) * 3 + 2], this.shown && !this.shown[row(f)] ? 110 : 255],
      extensions: [PATTERN], fillPatternMapping: PATTERNS, fillPatternSizeUnits: 'pixels',
      getFillPattern: (f: never) => (hatched?.[row(f)] ? 'stripes' : ''), getFillPatternBackgroundColor: [245, 246, 247, 255],
      updateTriggers: {getFillColor: [version], getFillPattern: [version], getLineWidth: [this.selected], getLineColor: [this.selected]}
    } as never) as unknown as Layer;
  }

  fly(view: Partial<View> & {lon: number; lat: number}, atOnce = false): void {
    const target = {center: [view.lon, view.lat] as [number, number], zoom: view.zoom ?? this.map.getZoom(), pitch: view.pitch ?? this.map.getPitch(), bearing: view.bearing ?? this.map.getBearing()};
    this.map.easeTo({...target, offset: this.offset, duration: this.reduced || atOnce ? 0 : 700});
  }

  /** The whole of a box from straight above, clear of so many pixels at the bottom. */
  lookAt([west, south, east, north]: [number, number, number, number], bottom: number): void {
    this.map.fitBounds([[west, south], [east, north]], {pitch: 0, bearing: 0, padding: {top: 12, left: 12, right: 60, bottom}, duration: 0});
  }

  turn(change: {bearing?: number; pitch?: number; zoom?: number; pan?: [number, number]}): void {
    const duration = this.reduced ? 0 : 250;
    if (change.pan) this.map.panBy(change.pan, {duration});
    else {
      this.map.easeTo({
        bearing: change.bearing ?? this.map.getBearing(), pitch: change.pitch ?? this.map.getPitch(),
        zoom: change.zoom ?? this.map.getZoom(), duration
      });
    }
  }

  /** For tests and for the loading bar. */
  stats(): {tiles: number; selectedTiles: number; loaded: boolean; styleLoaded: boolean} {
    const layer = (this.overlay as unknown as {_deck?: {layerManager?: {layers: {id: string; isLoaded: boolean; state?: {tileset3d?: {selectedTiles: unknown[]; isLoaded: () => boolean}}}[]}}})._deck?.layerManager?.layers.find((l) => l.id === 'buildings' || l.id === 'footprints');
    const tileset = layer?.state?.tileset3d;
    return {
      tiles: this.tilesLoaded, selectedTiles: tileset?.selectedTiles.length ?? 0,
      loaded: Boolean(layer?.isLoaded && (!tileset || (tileset.isLoaded() && tileset.selectedTiles.length > 0))),
      styleLoaded: Boolean(this.map.isStyleLoaded() && this.map.areTilesLoaded())
    };
  }
}
