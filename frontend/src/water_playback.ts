/** Plays flood results over the city: the clock, the water of the moment, two results compared, curves at points. */
import type {Layer} from '@deck.gl/core';

import {t} from './i18n';
import {PlaybackClock, clockBar} from './playback_clock';
import {curveBox} from './water/curve_box';
import {WaterResult, positions, triangles, type Curve} from './water/frames';
import {DIFFERENCE, SIMPLE, WaterSurfaceLayer, type Moment, type SurfaceProps} from './water/surface_layer';
import {waterLegend} from './water/water_legend';
import {PEAK, shareLink, type WaterWish} from './water/wish';
import {el} from './ui/dom';

type Host = {
  root: HTMLElement; relief: () => {datum: number | null; geoid: number}; draw: (layers: Layer[]) => void; fail: (key: string) => void; say: (key: string) => void;
  mark: (at: {lon: number; lat: number} | null) => void; changed: (wish: WaterWish) => void; pixels: () => number; fitTo: (box: [number, number, number, number]) => void;
};
type Side = {result: WaterResult; vertices: Float64Array};

const OPACITY = 0.78;

export class WaterPlayback {
  private wish: WaterWish | null = null;
  private before: Side | null = null;
  private after: Side | null = null;
  private indices: Uint32Array[] = [];
  private clock: PlaybackClock | null = null;
  private peak = false;
  private split = 0.5;
  private box: HTMLElement | null = null;
  private bar: HTMLElement | null = null;
  private divider: HTMLElement | null = null;
  private chart: HTMLElement | null = null;
  private pressed: {lon: number; lat: number; curves: {name: string; curve: Curve}[]} | null = null;
  private turn = 0;
  private failed = false;

  constructor(private host: Host) {}

  get active(): boolean {
    return this.wish !== null;
  }

  /** For tests: where the clock is, how many frames are there. */
  get stats(): object | null {
    if (!this.before || !this.clock) return null;
    const there = (s: Side | null): number => s?.result.frames.filter(Boolean).length ?? 0;
    return {...this.clock.state, peak: this.peak, frames: there(this.before), framesAfter: there(this.after), of: this.before.result.frames.length, failed: this.failed, wish: this.wish};
  }

  /** Play this, or nothing. The same wish again changes nothing. */
  async show(wish: WaterWish | null, fit = false): Promise<void> {
    const same = (a: WaterWish | null): string => (a ? `${a.name}~${a.versus}~${a.how}` : '');
    if (same(wish) === same(this.wish)) {
      if (this.wish) this.wish.silent = wish?.silent;
      if (wish?.silent) this.forget();
      return;
    }
    const turn = ++this.turn;
    const keep = wish && this.wish && wish.name === this.wish.name ? this.before : null;
    this.close();
    this.wish = wish;
    if (!wish) return;
    try {
      const base = new URL('../api/flood/', location.href).href;
      const load = async (name: string): Promise<Side> => {
        const result = await WaterResult.load(base, name);
        return {result, vertices: positions(result.about)};
      };
      const [before, after] = await Promise.all([keep ?? load(wish.name), wish.versus ? load(wish.versus) : null]);
      if (turn !== this.turn) return;
      if (after && wish.how === 'difference' && after.result.about.epsg !== before.result.about.epsg) throw new Error('another CRS');
      this.begin(before, after, wish, fit);
    } catch (error) {
      if (turn !== this.turn) return;
      console.warn('citymap:', error);
      this.failed = true;
      this.host.fail('water.failed');
    }
  }

  private begin(before: Side, after: Side | null, wish: WaterWish, fit: boolean): void {
    [this.before, this.after] = [before, after];
    const {about} = before.result;
    const size = (s: Side): {rows: number; columns: number} => s.result.about;
    const peakOf = (s: Side): {values: Uint16Array; wall: number} => ({values: s.result.peak, wall: s.result.about.wall});
    const sameGrid = after && size(after).rows === about.rows && size(after).columns === about.columns && String(after.result.about.box) === String(about.box);
    if (after && wish.how === 'difference') {
      const all = {values: new Uint16Array(about.rows * about.columns).fill(1), wall: about.wall};
      this.indices = [sameGrid ? triangles(about.rows, about.columns, peakOf(before), peakOf(after)) : triangles(about.rows, about.columns, all)];
    } else this.indices = [before, ...(after ? [after] : [])].map((s) => triangles(size(s).rows, size(s).columns, peakOf(s)));
    const moments = [...new Set([...about.hours, ...(after?.result.about.hours ?? [])])].sort((a, b) => a - b);
    this.clock = new PlaybackClock({
      moments, stepped: matchMedia('(prefers-reduced-motion: reduce)').matches,
      ready: (h) => [before, after].every((s) => !s || s.result.failed || s.result.ready(h))
    });
    this.peak = wish.at === null || wish.at === PEAK; // first what people ask first: how deep at most
    if (wish.at !== null && wish.at !== PEAK) this.clock.seek(wish.at);
    this.build();
    let {hours: last, playing: was} = this.clock.state;
    this.clock.on(({hours, playing}) => {
      if (playing || hours !== last) this.setPeak(false);
      last = hours;
      if (this.wish) this.wish.at = this.peak ? PEAK : hours;
      this.draw();
      this.moveCursor();
      if (was && !playing) this.report();
      was = playing;
    });
    for (const side of [before, after]) {
      side?.result.fetchAll(() => this.draw()).catch(() => {
        this.failed = true;
        this.host.fail('water.failed');
      });
    }
    if (fit) {
      const v = before.vertices;
      const n = v.length;
      this.host.fitTo([Math.min(v[0], v[n - 2]), Math.min(v[1], v[n - 1]), Math.max(v[0], v[n - 2]), Math.max(v[1], v[n - 1])]);
    }
    this.draw();
  }

  /** Tell the page what is shown, for the link. */
  private report(): void {
    if (this.wish) this.host.changed({...this.wish});
  }

  private setPeak(on: boolean): void {
    this.peak = on;
    const button = this.box?.querySelector('[data-key="peak"]');
    button?.setAttribute('aria-pressed', String(on));
    this.bar?.classList.toggle('aside', on);
  }

  private build(): void {
    const clock = this.clock as PlaybackClock;
    const {wish} = this;
    if (!wish || !this.before) return;
    const peak = el('button', {
      type: 'button', class: 'word', 'data-key': 'peak', 'aria-pressed': String(this.peak), title: t('water.peak.about'),
      onclick: () => {
        clock.pause();
        this.setPeak(!this.peak);
        if (this.wish) this.wish.at = this.peak ? PEAK : clock.state.hours;
        this.draw();
        this.report();
      }
    }, t('water.peak'));
    const share = el('button', {type: 'button', class: 'word', 'data-key': 'share', title: t('water.share.about'), onclick: () => void this.share()}, t('water.share'));
    const bar = this.bar = clockBar(clock, {label: t('water.time'), more: [peak, share]});
    bar.classList.toggle('aside', this.peak);
    bar.querySelector('input')?.addEventListener('change', () => this.report());
    this.chart = el('div', {class: 'water-chart', hidden: true});
    const words = wish.versus ? t(wish.how === 'side' ? 'water.how.side' : 'water.how.difference', {a: wish.name, b: wish.versus}) : wish.name;
    const legend = waterLegend(this.before.result.about, this.after && wish.how === 'difference' ? 'difference' : 'depth');
    this.box = el('section', {class: 'playback', 'aria-label': t('water')},
      el('details', {class: 'water-head', open: innerWidth > 700 && innerHeight > 420}, el('summary', {}, words), legend), this.chart, bar);
    this.host.root.append(this.box);
    document.documentElement.classList.add('playing-water');
    if (this.after && wish.how === 'side') this.buildDivider(wish);
  }

  private buildDivider(wish: WaterWish): void {
    const place = (): void => {
      if (!this.divider) return;
      this.divider.style.left = `${this.split * 100}%`;
      this.divider.setAttribute('aria-valuenow', String(Math.round(this.split * 100)));
      this.draw();
    };
    const to = (share: number): void => {
      this.split = Math.min(Math.max(share, 0.05), 0.95);
      place();
    };
    const handle = el('div', {
      class: 'water-divider', role: 'slider', tabindex: '0', 'aria-label': t('water.divider'), 'aria-valuemin': '5', 'aria-valuemax': '95',
      onpointerdown: (e: PointerEvent) => handle.setPointerCapture(e.pointerId),
      onpointermove: (e: PointerEvent) => handle.hasPointerCapture(e.pointerId) && to(e.clientX / innerWidth),
      onkeydown: (e: KeyboardEvent) => {
        const by = {ArrowLeft: -0.02, ArrowRight: 0.02}[e.key];
        if (!by) return;
        e.preventDefault();
        e.stopPropagation();
        to(this.split + by);
      }
    }, el('span', {class: 'left'}, wish.name), el('span', {class: 'grip', 'aria-hidden': 'true'}), el('span', {class: 'right'}, wish.versus ?? ''));
    this.divider = handle;
    this.host.root.append(handle);
    place();
  }

  private async share(): Promise<void> {
    this.report();
    const link = shareLink(location.href, this.wish);
    try {
      await navigator.clipboard.writeText(link);
      this.host.say('water.shared');
    } catch {
      window.prompt(t('water.share.about'), link);
    }
  }

  private moment(side: Side): Moment | null {
    const {result} = side;
    const {rows, columns} = result.about;
    if (this.peak) return {a: result.peak, b: result.peak, share: 0, rows, columns};
    const [i, j, share] = result.around(this.clock?.state.hours ?? 0);
    const a = result.frames[i];
    if (!a) return null;
    return {a, b: result.frames[j] ?? a, share: result.frames[j] ? share : 0, rows, columns};
  }

  private draw(): void {
    const {before, after, wish} = this;
    if (!before || !wish) return;
    const now = this.moment(before);
    const then = after && this.moment(after);
    const {datum, geoid} = this.host.relief();
    const common = {datum: datum === null ? 0 : datum - geoid, relief: datum !== null, opacity: OPACITY, split: this.split * this.host.pixels()};
    const layer = (id: string, s: Side, n: number, m: Moment, more: Partial<SurfaceProps>): Layer => {
      const {about, ground} = s.result;
      return new WaterSurfaceLayer({
        id, about, vertices: s.vertices, indices: this.indices[n], ground, now: m, then: null, other: [1, 1, 0, 0], how: SIMPLE, side: 0, pickable: false, ...common, ...more
      }) as unknown as Layer;
    };
    const layers: Layer[] = [];
    const mode = `${wish.name}-${wish.versus ?? ''}-${wish.how}`;
    if (after && wish.how === 'difference') {
      if (now && then) layers.push(layer(`water-d-${mode}`, before, 0, now, {then, other: onto(before, after), how: DIFFERENCE}));
    } else {
      if (now) layers.push(layer(`water-a-${mode}`, before, 0, now, {side: after ? -1 : 0}));
      if (after && then) layers.push(layer(`water-b-${mode}`, after, 1, then, {side: 1}));
    }
    this.host.draw(layers);
  }

  /** The map was changed beneath: the relief came or went, or the size. */
  redraw(): void {
    this.draw();
  }

  /** A press on the map: the depth there in time, of both results. */
  async click(lon: number, lat: number): Promise<void> {
    const sides = [this.before, this.after].filter((s): s is Side => s !== null);
    const turn = this.turn;
    if (!sides.length || this.wish?.silent) return;
    try {
      const curves = await Promise.all(sides.map(async (s) => ({name: s.result.about.name, curve: await s.result.curve(lon, lat)})));
      if (turn !== this.turn) return;
      this.pressed = {lon, lat, curves};
      this.drawChart();
    } catch {
      this.host.fail('water.failed');
    }
  }

  private drawChart(): void {
    if (!this.chart || !this.pressed || !this.before) return;
    const box = curveBox(this.pressed.curves, this.before.result.about.classes, () => this.forget());
    this.chart.replaceChildren(box);
    this.chart.hidden = false;
    this.moveCursor();
    this.host.mark(this.pressed);
  }

  /** Put the curve away. */
  private forget(): void {
    if (!this.pressed) return;
    this.pressed = null;
    if (this.chart) this.chart.hidden = true;
    this.host.mark(null);
  }

  private moveCursor(): void {
    const cursor = this.chart?.querySelector<SVGLineElement>('line.now');
    if (!cursor || !this.clock) return;
    const [x0, x1, h0, h1] = (cursor.dataset.scale ?? '0,1,0,1').split(',').map(Number);
    const x = x0 + ((this.clock.state.hours - h0) / (h1 - h0 || 1)) * (x1 - x0);
    cursor.setAttribute('x1', String(x));
    cursor.setAttribute('x2', String(x));
    cursor.style.visibility = this.peak ? 'hidden' : 'visible';
  }

  /** Toggle of the keyboard. */
  toggle(): void {
    this.clock?.toggle();
  }

  /** Texts again, in the language of now. */
  rebuild(): void {
    if (!this.box) return;
    this.bar?.remove();
    this.box.remove();
    this.divider?.remove();
    this.divider = null;
    this.build();
    this.drawChart();
  }

  private close(): void {
    this.clock?.close();
    this.box?.remove();
    this.divider?.remove();
    [this.clock, this.box, this.divider, this.chart, this.before, this.after, this.pressed] = [null, null, null, null, null, null, null];
    this.wish = null;
    this.failed = false;
    document.documentElement.classList.remove('playing-water');
    this.host.mark(null);
    this.host.draw([]);
  }
}

/** From a cell of one grid to the cell of another in the same CRS. */
function onto(from: Side, to: Side): [number, number, number, number] {
  const [x0, y0, d] = from.result.about.box;
  const [x1, y1, e] = to.result.about.box;
  return [d / e, d / e, (x0 + d / 2 - x1) / e - 0.5, (y1 - (y0 - d / 2)) / e - 0.5];
}
