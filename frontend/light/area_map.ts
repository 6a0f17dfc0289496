/** The small map on a canvas: lines and names, moved by finger, wheel and keys. Pages draw their own marks over it. */
import {type AreaData, type LonLat, Plane, type Point} from './area';

const COLOURS = {land: '#f3f1ec', water: '#a9cbe3', wide: '#ffffff', edge: '#a9a59b', narrow: '#c9c5bb', district: '#8a8f98', rail: '#7b8087'};
const FONT = "'BIZ UDPGothic', 'Hiragino Sans', 'Noto Sans JP', 'Noto Sans CJK JP', sans-serif";
export const MOST = 4; // pixels a metre
const STILL = 6; // pixels that a finger may move and still tap

/** Writes a name at a pixel, unless it would lie over one that was written before. */
export type Write = (name: string, at: Point, size: number, colour: string, dot?: boolean) => void;

export abstract class AreaMap {
  readonly canvas = document.createElement('canvas');
  protected readonly plane: Plane;
  protected middle: Point;
  protected scale = 0; // pixels a metre; 0: not laid out yet
  private readonly paths = new Map<string, Path2D>();
  private pointers = new Map<number, Point>();
  private moved = 0;
  private drawing = 0;

  constructor(protected readonly data: AreaData, private readonly chosen: (at: LonLat) => void, label: string) {
    this.plane = new Plane(data);
    this.middle = [this.plane.width / 2, this.plane.height / 2];
    for (const [name, lines] of Object.entries(data.lines)) {
      const path = new Path2D();
      for (const coded of lines) this.plane.line(coded).forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
      this.paths.set(name, path);
    }
    const {canvas} = this;
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

  /** Names over the lines, the most wanted first. */
  protected abstract names(write: Write): void;
  /** Marks over everything; between lines and names comes `under`. */
  protected abstract marks(context: CanvasRenderingContext2D): void;
  protected under(_: CanvasRenderingContext2D): void {}

  zoom(by: number): void {
    this.scaleBy(by, this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
  }

  protected draw(): void {
    this.drawing ||= requestAnimationFrame(() => {
      this.drawing = 0;
      this.paint();
    });
  }

  protected pixel([x, y]: Point): Point {
    return [this.canvas.clientWidth / 2 + (x - this.middle[0]) * this.scale, this.canvas.clientHeight / 2 - (y - this.middle[1]) * this.scale];
  }

  private at([px, py]: Point): Point {
    return [this.middle[0] + (px - this.canvas.clientWidth / 2) / this.scale, this.middle[1] - (py - this.canvas.clientHeight / 2) / this.scale];
  }

  private scaleBy(by: number, px: number, py: number): void {
    const held = this.at([px, py]);
    const least = Math.min(this.canvas.clientWidth / this.plane.width, this.canvas.clientHeight / this.plane.height) * 0.8;
    this.scale = Math.min(MOST, Math.max(least, this.scale * by));
    const now = this.at([px, py]);
    this.middle = [this.middle[0] + held[0] - now[0], this.middle[1] + held[1] - now[1]];
    this.draw();
  }

  private pan(dx: number, dy: number): void {
    const clamp = (value: number, most: number) => Math.min(most, Math.max(0, value));
    this.middle = [clamp(this.middle[0] - dx / this.scale, this.plane.width), clamp(this.middle[1] + dy / this.scale, this.plane.height)];
    this.draw();
  }

  private spot(event: MouseEvent): Point {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  private down = (event: PointerEvent): void => {
    this.canvas.setPointerCapture(event.pointerId);
    if (!this.pointers.size) this.moved = 0;
    this.pointers.set(event.pointerId, this.spot(event));
  };

  private move = (event: PointerEvent): void => {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.spot(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
    if (other) {
      const apart = (p: Point) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      this.scaleBy(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else if (this.moved > STILL) this.pan(now[0] - before[0], now[1] - before[1]);
    this.pointers.set(event.pointerId, now);
  };

  private up = (event: PointerEvent): void => {
    const last = this.pointers.delete(event.pointerId) && this.pointers.size === 0;
    if (last && event.type === 'pointerup' && this.moved <= STILL) this.choose(this.at(this.spot(event)));
  };

  private choose(at: Point): void {
    this.chosen(this.plane.degrees(at));
  }

  private wheel = (event: WheelEvent): void => {
    event.preventDefault();
    this.scaleBy(event.deltaY < 0 ? 1.25 : 0.8, ...this.spot(event));
  };

  private key = (event: KeyboardEvent): void => {
    const step: Record<string, Point> = {ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40]};
    if (event.key in step) this.pan(...step[event.key]);
    else if (event.key === '+' || event.key === '=') this.zoom(1.5);
    else if (event.key === '-') this.zoom(1 / 1.5);
    else if (event.key === 'Enter' || event.key === ' ') this.choose(this.middle);
    else return;
    event.preventDefault();
  };

  private paint(): void {
    const {canvas, middle} = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const context = width && height ? canvas.getContext('2d') : null;
    if (!context) return;
    if (!this.scale) this.scale = Math.max(width / this.plane.width, height / this.plane.height);
    const {scale} = this;
    const ratio = Math.min(3, devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = COLOURS.land;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.setTransform(ratio * scale, 0, 0, -ratio * scale, ratio * (width / 2 - middle[0] * scale), ratio * (height / 2 + middle[1] * scale));
    context.lineJoin = context.lineCap = 'round';
    const stroke = (name: string, colour: string, px: number, dash: number[] = []): void => {
      const path = this.paths.get(name);
      if (!path) return;
      context.strokeStyle = colour;
      context.lineWidth = px / scale;
      context.setLineDash(dash.map((d) => d / scale));
      context.stroke(path);
    };
    context.fillStyle = COLOURS.water;
    const water = this.paths.get('water');
    if (water) context.fill(water, 'evenodd');
    stroke('water', COLOURS.water, 1.5);
    stroke('district', COLOURS.district, 1, [3, 4]);
    if (scale > 0.05) stroke('narrow', COLOURS.narrow, Math.max(1.2, 5 * scale));
    stroke('wide', COLOURS.edge, Math.max(3.5, 12 * scale));
    stroke('wide', COLOURS.wide, Math.max(2, 9 * scale));
    stroke('rail', COLOURS.rail, 2.5, [8, 4]);
    context.setLineDash([]);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.under(context);
    context.textAlign = 'center';
    context.lineWidth = 3;
    this.names(writer(context, width, height));
    this.marks(context);
  }

  /** Names of landmarks (near enough only) and of districts. */
  protected known(write: Write, dots: boolean): void {
    if (this.scale > 0.12) for (const mark of this.data.landmarks) write(mark.name, this.pixel(this.plane.step(mark.at)), 12, '#1a4f2e', dots);
    for (const mark of this.data.districts) write(mark.name, this.pixel(this.plane.step(mark.at)), 13, '#4d4f55');
  }
}

function writer(context: CanvasRenderingContext2D, width: number, height: number): Write {
  const taken: [number, number, number, number][] = [];
  return (name, [x, y], size, colour, dot = false) => {
    if (x < 0 || y < 0 || x > width || y > height) return;
    context.font = `${size}px ${FONT}`;
    const half = context.measureText(name).width / 2 + 4;
    const box: [number, number, number, number] = [x - half, y - size - 6, x + half, y + 6];
    if (taken.some((b) => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1])) return;
    taken.push(box);
    context.strokeStyle = '#fff';
    context.strokeText(name, x, y - 5);
    context.fillStyle = colour;
    context.fillText(name, x, y - 5);
    if (!dot) return;
    context.beginPath();
    context.arc(x, y, 3, 0, 7);
    context.fill();
  };
}
