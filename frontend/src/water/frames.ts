/** A flood result from the server: what it is, and its frames, each fetched once. */
import type {Rgb} from '../manifest';

export type WaterClass = {min: number; max: number | null; colour: Rgb};
export type Described = {
  name: string; stamp: string; parts: string; hours: number[]; rows: number; columns: number; nodes: [number, number][]; nodes_a_side: number;
  epsg: number; box: [number, number, number]; unit_m: number; wall: number; from_m: number; classes: WaterClass[];
  differences: {bounds: number[]; colours: Rgb[]}; max_depth_m: number | null; flooded_area_m2: number | null;
};
export type Curve = {hours: number[]; depths: number[] | null};

const AHEAD = 4; // frames fetched at the same time

/** One result: descriptions and frames as they arrive. */
export class WaterResult {
  readonly frames: (Uint16Array | undefined)[];
  peak: Uint16Array = new Uint16Array(0);
  ground: Float32Array = new Float32Array(0);
  failed = false;
  private next = 0;

  private constructor(readonly about: Described, private readonly base: string) {
    this.frames = new Array(about.hours.length);
  }

  static async load(base: string, name: string): Promise<WaterResult> {
    const here = new URL(`${encodeURIComponent(name)}/`, base).href;
    const answer = await fetch(new URL('play.json', here), {credentials: 'same-origin', cache: 'no-cache'});
    if (!answer.ok) throw new Error(`${answer.status}`);
    const one = new WaterResult((await answer.json()) as Described, here);
    const [ground, peak] = await Promise.all([one.part('ground'), one.part('peak')]);
    one.ground = new Float32Array(ground);
    one.peak = new Uint16Array(peak);
    return one;
  }

  private async part(name: string): Promise<ArrayBuffer> {
    const answer = await fetch(new URL(this.about.parts.replace('{part}', name), this.base), {credentials: 'same-origin'});
    if (!answer.ok) throw new Error(`${answer.status}`);
    const bytes = await answer.arrayBuffer();
    const cells = this.about.rows * this.about.columns;
    if (bytes.byteLength !== cells * (name === 'ground' ? 4 : 2)) throw new Error('short');
    return bytes;
  }

  /** Fetch all frames in the order of time, calling back for each. */
  async fetchAll(arrived: () => void): Promise<void> {
    const worker = async (): Promise<void> => {
      while (this.next < this.frames.length && !this.failed) {
        const n = this.next++;
        this.frames[n] = new Uint16Array(await this.part(String(n)));
        arrived();
      }
    };
    try {
      await Promise.all(Array.from({length: AHEAD}, worker));
    } catch (error) {
      this.failed = true;
      throw error;
    }
  }

  /** The frames around a time (h) and how far it is from the first to the second, 0 to 1. */
  around(hours: number): [number, number, number] {
    return around(this.about.hours, hours);
  }

  ready(hours: number): boolean {
    const [a, b] = this.around(hours);
    return Boolean(this.frames[a] && this.frames[b]);
  }

  async curve(lon: number, lat: number): Promise<Curve> {
    const answer = await fetch(new URL(`curve.json?lon=${lon.toFixed(7)}&lat=${lat.toFixed(7)}`, this.base), {credentials: 'same-origin'});
    if (!answer.ok) throw new Error(`${answer.status}`);
    return (await answer.json()) as Curve;
  }
}

export function around(moments: number[], hours: number): [number, number, number] {
  const last = moments.length - 1;
  if (hours >= moments[last]) return [last, last, 0];
  let b = moments.findIndex((m) => m > hours);
  if (b <= 0) b = Math.min(1, last);
  const a = b - 1 < 0 ? 0 : b - 1;
  const share = moments[b] > moments[a] ? (hours - moments[a]) / (moments[b] - moments[a]) : 0;
  return [a, b, Math.min(Math.max(share, 0), 1)];
}

/** Longitude and latitude of every cell's centre, out of the table of nodes; rows from the north. */
export function positions(about: Described): Float64Array {
  const {rows, columns, nodes, nodes_a_side: side} = about;
  const out = new Float64Array(rows * columns * 2);
  const span = side - 1;
  for (let r = 0; r < rows; r++) {
    const v = rows > 1 ? (r / (rows - 1)) * span : 0;
    const j = Math.min(Math.floor(v), span - 1);
    const fv = v - j;
    for (let c = 0; c < columns; c++) {
      const u = columns > 1 ? (c / (columns - 1)) * span : 0;
      const i = Math.min(Math.floor(u), span - 1);
      const fu = u - i;
      const at = (r * columns + c) * 2;
      for (const k of [0, 1]) {
        const north = nodes[j * side + i][k] * (1 - fu) + nodes[j * side + i + 1][k] * fu;
        const south = nodes[(j + 1) * side + i][k] * (1 - fu) + nodes[(j + 1) * side + i + 1][k] * fu;
        out[at + k] = north * (1 - fv) + south * fv;
      }
    }
  }
  return out;
}

/** Triangles between the centres of cells that are ever wet, and of their neighbours: four cells share a square. */
export function triangles(rows: number, columns: number, ...peaks: {values: Uint16Array; wall: number}[]): Uint32Array {
  const wet = new Uint8Array(rows * columns);
  for (const {values, wall} of peaks) for (let k = 0; k < wet.length; k++) if (values[k] > 0 && values[k] !== wall) wet[k] = 1;
  let count = 0;
  const every = (see: (a: number, b: number, c: number, d: number) => void): void => {
    for (let r = 0; r + 1 < rows; r++) {
      for (let k = r * columns; k + 1 < (r + 1) * columns; k++) {
        if (wet[k] || wet[k + 1] || wet[k + columns] || wet[k + columns + 1]) see(k, k + 1, k + columns, k + columns + 1);
      }
    }
  };
  every(() => count++);
  const out = new Uint32Array(count * 6);
  let at = 0;
  every((a, b, c, d) => {
    out.set([a, c, b, b, c, d], at);
    at += 6;
  });
  return out;
}
