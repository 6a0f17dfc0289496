/** The small map of the area: lines and names that the page brought along, drawn on a canvas. */
import type {LonLat} from './exif';

export type Named = {name: string; at: [number, number]};
export type AreaData = {
  bbox: [number, number, number, number]; steps: number;
  lines: Record<'water' | 'rail' | 'wide' | 'narrow' | 'district', number[][]>; districts: Named[]; landmarks: Named[];
};
type Point = [number, number]; // metres east and north of the area's south-west corner

const METRES_PER_DEGREE = 111_320;
const COLOURS = {land: '#f3f1ec', water: '#a9cbe3', wide: '#ffffff', case: '#a9a59b', narrow: '#c9c5bb', district: '#8a8f98', rail: '#7b8087'};
const MOST = 4; // pixels a metre

/** Between degrees and metres of the plane around the area's middle. */
export class Plane {
  readonly width: number;
  readonly height: number;
  private readonly perLon: number;
  constructor(private readonly data: Pick<AreaData, 'bbox' | 'steps'>) {
    const [west, south, east, north] = data.bbox;
    this.perLon = METRES_PER_DEGREE * Math.cos((((south + north) / 2) * Math.PI) / 180);
    this.width = (east - west) * this.perLon;
    this.height = (north - south) * METRES_PER_DEGREE;
  }
  metres = ({lon, lat}: LonLat): Point => [(lon - this.data.bbox[0]) * this.perLon, (lat - this.data.bbox[1]) * METRES_PER_DEGREE];
  degrees = ([x, y]: Point): LonLat => ({lon: this.data.bbox[0] + x / this.perLon, lat: this.data.bbox[1] + y / METRES_PER_DEGREE});
  step = ([x, y]: [number, number]): Point => [(x / this.data.steps) * this.width, (y / this.data.steps) * this.height];

  /** The points of a coded line. */
  line(coded: number[]): Point[] {
    let x = coded[0];
    let y = coded[1];
    const points: Point[] = [this.step([x, y])];
    for (let i = 2; i + 1 < coded.length; i += 2) {
      x += coded[i];
      y += coded[i + 1];
      points.push(this.step([x, y]));
    }
    return points;
  }
}

/** The nearest landmark within `within` metres. */
export function nearest(data: AreaData, at: LonLat, within = 300): string | null {
  const plane = new Plane(data);
  const [x, y] = plane.metres(at);
  let best: string | null = null;
  let least = within;
  for (const mark of data.landmarks) {
    const [mx, my] = plane.step(mark.at);
    const away = Math.hypot(mx - x, my - y);
    if (away < least) [best, least] = [mark.name, away];
  }
  return best;
}

export class AreaMap {
  readonly canvas = document.createElement('canvas');
  private readonly plane: Plane;
  private readonly paths = new Map<string, Path2D>();
  private middle: Point;
  private scale = 0; // pixels a metre; 0: not laid out yet
  private mark: {at: Point; accuracy: number | null} | null = null;
  private pointers = new Map<number, {x: number; y: number}>();
  private moved = 0;
  private drawing = 0;

  constructor(private readonly data: AreaData, private readonly chosen: (at: LonLat) => void, label: string) {
    this.plane = new Plane(data);
    this.middle = [this.plane.width / 2, this.plane.height / 2];
    for (const [name, lines] of Object.entries(data.lines)) {
      const path = new Path2D();
      for (const coded of lines) {
        this.plane.line(coded).forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
      }
      this.paths.set(name, path);
    }
    const canvas = this.canvas;
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'application');
    canvas.setAttribute('aria-label', label);
    canvas.addEventListener('pointerdown', this.down);
    canvas.addEventListener('pointermove', this.move);
    canvas.addEventListener('pointerup', this.up);
    canvas.addEventListener('pointercancel', this.up);
    canvas.addEventListener('wheel', this.wheel, {passive: false});
    canvas.addEventListener('keydown', this.key);
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Put the mark; `look` brings it into the middle. */
  show(at: LonLat | null, accuracy: number | null, look: boolean): void {
    this.mark = at && {at: this.plane.metres(at), accuracy};
    if (this.mark && look) {
      this.middle = [...this.mark.at];
      this.scale = Math.max(this.scale, accuracy ? Math.min(1, 60 / accuracy) : 0.6);
    }
    this.draw();
  }

  zoom(by: number): void {
    this.scaleBy(by, this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
  }

  private at(px: number, py: number): Point {
    return [
      this.middle[0] + (px - this.canvas.clientWidth / 2) / this.scale,
      this.middle[1] - (py - this.canvas.clientHeight / 2) / this.scale
    ];
  }

  private scaleBy(by: number, px: number, py: number): void {
    const held = this.at(px, py);
    const least = Math.min(this.canvas.clientWidth / this.plane.width, this.canvas.clientHeight / this.plane.height) * 0.8;
    this.scale = Math.min(MOST, Math.max(least, this.scale * by));
    const now = this.at(px, py);
    this.middle = [this.middle[0] + held[0] - now[0], this.middle[1] + held[1] - now[1]];
    this.draw();
  }

  private pan(dx: number, dy: number): void {
    const clamp = (value: number, most: number) => Math.min(most, Math.max(0, value));
    this.middle = [clamp(this.middle[0] - dx / this.scale, this.plane.width), clamp(this.middle[1] + dy / this.scale, this.plane.height)];
    this.draw();
  }

  private place(event: PointerEvent): {x: number; y: number} {
    const box = this.canvas.getBoundingClientRect();
    return {x: event.clientX - box.left, y: event.clientY - box.top};
  }

  private down = (event: PointerEvent): void => {
    this.canvas.setPointerCapture(event.pointerId);
    if (!this.pointers.size) this.moved = 0;
    this.pointers.set(event.pointerId, this.place(event));
  };

  private move = (event: PointerEvent): void => {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.place(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (other) {
      const apart = (p: {x: number; y: number}) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
      this.scaleBy(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else if (this.moved > 6) this.pan(now.x - before.x, now.y - before.y);
    this.pointers.set(event.pointerId, now);
  };

  private up = (event: PointerEvent): void => {
    const one = this.pointers.delete(event.pointerId) && this.pointers.size === 0;
    if (one && event.type === 'pointerup' && this.moved <= 6) {
      const {x, y} = this.place(event);
      this.chosen(this.plane.degrees(this.at(x, y)));
    }
  };

  private wheel = (event: WheelEvent): void => {
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    this.scaleBy(event.deltaY < 0 ? 1.25 : 0.8, event.clientX - box.left, event.clientY - box.top);
  };

  private key = (event: KeyboardEvent): void => {
    const step: Record<string, [number, number]> = {ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40]};
    if (event.key in step) this.pan(...step[event.key]);
    else if (event.key === '+' || event.key === '=') this.zoom(1.5);
    else if (event.key === '-') this.zoom(1 / 1.5);
    else if (event.key === 'Enter' || event.key === ' ') this.chosen(this.plane.degrees(this.middle));
    else return;
    event.preventDefault();
  };

  private draw(): void {
    this.drawing ||= requestAnimationFrame(() => {
      this.drawing = 0;
      this.paint();
    });
  }

  private paint(): void {
    const {canvas, middle} = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    if (!this.scale) this.scale = Math.max(width / this.plane.width, height / this.plane.height);
    const {scale} = this;
    const ratio = Math.min(3, devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext('2d')!;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = COLOURS.land;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.setTransform(ratio * scale, 0, 0, -ratio * scale, ratio * (width / 2 - middle[0] * scale), ratio * (height / 2 + middle[1] * scale));
    context.lineJoin = context.lineCap = 'round';
    const stroke = (name: string, colour: string, px: number, dash: number[] = []) => {
      context.strokeStyle = colour;
      context.lineWidth = px / scale;
      context.setLineDash(dash.map((d) => d / scale));
      context.stroke(this.paths.get(name)!);
    };
    context.fillStyle = COLOURS.water;
    context.fill(this.paths.get('water')!, 'evenodd');
    stroke('water', COLOURS.water, 1.5);
    stroke('district', COLOURS.district, 1, [3, 4]);
    if (scale > 0.05) stroke('narrow', COLOURS.narrow, Math.max(1.2, 5 * scale));
    stroke('wide', COLOURS.case, Math.max(3.5, 12 * scale));
    stroke('wide', COLOURS.wide, Math.max(2, 9 * scale));
    stroke('rail', COLOURS.rail, 2.5, [8, 4]);
    context.setLineDash([]);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.write(context, width, height);
    if (this.mark) this.pin(context, this.pixel(this.mark.at), this.mark.accuracy);
  }

  private pixel([x, y]: Point): Point {
    return [this.canvas.clientWidth / 2 + (x - this.middle[0]) * this.scale, this.canvas.clientHeight / 2 - (y - this.middle[1]) * this.scale];
  }

  /** Names, the wide areas first; one that would lie over another is left out. */
  private write(context: CanvasRenderingContext2D, width: number, height: number): void {
    const taken: [number, number, number, number][] = [];
    const family = "'BIZ UDPGothic', 'Hiragino Sans', 'Noto Sans JP', 'Noto Sans CJK JP', sans-serif";
    context.textAlign = 'center';
    context.lineWidth = 3;
    const one = (mark: Named, size: number, colour: string, dot: boolean): void => {
      const [x, y] = this.pixel(this.plane.step(mark.at));
      if (x < 0 || y < 0 || x > width || y > height) return;
      context.font = `${size}px ${family}`;
      const half = context.measureText(mark.name).width / 2 + 4;
      const box: [number, number, number, number] = [x - half, y - size - 6, x + half, y + 6];
      if (taken.some((b) => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1])) return;
      taken.push(box);
      context.strokeStyle = '#fff';
      context.strokeText(mark.name, x, y - 5);
      context.fillStyle = colour;
      context.fillText(mark.name, x, y - 5);
      if (dot) {
        context.beginPath();
        context.arc(x, y, 3, 0, 7);
        context.fill();
      }
    };
    if (this.scale > 0.12) this.data.landmarks.forEach((mark) => one(mark, 12, '#1a4f2e', true));
    this.data.districts.forEach((mark) => one(mark, 13, '#4d4f55', false));
  }

  private pin(context: CanvasRenderingContext2D, [x, y]: Point, accuracy: number | null): void {
    if (accuracy && accuracy * this.scale > 8) {
      context.beginPath();
      context.arc(x, y, accuracy * this.scale, 0, 7);
      context.fillStyle = 'rgb(0 23 193 / 14%)';
      context.fill();
    }
    context.beginPath();
    context.moveTo(x, y);
    context.bezierCurveTo(x - 5, y - 12, x - 13, y - 16, x - 13, y - 26);
    context.arc(x, y - 26, 13, Math.PI, 0);
    context.bezierCurveTo(x + 13, y - 16, x + 5, y - 12, x, y);
    context.fillStyle = '#ce0000';
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = '#fff';
    context.stroke();
    context.beginPath();
    context.arc(x, y - 26, 5, 0, 7);
    context.fillStyle = '#fff';
    context.fill();
  }
}
