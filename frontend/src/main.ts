/** Starts the page: reads the manifest and the URL, joins map, panel and bridge around one state. */
import './ui/style.css';
import '../light/order_strip.css';

import {OrderStrip} from '../light/order_strip';
import {Live} from '../residents/status';
import {Bridge, type Incoming} from './bridge';
import {readDeck} from './deck_json';
import {LANGUAGES, htmlLang, loadOwnWording, nextLang, pick, setLang, t, type Lang} from './i18n';
import {BUILDING, paint, type Rule} from './legend';
import {City, type Attribute} from './manifest';
import {MapView, type Hit} from './map_view';
import {areaM2, lengthM, sayArea, sayLength, type Point} from './measure';
import {loadOverlays, type Overlay} from './overlays';
import {loadPlayback} from './people_playback';
import {CityPlaces} from './places';
import {fromHash, readRules, toHash, type State, type View} from './state';
import {Chrome} from './ui/chrome';
import {el} from './ui/dom';
import {key as entryKey} from './ui/legend_box';
import {PeopleBar} from './ui/people_bar';
import {printSheet} from './ui/print_sheet';
import type {Found} from './ui/search';
import {WaterPlayback} from './water_playback';
import {canRise, raised} from './whatif';

const query = new URLSearchParams(location.search);
const wantedLang = (): Lang => {
  const asked = query.get('lang') ?? navigator.language;
  if (asked === 'easy') return 'easy';
  return asked.startsWith('ja') ? 'ja' : 'en';
};

class Page {
  private state: State;
  private chrome!: Chrome;
  private map!: MapView;
  private city!: City;
  private bridge: Bridge;
  private selectedRow = -1;
  private described = 'null';
  private firstView: string | null = null; // the view described first
  private paintedFor = '';
  private overlays = new Map<string, Overlay>();
  private measuring: Point[] | null = null;
  private water!: WaterPlayback;
  private live = new Live(new URL('../status.json', location.href));
  private places = new CityPlaces(this.live);
  private strip = new OrderStrip(this.live, t, () => this.state.lang, (height) => this.ordered(height));
  matching = 0;
  private player: PeopleBar | null = null;
  private asked = 0; // playbacks wished for, the last one counts

  constructor() {
    this.state = fromHash(location.hash, query.has('lang') || !navigator.language.startsWith('en') ? wantedLang() : 'en');
    if (LANGUAGES.includes(query.get('lang') as Lang)) this.state.lang = query.get('lang') as Lang;
    this.bridge = new Bridge((m) => void this.receive(m));
  }

  async start(): Promise<void> {
    setLang(this.state.lang);
    document.documentElement.lang = htmlLang(this.state.lang);
    const root = document.getElementById('chrome') as HTMLElement;
    const wording = loadOwnWording('../api/messages.json');
    const skeleton = el('div', {class: 'loading', role: 'status'}, t('loading'));
    root.append(skeleton);
    try {
      this.city = await City.load(new URL(query.get('manifest') ?? '../tiles/manifest.json', location.href).href);
      await wording;
    } catch (error) {
      await wording;
      this.broken('error.manifest', 'error.manifest.remedy', error);
      return;
    }
    skeleton.remove();
    document.title = `${this.city.manifest.name} ${t('app')}`;
    const first = this.state.view === null;
    this.state.view ??= this.home();
    if (!new URLSearchParams(location.hash.slice(1)).has('c') && query.get('panel') !== '0') this.state.colourBy = this.worstFlood();
    if (!document.createElement('canvas').getContext('webgl2')) {
      this.broken('error.webgl', 'error.webgl.remedy', null);
      return;
    }
    this.map = new MapView(document.getElementById('map') as HTMLElement, this.city, this.state, {
      click: (hit) => void this.clicked(hit),
      move: (view, bounds) => {
        this.change({view}, false);
        this.bridge.send('view', {bounds, zoom: view.zoom, pitch: view.pitch, bearing: view.bearing});
      },
      fail: (key) => this.fail(key),
      overlayFailed: (id) => this.chrome.overlayFailed(id, this.state)
    });
    this.chrome = new Chrome(root, this.city, this.actions(), query.get('panel') !== '0');
    this.chrome.places = this.places;
    this.chrome.build(this.state);
    this.water = this.playback(root);
    document.documentElement.classList.toggle('embedded', window.parent !== window); // the page around says it
    document.body.prepend(this.strip.box);
    this.strip.start();
    this.fit();
    if (first) this.map.fly(this.home(), true);
    addEventListener('resize', () => {
      this.fit();
      this.water.redraw();
    });
    await this.repaint();
    this.map.draw();
    if (this.state.selected) await this.select(this.state.selected, false);
    addEventListener('keydown', (e) => this.keyboard(e));
    void this.fetchOverlays();
    if (this.chrome.hasPanel) void this.fetchPlaces();
    const deck = query.get('deck');
    if (deck) await this.fetchDeck(deck);
    if (this.state.water) void this.water.show({...this.state.water}, first);
    this.bridge.send('ready');
    setInterval(() => this.chrome.loading(!this.map.stats().loaded), 400);
  }

  private playback(root: HTMLElement): WaterPlayback {
    return new WaterPlayback({
      root, relief: () => this.map.relief, draw: (layers) => this.map.setPlayed(layers), fail: (key) => this.fail(key), say: (key) => this.chrome.toast(t(key)),
      mark: (at) => this.map.mark(at), changed: (water) => this.change({water}, false), pixels: () => this.map.map.getCanvas().width,
      fitTo: (box) => this.map.map.fitBounds(box, {padding: 40, duration: 0, pitch: this.map.view.pitch, bearing: this.map.view.bearing})
    });
  }

  private async fetchPlaces(): Promise<void> {
    await this.places.load(new URL('..', location.href));
    this.map.setPoints(() => (this.chrome.hasPanel ? this.places.layers(this.state.off, this.map.view.zoom) : []));
    this.chrome.render(this.state);
  }

  /** The order was asked for: the page below the strip moves down, and openings are drawn as they are now. */
  private ordered(height: number): void {
    document.documentElement.style.setProperty('--strip', `${height}px`);
    this.map?.map.resize();
    this.map?.draw();
    this.chrome?.renderPlaces(this.state);
  }

  private async fetchOverlays(): Promise<void> {
    const base = new URL('..', location.href).href;
    const {layers, problems} = await loadOverlays(base);
    this.overlays = new Map(layers.map((o) => [o.id, o]));
    if (!location.hash.includes('ov=')) {
      const first = layers.filter((o) => o.visible).map((o) => ({id: o.id, opacity: o.opacity}));
      if (first.length) this.change({overlays: first});
    }
    this.chrome.setOverlays(layers, problems, this.state);
    this.map.setOverlays(this.overlays, base);
  }

  /** A safety map opens with the danger: the assumed depth that concerns most buildings. */
  private worstFlood(): string | null {
    const depths = this.city.manifest.attributes.filter((a) => a.group === 'risk' && a.quantity === 'depth');
    const weight = (a: Attribute): number => (a.known ?? 0) + (a.river ? 0 : 0.5) + (a.scale === 'L2' ? 0.25 : 0);
    return depths.sort((a, b) => weight(b) - weight(a))[0]?.id ?? null;
  }

  private fit(): void {
    const panel = this.chrome.hasPanel;
    const phone = innerWidth <= 700;
    this.map.offset = [panel && !phone ? 186 : 0, panel && phone ? -innerHeight * 0.2 : 0];
  }

  private home(): View {
    const {bbox, center} = this.city.manifest;
    const phone = innerWidth <= 700;
    const span = Math.max(bbox[2] - bbox[0], (bbox[3] - bbox[1]) * 1.2);
    const width = phone ? innerWidth : Math.max(innerWidth - 380, 400);
    const zoom = Math.min(Math.max(Math.log2((width / 512) * (360 / span)) + 0.35, 10), 16);
    const flat = this.state.mode === '2d';
    return {lon: center[0], lat: center[1], zoom, pitch: flat ? 0 : 50, bearing: flat ? 0 : -18};
  }

  /** Change the state: URL, map and panel follow. */
  private change(part: Partial<State>, draw = true): void {
    this.state = {...this.state, ...part};
    history.replaceState(null, '', `#${toHash(this.state)}`);
    if (!draw || !this.map) return;
    this.map.setState(this.state);
    if (part.mode) this.water.redraw();
    this.chrome.render(this.state);
    void this.repaint();
  }

  private async repaint(): Promise<void> {
    const {colourBy, rules, rise} = this.state;
    const key = JSON.stringify([colourBy, rules, rise]);
    if (key === this.paintedFor) return;
    this.paintedFor = key;
    const count = this.city.manifest.buildings.count;
    const attribute = this.city.attribute(colourBy);
    try {
      const column = attribute ? await this.columnOf(attribute, rise) : undefined;
      const full = [];
      for (const rule of rules) {
        const a = this.city.attribute(rule.id);
        if (a) full.push({rule, attribute: a, column: await this.city.column(a)});
      }
      if (key !== this.paintedFor) return; // a newer wish overtook this one
      const {rgb, hatched, shown, matching} = paint(count, attribute, column, full);
      this.matching = matching;
      this.map.setColours(rgb, hatched, rules.length ? shown : null);
    } catch {
      this.paintedFor = '';
      const rgb = new Uint8Array(count * 3);
      for (let i = 0; i < count; i++) rgb.set(BUILDING, i * 3);
      this.map.setColours(rgb, null, null);
      this.fail('error.attribute');
    }
  }

  /** A column as it is, or as it would be with the water higher. */
  private async columnOf(a: Attribute, rise: number): Promise<ArrayLike<number>> {
    const column = await this.city.column(a);
    if (!rise || !canRise(a)) return column;
    if (a.quantity === 'depth') return raised(a, column, rise, undefined, undefined, undefined);
    const other = async (id: string): Promise<ArrayLike<number> | undefined> => {
      const found = this.city.attribute(id);
      return found ? this.city.column(found) : undefined;
    };
    const set = a.id.slice(a.id.indexOf(':') + 1);
    return raised(a, column, rise, await other(`depth:${set}`), await other('storeys_above'), await other('measured_height_m'));
  }

  private async clicked(hit: Hit): Promise<void> {
    if (this.measuring) {
      this.measuring = [...this.measuring, [hit.lon, hit.lat]];
      this.showMeasure();
      return;
    }
    void this.water.click(hit.lon, hit.lat);
    let gmlId: string | null = null;
    if (hit.row !== null) {
      try {
        const record = await this.city.card(hit.row);
        gmlId = String(record.gml_id);
        this.show(hit.row, gmlId, record);
      } catch {
        this.fail('error.card');
      }
    } else {
      this.show(-1, null, null);
      this.chrome.showPlace(this.places.card(hit.properties, () => this.chrome.showPlace(null)));
    }
    this.bridge.send('click', {lon: hit.lon, lat: hit.lat, row: hit.row, gml_id: gmlId, layer: hit.layer, properties: hit.properties});
  }

  private show(row: number, gmlId: string | null, record: Record<string, unknown> | null): void {
    this.selectedRow = row;
    this.map.setSelected(row);
    this.chrome.showCard(record);
    this.change({selected: gmlId}, false);
  }

  private async select(gmlId: string, fly: boolean): Promise<void> {
    const row = await this.city.rowOf(gmlId);
    if (row < 0) return;
    try {
      const record = await this.city.card(row);
      this.show(row, gmlId, record);
      const at = position(record);
      if (fly && at) this.map.fly({lon: at[0], lat: at[1], zoom: Math.max(this.map.view.zoom, 17)});
    } catch {
      this.fail('error.card');
    }
  }

  private actions(): import('./ui/chrome').Actions {
    return {
      colourBy: (colourBy) => this.change({colourBy}),
      toggleEntry: (attribute, k) => this.change({rules: toggled(this.state.rules, attribute, k)}),
      clearRules: () => this.change({rules: []}),
      storeys: (max, min) => {
        const rules = this.state.rules.filter((r) => r.id !== 'storeys_above' || r.in);
        if (max !== null) rules.push({id: 'storeys_above', max});
        if (min !== null) rules.push({id: 'storeys_above', min});
        this.change({rules});
      },
      toggleLayer: (g) => this.change({off: this.state.off.includes(g) ? this.state.off.filter((x) => x !== g) : [...this.state.off, g]}),
      opacity: (opacity) => this.change({opacity}),
      gsi: (gsi) => {
        this.change({gsi});
        this.chrome.build(this.state);
        this.water.rebuild();
      },
      overlayToggle: (id) => {
        const on = this.state.overlays.filter((s) => s.id !== id);
        const o = this.overlays.get(id);
        this.change({overlays: on.length < this.state.overlays.length || !o ? on : [...on, {id, opacity: o.opacity}]});
      },
      overlayFade: (id, opacity) => this.change({overlays: this.state.overlays.map((s) => (s.id === id ? {id, opacity} : s))}),
      overlayMove: (id, up) => {
        const list = [...this.state.overlays];
        const at = list.findIndex((s) => s.id === id);
        const to = at + (up ? 1 : -1);
        if (at < 0 || to < 0 || to >= list.length) return;
        [list[at], list[to]] = [list[to], list[at]];
        this.change({overlays: list});
      },
      rise: (rise) => this.change({rise}),
      measure: () => {
        this.measuring = this.measuring ? null : [];
        this.showMeasure();
      },
      print: () => void this.print(),
      mode: (mode) => {
        this.change({mode});
        this.map.turn({pitch: mode === '2d' ? 0 : 50});
      },
      choose: (f: Found) => {
        if (f.gml_id) void this.select(f.gml_id, true);
        if (Number.isFinite(f.lon)) this.map.fly({lon: f.lon, lat: f.lat, zoom: f.gml_id ? 17.5 : 16});
      },
      closeCard: () => this.show(-1, null, null),
      zoom: (by) => this.map.turn({zoom: this.map.view.zoom + by}),
      north: () => this.map.turn({bearing: 0}),
      tilt: () => this.map.turn({pitch: this.map.view.pitch > 60 ? 0 : this.map.view.pitch + 25}),
      home: () => this.map.fly(this.home()),
      locate: () => this.locate(),
      fullscreen: () => void (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen?.().catch(() => undefined)),
      lang: () => this.setLanguage(nextLang(this.state.lang))
    };
  }

  private showMeasure(): void {
    const points = this.measuring ?? [];
    this.map.setMeasured(points);
    const parts = points.length > 1 ? [t('measure.length', {v: sayLength(lengthM(points))})] : [t('measure.start')];
    if (points.length > 2) parts.push(t('measure.area', {v: sayArea(areaM2(points))}));
    this.chrome.measure(this.measuring ? parts.join('　') : null);
  }

  private async print(): Promise<void> {
    const {url, metresPerPixel, width, height} = await this.map.picture();
    const m = this.city.manifest;
    const shown = this.state.overlays.map((s) => this.overlays.get(s.id)).filter((o) => o !== undefined);
    const name = this.state.lang === 'en' && m.name_en ? m.name_en : m.name;
    const attribute = this.city.attribute(this.state.colourBy);
    const sheet = printSheet({
      title: [document.body.dataset.order === 'drill' ? `【${t('order.mark')}】` : '', name, attribute ? pick(attribute.title) : t('app'), this.state.rise ? t('rise.by', {m: this.state.rise}) : ''].filter(Boolean).join('　'),
      picture: url, bearing: this.map.view.bearing, metresPerPixel, widthPx: width, heightPx: height,
      legend: this.chrome.legends(), credit: this.chrome.credits(shown), note: `${this.map.view.pitch > 5 ? t('print.tilted') : ''}${t('print.note')}`
    });
    document.body.append(sheet);
    await (sheet.querySelector('img') as HTMLImageElement).decode().catch(() => undefined);
    window.print();
  }

  private setLanguage(lang: Lang): void {
    setLang(lang);
    document.documentElement.lang = htmlLang(lang);
    this.change({lang}, false);
    this.chrome.build(this.state);
    this.water.rebuild();
    this.strip.draw();
    this.map.draw();
    if (this.selectedRow >= 0) void this.city.card(this.selectedRow).then((r) => this.chrome.showCard(r));
  }

  private locate(): void {
    if (!navigator.geolocation) return this.fail('error.locate');
    navigator.geolocation.getCurrentPosition(
      (p) => this.map.fly({lon: p.coords.longitude, lat: p.coords.latitude, zoom: 17}), () => this.fail('error.locate'), {enableHighAccuracy: true, timeout: 15000}
    );
  }

  private keyboard(e: KeyboardEvent): void {
    const target = e.target as HTMLElement;
    if (e.ctrlKey || e.metaKey || e.altKey || /INPUT|SELECT|TEXTAREA/.test(target.tagName)) return;
    const step = 120;
    const v = this.map.view;
    const moves: Record<string, () => void> = {
      ArrowLeft: () => this.map.turn(e.shiftKey ? {bearing: v.bearing - 15} : {pan: [-step, 0]}),
      ArrowRight: () => this.map.turn(e.shiftKey ? {bearing: v.bearing + 15} : {pan: [step, 0]}),
      ArrowUp: () => this.map.turn(e.shiftKey ? {pitch: Math.min(v.pitch + 10, 75)} : {pan: [0, -step]}),
      ArrowDown: () => this.map.turn(e.shiftKey ? {pitch: Math.max(v.pitch - 10, 0)} : {pan: [0, step]}),
      '+': () => this.map.turn({zoom: v.zoom + 0.5}), '=': () => this.map.turn({zoom: v.zoom + 0.5}), '-': () => this.map.turn({zoom: v.zoom - 0.5}),
      k: () => this.water.toggle(), n: () => this.map.turn({bearing: 0}), '2': () => this.actions().mode('2d'), '3': () => this.actions().mode('3d'),
      Escape: () => {
        if (this.measuring) this.actions().measure();
        else if (this.selectedRow >= 0) this.show(-1, null, null);
      }
    };
    const move = moves[e.key];
    if (move) {
      e.preventDefault();
      move();
    }
  }

  private async fetchDeck(url: string): Promise<void> {
    const full = new URL(url, location.href);
    if (full.origin !== location.origin) return;
    const response = await fetch(full);
    if (response.ok) this.applyDeck(await response.json());
  }

  private applyDeck(json: unknown): void {
    const described = readDeck(json);
    const view = JSON.stringify(described.view ?? null); // the same view again does not take the person back
    // A link's own view stands before the first described one. After that the page leads to a place, never back.
    const led = this.firstView === null ? !location.hash.includes('v=') : view !== this.firstView;
    if (described.view && view !== this.described && led) this.map.fly(described.view);
    if (this.firstView === null && !led && this.bridge.framed && described.buildings?.mode === '2d') {
      this.map.turn({pitch: 0, bearing: 0}); // a flat map is not seen at a slant
    }
    this.firstView ??= view;
    this.described = view;
    if (described.buildings) this.change(described.buildings);
    this.map.setExtra(described.layers);
    if (this.bridge.framed || described.water) {
      const same = described.water?.name === this.state.water?.name;
      this.change({water: same && described.water ? {...described.water, at: described.water.at ?? this.state.water?.at ?? null} : described.water}, false);
      void this.water.show(this.state.water && {...this.state.water});
    }
  }

  private async receive(m: Incoming): Promise<void> {
    if (m.type === 'deck') this.applyDeck(m.json);
    else if (m.type === 'colour') this.change({colourBy: typeof m.by === 'string' ? m.by : null});
    else if (m.type === 'own') this.own(m);
    else if (m.type === 'filter') this.change({rules: readRules(m.rules)});
    else if (m.type === 'highlight') {
      if (typeof m.gml_id === 'string') await this.select(m.gml_id, m.fly === true);
      else this.show(-1, null, null);
    } else if (m.type === 'lang' && LANGUAGES.includes(m.lang as Lang)) {
      if (m.lang !== this.state.lang) this.setLanguage(m.lang as Lang);
    } else if (m.type === 'people') await this.play(m);
    else if (m.type === 'panel') {
      this.chrome.setPanel(m.visible === true, this.state);
      this.water.rebuild();
      this.fit();
    }
  }

  /** A column that the framing page brings, to colour by. */
  private own({attribute, data}: Incoming): void {
    const given = attribute as Attribute | null;
    if (!given || typeof given.id !== 'string' || !Array.isArray(given.legend) || typeof data !== 'string') return;
    if (!this.city.own(given, data)) this.fail('error.own');
    else {
      this.paintedFor = ''; // the same id may bring other values
      void this.repaint();
    }
  }

  /** An evacuation plan to play: addresses of its people and of its water; no address ends it. */
  private async play({people, water, flood}: Incoming): Promise<void> {
    this.player?.remove();
    this.player = null;
    this.map.setMoving([]);
    const wish = ++this.asked;
    if (typeof people !== 'string') return;
    try {
      const playback = await loadPlayback(people, typeof water === 'string' ? water : null);
      if (wish !== this.asked) return;
      const draw = (): void => this.map.setMoving(playback.layers());
      this.player = new PeopleBar(playback, draw, playback.water ? 'shown' : flood === true ? 'missing' : 'none');
      this.player.show();
      const [west, south, east, north] = playback.bbox;
      this.map.lookAt([west, south, east, north], this.player.height);
      draw();
    } catch (error) {
      console.warn('citymap:', error);
      this.fail('error.people');
    }
  }

  private fail(key: string): void {
    this.chrome?.toast(t(key));
    this.bridge.send('error', {message: t(key)});
  }

  private broken(key: string, remedy: string, error: unknown): void {
    console.warn('citymap:', key, error);
    document.body.append(
      el('div', {class: 'blank', role: 'alert'}, el('h1', {}, t(key)), el('p', {}, t(remedy)), el('p', {}, el('button', {type: 'button', class: 'plain', onclick: () => location.reload()}, t('reload'))))
    );
    this.bridge.send('error', {message: t(key)});
  }

  /** What browser tests look at. */
  get hooks(): object {
    return {
      state: () => this.state, stats: () => this.map?.stats(), matching: () => this.matching, selectedRow: () => this.selectedRow,
      select: (id: string) => this.select(id, true), map: () => this.map?.map,
      player: () => this.player, water: () => this.water?.stats,
      heapMb: () => ((performance as unknown as {memory?: {usedJSHeapSize: number}}).memory?.usedJSHeapSize ?? 0) / 1e6
    };
  }
}

/** Press a legend entry: the filter keeps the pressed ones. */
function toggled(rules: Rule[], attribute: Attribute, k: number | 'nodata'): Rule[] {
  const value = k === 'nodata' ? 'nodata' : entryKey(attribute, k);
  const old = rules.find((r) => r.id === attribute.id && r.in);
  const now = old?.in?.includes(value) ? old.in.filter((x) => x !== value) : [...(old?.in ?? []), value];
  const rest = rules.filter((r) => r !== old);
  return now.length ? [...rest, {id: attribute.id, in: now}] : rest;
}

/** A position of a building's record, by whichever field says it. */
function position(record: Record<string, unknown>): [number, number] | null {
  const {lon, lat, center, bbox} = record as {lon?: number; lat?: number; center?: [number, number]; bbox?: number[]};
  if (typeof lon === 'number' && typeof lat === 'number') return [lon, lat];
  if (Array.isArray(center)) return [center[0], center[1]];
  if (Array.isArray(bbox)) return [(bbox[0] + bbox[2]) / 2, (bbox[1] + bbox[3]) / 2];
  return null;
}

const page = new Page();
(window as unknown as {__citymap: object}).__citymap = page.hooks;
void page.start();
