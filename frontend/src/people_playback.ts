/** People, water and closing roads of an evacuation plan, moved in this page alone: one file, no request per frame. */
import {COORDINATE_SYSTEM, type Layer} from '@deck.gl/core';
import {DataFilterExtension} from '@deck.gl/extensions';
import {BitmapLayer, PathLayer, ScatterplotLayer} from '@deck.gl/layers';

import {readPacked, type Packed} from './playback_file';

export type PeopleHead = {bbox: [number, number, number, number]; duration_s: number; status: string[]; people: number; flood_delay_s: number};
export type WaterHead = {corners: [number, number][]; rows: number; columns: number; time_s: number[]; colours: [number, number, number][]};
export const STATES = ['waiting', 'walking', 'driving', 'arrived', 'stranded', 'upstairs', 'stayed'] as const;
export type PersonState = (typeof STATES)[number];
/** Red, green, blue, opacity of each state; who has arrived is no longer drawn. */
export const COLOURS: Record<PersonState, [number, number, number, number]> = {
  waiting: [110, 110, 110, 170], walking: [60, 0, 110, 255], driving: [0, 95, 70, 255], arrived: [0, 0, 0, 0],
  stranded: [214, 0, 36, 255], upstairs: [176, 138, 60, 130], stayed: [110, 110, 110, 90]
};
const RGBA = STATES.map((s) => COLOURS[s]);
const RADII = STATES.map((s) => (s === 'walking' || s === 'driving' || s === 'stranded' ? 2.4 : 1.1)); // pixels
const STEPS = 65535;
const WATER_ALPHA = 150;

/** Positions and states of all households at a moment, kept in typed arrays. */
export class People {
  readonly count: number;
  readonly duration: number;
  readonly origin: [number, number];
  /** Offsets from `origin` in degrees: lon, lat of each household. */
  readonly positions: Float32Array;
  readonly colours: Uint8Array;
  readonly radii: Float32Array;
  /** People (not households) in each of `STATES`. */
  readonly counted = new Float64Array(STATES.length);
  coloursChanged = true;
  private readonly start: Uint32Array;
  private readonly x: Float32Array;
  private readonly y: Float32Array;
  private readonly t: Float32Array;
  private readonly at: Uint32Array; // the vertex last passed
  private readonly size: Uint8Array;
  private readonly moving: Uint8Array; // the state on the way
  private readonly final: Uint8Array; // the state after it
  private readonly state: Uint8Array;
  private now = -1;

  constructor({head, arrays: a}: Packed<PeopleHead>) {
    const [west, south, east, north] = head.bbox;
    this.origin = [(west + east) / 2, (south + north) / 2];
    this.duration = head.duration_s;
    this.start = a.start as Uint32Array;
    this.count = a.start.length - 1;
    this.x = Float32Array.from(a.x, (v) => west + (v / STEPS) * (east - west) - this.origin[0]);
    this.y = Float32Array.from(a.y, (v) => south + (v / STEPS) * (north - south) - this.origin[1]);
    this.t = Float32Array.from(a.t, (v) => (v / STEPS) * head.duration_s);
    this.size = a.size as Uint8Array;
    const final = head.status.map((s) => STATES.indexOf(({evacuated: 'arrived', vertical: 'upstairs', stranded: 'stranded', stayed: 'stayed', waiting: 'waiting'} as Record<string, PersonState>)[s]));
    this.moving = Uint8Array.from(a.car, (car) => (car ? 2 : 1));
    this.final = Uint8Array.from(a.status, (s, i) => (final[s] < 0 ? this.moving[i] : final[s]));
    this.at = this.start.slice(0, this.count);
    this.state = new Uint8Array(this.count).fill(255);
    this.positions = new Float32Array(this.count * 2);
    this.colours = new Uint8Array(this.count * 4);
    this.radii = new Float32Array(this.count);
  }

  /** Whether anybody is ever in this state. */
  occurs(state: PersonState): boolean {
    const k = STATES.indexOf(state);
    return this.final.includes(k) || (k === 0) || ((k === 1 || k === 2) && this.moving.some((m, i) => m === k && this.start[i + 1] - this.start[i] > 1));
  }

  /** Move everybody to a time (s); forwards each looks at the next vertex only. */
  moveTo(time: number): void {
    const {start, x, y, t, at, positions, colours, radii, state, final, moving, size, counted} = this;
    if (time < this.now) at.set(start.subarray(0, this.count));
    this.now = time;
    counted.fill(0);
    let changed = false;
    for (let i = 0; i < this.count; i++) {
      const last = start[i + 1] - 1;
      let k = at[i];
      while (k < last && t[k + 1] <= time) k++;
      at[i] = k;
      let now: number;
      if (k === last) {
        now = t[last] <= time || start[i] === last ? final[i] : 0;
        // who never sets out is at home until told otherwise
        if (start[i] === last && t[last] > time && now !== 5 && now !== 6) now = 0;
        positions[2 * i] = x[last];
        positions[2 * i + 1] = y[last];
      } else if (t[k] > time) {
        now = 0;
        positions[2 * i] = x[k];
        positions[2 * i + 1] = y[k];
      } else {
        const share = (time - t[k]) / (t[k + 1] - t[k]);
        now = moving[i];
        positions[2 * i] = x[k] + share * (x[k + 1] - x[k]);
        positions[2 * i + 1] = y[k] + share * (y[k + 1] - y[k]);
      }
      counted[now] += size[i];
      if (state[i] !== now) {
        state[i] = now;
        changed = true;
        const c = RGBA[now];
        radii[i] = RADII[now];
        colours[4 * i] = c[0];
        colours[4 * i + 1] = c[1];
        colours[4 * i + 2] = c[2];
        colours[4 * i + 3] = c[3];
      }
    }
    this.coloursChanged = changed;
  }
}

/** The water's pictures by time; one is made when its time comes. */
export class WaterFrames {
  readonly corners: [number, number][];
  private made = -1;
  private image: ImageData | null = null;
  private readonly palette: Uint32Array;

  constructor(private readonly file: Packed<WaterHead>, private readonly delay: number) {
    this.corners = file.head.corners;
    this.palette = new Uint32Array(256);
    file.head.colours.forEach(([r, g, b], k) => (this.palette[k + 1] = ((WATER_ALPHA << 24) | (b << 16) | (g << 8) | r) >>> 0));
  }

  /** The picture of the last output time not after `time`; null before the first. */
  at(time: number): ImageData | null {
    const {rows, columns, time_s: times} = this.file.head;
    let k = times.length - 1;
    while (k >= 0 && times[k] + this.delay > time) k--;
    if (k === this.made) return this.image;
    this.made = k;
    if (k < 0) return (this.image = null);
    const cells = rows * columns;
    const pixels = new Uint32Array(cells);
    const classes = this.file.arrays.class.subarray(k * cells, (k + 1) * cells);
    for (let i = 0; i < cells; i++) pixels[i] = this.palette[classes[i]];
    return (this.image = new ImageData(new Uint8ClampedArray(pixels.buffer), columns, rows));
  }
}

const filter = new DataFilterExtension({filterSize: 1});

/** The layers of a playback at its moment. */
export class Playback {
  readonly people: People;
  readonly bbox: [number, number, number, number];
  private readonly roads: {length: number; startIndices: Uint32Array; attributes: object};
  private readonly closes: Float32Array;
  private colourValue: {value: Uint8Array; size: number};
  private radiusValue: {value: Float32Array; size: number};
  time = 0;

  constructor(file: Packed<PeopleHead>, readonly water: WaterFrames | null) {
    this.people = new People(file);
    this.bbox = file.head.bbox;
    const {road_start: start, road_x: x, road_y: y, closes} = file.arrays;
    const [west, south, east, north] = file.head.bbox;
    const points = new Float64Array(x.length * 2);
    for (let i = 0; i < x.length; i++) {
      points[2 * i] = west + (x[i] / STEPS) * (east - west);
      points[2 * i + 1] = south + (y[i] / STEPS) * (north - south);
    }
    this.closes = Float32Array.from(closes, (v) => (v / STEPS) * file.head.duration_s);
    this.roads = {length: closes.length, startIndices: start.slice(0, closes.length) as Uint32Array, attributes: {getPath: {value: points, size: 2}}};
    this.colourValue = {value: this.people.colours, size: 4};
    this.radiusValue = {value: this.people.radii, size: 1};
    this.moveTo(0);
  }

  /** Roads closed by now. */
  get closed(): number {
    let n = 0;
    while (n < this.closes.length && this.closes[n] <= this.time) n++;
    return n;
  }

  moveTo(time: number): void {
    this.time = time;
    this.people.moveTo(time);
    if (!this.people.coloursChanged) return; // the same object is not sent to the graphics card again
    this.colourValue = {value: this.people.colours, size: 4};
    this.radiusValue = {value: this.people.radii, size: 1};
  }

  layers(): Layer[] {
    const {people, closes} = this;
    const image = this.water?.at(this.time) ?? null;
    const layers: Layer[] = [];
    if (image && this.water) layers.push(new BitmapLayer({id: 'playback-water', image, bounds: this.water.corners as never}));
    if (this.roads.length) {
      layers.push(new PathLayer({
        id: 'playback-roads', data: this.roads as never, _pathType: 'open', positionFormat: 'XY', getColor: [196, 0, 40, 170], getWidth: 2, widthUnits: 'pixels',
        extensions: [filter], getFilterValue: ((_: unknown, {index}: {index: number}) => closes[index]) as never, filterRange: [-1, this.time]
      } as never));
    }
    layers.push(new ScatterplotLayer({
      id: 'playback-people', coordinateSystem: COORDINATE_SYSTEM.LNGLAT_OFFSETS, coordinateOrigin: [...people.origin, 0],
      data: {length: people.count, attributes: {getPosition: {value: people.positions, size: 2}, getFillColor: this.colourValue, getRadius: this.radiusValue}} as never,
      radiusUnits: 'pixels', parameters: {depthCompare: 'always'} as never
    }));
    return layers;
  }
}

/** Fetch the files of a plan, of our own origin only. */
export async function loadPlayback(people: string, water: string | null): Promise<Playback> {
  const fetched = async (url: string): Promise<ArrayBuffer> => {
    const full = new URL(url, location.href);
    if (full.origin !== location.origin) throw new Error('foreign URL');
    const response = await fetch(full, {credentials: 'same-origin'});
    if (!response.ok) throw new Error(`${response.status}`);
    return response.arrayBuffer();
  };
  const file = readPacked<PeopleHead>(await fetched(people));
  const frames = water ? new WaterFrames(readPacked<WaterHead>(await fetched(water)), file.head.flood_delay_s) : null;
  return new Playback(file, frames);
}
