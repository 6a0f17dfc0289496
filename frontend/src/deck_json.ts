/** Reads a view described with pydeck: our own layers steer the state, stock layers are drawn above. */
import type {Layer} from '@deck.gl/core';
import {MVTLayer, Tile3DLayer, TileLayer} from '@deck.gl/geo-layers';
import {JSONConfiguration, JSONConverter} from '@deck.gl/json';
import {
  BitmapLayer, ColumnLayer, GeoJsonLayer, IconLayer, LineLayer, PathLayer, PolygonLayer, ScatterplotLayer, SolidPolygonLayer, TextLayer
} from '@deck.gl/layers';

import {readRules, type State, type View} from './state';
import {readWish, type WaterWish} from './water/wish';

const OWN = new Set(['CityBuildingsLayer', 'CityBaseLayer', 'CityWaterLayer']);

export type Described = {
  view?: View; buildings?: Partial<Pick<State, 'colourBy' | 'rules' | 'mode' | 'opacity'>>; layers: Layer[]; water: WaterWish | null;
};

/** Every URL in the description must be of our own origin. */
function sameOrigin(value: unknown): boolean {
  if (typeof value === 'string' && /^(https?:)?\/\//i.test(value)) return new URL(value, location.href).origin === location.origin;
  if (Array.isArray(value)) return value.length > 1000 || value.every(sameOrigin);
  if (value && typeof value === 'object') return Object.values(value).every(sameOrigin);
  return true;
}

export function readDeck(json: unknown): Described {
  const out: Described = {layers: [], water: null};
  if (!json || typeof json !== 'object') return out;
  const spec = json as {initialViewState?: Record<string, number>; layers?: Record<string, unknown>[]};
  const v = spec.initialViewState;
  if (v && Number.isFinite(v.longitude) && Number.isFinite(v.latitude)) {
    out.view = {lon: v.longitude, lat: v.latitude, zoom: v.zoom ?? 14, pitch: v.pitch ?? 0, bearing: v.bearing ?? 0};
  }
  const foreign: Record<string, unknown>[] = [];
  for (const layer of spec.layers ?? []) {
    if (layer['@@type'] === 'CityBuildingsLayer') {
      out.buildings = {
        colourBy: typeof layer.colourBy === 'string' ? layer.colourBy : null,
        rules: readRules(layer.filter),
        mode: layer.mode === '2d' ? '2d' : '3d',
        opacity: typeof layer.opacity === 'number' ? layer.opacity : 1
      };
    } else if (layer['@@type'] === 'CityWaterLayer') out.water = readWish(layer);
    else if (!OWN.has(String(layer['@@type'])) && sameOrigin(layer)) foreign.push(layer);
  }
  if (foreign.length) {
    const configuration = new JSONConfiguration({
      classes: {
        BitmapLayer, ColumnLayer, GeoJsonLayer, IconLayer, LineLayer, MVTLayer, PathLayer, PolygonLayer, ScatterplotLayer,
        SolidPolygonLayer, TextLayer, Tile3DLayer, TileLayer
      }
    });
    const converted = new JSONConverter({configuration}).convert({layers: foreign}) as {layers?: Layer[]};
    out.layers = (converted.layers ?? []).filter(Boolean);
  }
  return out;
}
