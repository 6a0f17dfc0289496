/** Every building as a dot of its colour: the wide view of a large city, where single blocks are not drawn. */
import type {Layer} from '@deck.gl/core';
import {ScatterplotLayer} from '@deck.gl/layers';

import type {Manifest} from '../manifest';

export type Dots = {positions: Float64Array; radii: Float32Array};

const ABOVE_M = 4; // clear of the ground as it is drawn

/** @param datum ellipsoidal height of the map's plane 0; null: a flat map */
export function readDots(bytes: ArrayBuffer, described: NonNullable<Manifest['buildings']['dots']>, datum: number | null): Dots {
  const raw = new Uint16Array(bytes);
  const n = raw.length / 4;
  const positions = new Float64Array(n * 3);
  const radii = new Float32Array(n);
  const [west, south, east, north] = described.bbox;
  for (let i = 0; i < n; i++) {
    positions[3 * i] = west + (raw[4 * i] / 65535) * (east - west);
    positions[3 * i + 1] = south + (raw[4 * i + 1] / 65535) * (north - south);
    positions[3 * i + 2] = datum === null ? 0 : described.base_m + raw[4 * i + 2] / 10 - datum + ABOVE_M;
    radii[i] = raw[4 * i + 3] / 10;
  }
  return {positions, radii};
}

export function dotsLayer(dots: Dots, rgb: Uint8Array, opacity: number): Layer {
  return new ScatterplotLayer({
    id: 'building-dots', opacity, radiusUnits: 'meters', radiusMinPixels: 0.9, stroked: false,
    data: {
      length: dots.radii.length,
      attributes: {getPosition: {value: dots.positions, size: 3}, getRadius: {value: dots.radii, size: 1}, getFillColor: {value: rgb, size: 3}}
    }
  } as never) as unknown as Layer;
}
