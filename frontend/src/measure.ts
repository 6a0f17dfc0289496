/** Measuring on the map: a line's length, and the area that three or more points enclose. */
import type {Layer} from '@deck.gl/core';
import {PathLayer, ScatterplotLayer} from '@deck.gl/layers';

export type Point = [number, number];
const RADIUS_M = 6371008.8;
const rad = (deg: number): number => (deg * Math.PI) / 180;

/** Metres along the points, on a sphere of the earth's mean radius. */
export function lengthM(points: Point[]): number {
  let sum = 0;
  for (let i = 1; i < points.length; i++) {
    const [[a, b], [c, d]] = [points[i - 1], points[i]];
    const h = Math.sin(rad(d - b) / 2) ** 2 + Math.cos(rad(b)) * Math.cos(rad(d)) * Math.sin(rad(c - a) / 2) ** 2;
    sum += 2 * RADIUS_M * Math.asin(Math.sqrt(h));
  }
  return sum;
}

/** Square metres inside the points, in the order they were set. */
export function areaM2(points: Point[]): number {
  if (points.length < 3) return 0;
  const [lon0, lat0] = points[0];
  const flat = points.map(([lon, lat]) => [rad(lon - lon0) * RADIUS_M * Math.cos(rad(lat0)), rad(lat - lat0) * RADIUS_M]);
  let twice = 0;
  flat.forEach(([x, y], i) => {
    const [u, v] = flat[(i + 1) % flat.length];
    twice += x * v - u * y;
  });
  return Math.abs(twice) / 2;
}

/** Metres or kilometres, hectares or square metres, as people say them. */
export const sayLength = (m: number): string => (m < 1000 ? `${Math.round(m)} m` : `${(m / 1000).toFixed(m < 10000 ? 2 : 1)} km`);
export const sayArea = (m2: number): string => (m2 < 10000 ? `${Math.round(m2)} m²` : m2 < 1e6 ? `${(m2 / 1e4).toFixed(2)} ha` : `${(m2 / 1e6).toFixed(2)} km²`);

export function measureLayers(points: Point[]): Layer[] {
  if (!points.length) return [];
  const colour: [number, number, number] = [0, 23, 193];
  return [
    new PathLayer({id: 'measure-line', data: [points], getPath: (d: Point[]) => d, getColor: colour, getWidth: 3, widthUnits: 'pixels', parameters: {depthCompare: 'always'}}),
    new ScatterplotLayer({
      id: 'measure-points', data: points, getPosition: (d: Point) => d, getFillColor: [255, 255, 255], getLineColor: colour, stroked: true,
      lineWidthUnits: 'pixels', getLineWidth: 3, radiusUnits: 'pixels', getRadius: 6, parameters: {depthCompare: 'always'}
    })
  ];
}
