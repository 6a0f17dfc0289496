/** The light 2-D map of the page: the place, the shelters and the way. */
import {AreaMap, MOST, type Write} from '../light/area_map';
import type {Place} from './record';

export class SmallMap extends AreaMap {
  private place: Place | null = null;
  private route: number | null = 0;
  /** How a shelter stands now. */
  opening: (id: string) => string = () => 'unknown';

  /** The place with its shelters; `route` is the number of the shelter whose way is drawn, unless it is too late to walk. */
  show(place: Place | null, route = 0, tooLate = false): void {
    this.place = place;
    this.route = tooLate ? null : route;
    if (place) {
      const way = (this.route === null ? null : place.shelters[this.route]?.route) ?? [];
      const points = [[place.lon, place.lat], ...way].map(([lon, lat]) => this.plane.metres({lon, lat}));
      const xs = points.map((p) => p[0]);
      const ys = points.map((p) => p[1]);
      const span = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys), 250);
      this.middle = [(Math.max(...xs) + Math.min(...xs)) / 2, (Math.max(...ys) + Math.min(...ys)) / 2];
      this.scale = Math.min(MOST, (Math.min(this.canvas.clientWidth || 320, this.canvas.clientHeight || 300) / span) * 0.72);
    }
    this.draw();
  }

  protected under(context: CanvasRenderingContext2D): void {
    const way = this.route === null ? null : this.place?.shelters[this.route]?.route;
    if (!way) return;
    for (const [colour, px] of [['#ffffff', 9], ['#0017c1', 5]] as const) {
      context.beginPath();
      way.forEach(([lon, lat], i) => {
        const [x, y] = this.pixel(this.plane.metres({lon, lat}));
        if (i) context.lineTo(x, y);
        else context.moveTo(x, y);
      });
      context.strokeStyle = colour;
      context.lineWidth = px;
      context.stroke();
    }
  }

  protected names(write: Write): void {
    for (const s of this.place?.shelters ?? []) {
      const [x, y] = this.pixel(this.plane.metres({lon: s.lon, lat: s.lat}));
      write(s.name, [x, y - 12], 14, '#0017c1');
    }
    this.known(write, false);
  }

  protected marks(context: CanvasRenderingContext2D): void {
    context.lineWidth = 3;
    context.strokeStyle = '#fff';
    for (const s of this.place?.shelters ?? []) {
      const [x, y] = this.pixel(this.plane.metres({lon: s.lon, lat: s.lat}));
      context.beginPath();
      context.arc(x, y, 9, 0, 7);
      context.fillStyle = '#0017c1';
      context.fill();
      context.stroke();
      const state = this.opening(s.place_id);
      if (state !== 'unknown') this.letter(context, [x, y], {open: '○', full: '満', closed: '×'}[state] ?? '');
    }
    for (const w of this.place?.wifi ?? []) {
      const [x, y] = this.pixel(this.plane.metres({lon: w.lon, lat: w.lat}));
      context.fillStyle = '#fff';
      context.strokeStyle = '#115a36';
      context.beginPath();
      context.rect(x - 8, y - 8, 16, 16);
      context.fill();
      context.stroke();
      this.letter(context, [x, y], 'W', '#115a36');
    }
    context.strokeStyle = '#fff';
    if (!this.place) return;
    const [x, y] = this.pixel(this.plane.metres(this.place));
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x - 10, y - 20);
    context.arc(x, y - 24, 11, Math.PI * 0.9, Math.PI * 2.1);
    context.closePath();
    context.fillStyle = '#ce0000';
    context.fill();
    context.stroke();
  }

  private letter(context: CanvasRenderingContext2D, [x, y]: [number, number], text: string, colour = '#fff'): void {
    context.fillStyle = colour;
    context.font = "700 12px 'BIZ UDPGothic', 'Noto Sans CJK JP', sans-serif";
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText(text, x, y + 1);
  }
}
