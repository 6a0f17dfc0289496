/** The data of the small map: lines and names of the area that a page brings along, and its plane. */

export type LonLat = {lon: number; lat: number};
export type Named = {name: string; at: [number, number]};
export type AreaData = {
  bbox: [number, number, number, number]; steps: number;
  lines: Record<'water' | 'rail' | 'wide' | 'narrow' | 'district', number[][]>; districts: Named[]; landmarks: Named[];
};
export type Point = [number, number]; // metres east and north of the area's south-west corner

const METRES_PER_DEGREE = 111_320;

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
