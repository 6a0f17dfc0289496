/** The light offline base map as a MapLibre style: land use, water, roads, rails, names, shading. */
import type {StyleSpecification} from 'maplibre-gl';

import type {City} from './manifest';

export const GROUPS: Record<string, string[]> = {
  hillshade: ['hillshade'], landuse: ['landuse', 'green'], water: ['water', 'water-line'],
  road: ['road-case', 'road', 'road-line'], rail: ['rail', 'rail-dash'], district: ['district'], label: ['district-label', 'place-label']
};

const PALE = {
  land: '#e9e7e1', landuse: '#eeece6', green: '#dfe8d3', water: '#bcd4e4', road: '#ffffff', case: '#d9d6cf', rail: '#8f949b', text: '#4b4f55'
};
const DARK = {
  land: '#1d2024', landuse: '#23272b', green: '#233026', water: '#16303f', road: '#3a3f46', case: '#2b2f34', rail: '#6c727a', text: '#c9ccd1'
};

export const TERRAIN = {source: 'terrain', exaggeration: 1};

const FONT = ['sans-serif'];

export function baseStyle(city: City | null, options: {dark: boolean; gsi: boolean; off: string[]; relief: boolean}): StyleSpecification {
  const c = options.dark ? DARK : PALE;
  const style: StyleSpecification = {version: 8, sources: {}, layers: [{id: 'land', type: 'background', paint: {'background-color': c.land}}]};
  if (!city) return style;
  const {vector, hillshade, terrain, bbox} = city.manifest;
  const visible = (group: string) => ({visibility: options.off.includes(group) ? ('none' as const) : ('visible' as const)});
  if (terrain && city.datum !== null) {
    style.sources.terrain = {
      type: 'raster-dem', tiles: [city.url(terrain.tiles)], tileSize: 256, minzoom: terrain.minzoom, maxzoom: terrain.maxzoom, bounds: bbox,
      encoding: 'custom', redFactor: 256, greenFactor: 1, blueFactor: 1 / 256, baseShift: 32768 + city.datum
    };
    if (options.relief) style.terrain = TERRAIN;
  }
  if (options.gsi && city.manifest.online_base) {
    style.sources.gsi = {
      type: 'raster', tiles: ['https://cyberjapandata.gsi.go.jp/xyz/pale/{z}/{x}/{y}.png'], tileSize: 256, minzoom: 5, maxzoom: 18
    };
    style.layers.push({id: 'gsi', type: 'raster', source: 'gsi'});
  }
  if (vector) {
    style.sources.city = {type: 'vector', tiles: [city.url(vector.tiles)], minzoom: vector.minzoom, maxzoom: vector.maxzoom};
    const src = {source: 'city'};
    style.layers.push(
      {id: 'landuse', type: 'fill', ...src, 'source-layer': 'landuse', layout: visible('landuse'), paint: {'fill-color': c.landuse, 'fill-antialias': false}},
      {id: 'green', type: 'fill', ...src, 'source-layer': 'green', layout: visible('landuse'), paint: {'fill-color': c.green, 'fill-antialias': false}}
    );
  }
  if (hillshade) {
    style.sources.hillshade = {
      type: 'raster', tiles: [city.url(hillshade.tiles)], tileSize: 256, minzoom: hillshade.minzoom, maxzoom: hillshade.maxzoom, bounds: bbox
    };
    style.layers.push({id: 'hillshade', type: 'raster', source: 'hillshade', layout: visible('hillshade'), paint: {'raster-opacity': options.dark ? 0.25 : 0.3, 'raster-fade-duration': 0}});
  }
  if (vector) {
    const src = {source: 'city'};
    const polygons = ['==', ['geometry-type'], 'Polygon'] as never;
    const lines = ['==', ['geometry-type'], 'LineString'] as never;
    const width = (px: number) => ['interpolate', ['exponential', 2], ['zoom'], 12, px * 0.12, 14, px * 0.5, 18, px * 8] as never;
    style.layers.push(
      {id: 'water', type: 'fill', ...src, 'source-layer': 'water', filter: polygons, layout: visible('water'), paint: {'fill-color': c.water}},
      {id: 'water-line', type: 'line', ...src, 'source-layer': 'water', filter: lines, layout: visible('water'), paint: {'line-color': c.water, 'line-width': 2}},
      {id: 'road-case', type: 'line', ...src, 'source-layer': 'road', filter: polygons, minzoom: 15, layout: visible('road'), paint: {'line-color': c.case, 'line-width': 1}},
      {id: 'road', type: 'fill', ...src, 'source-layer': 'road', filter: polygons, layout: visible('road'), paint: {'fill-color': c.road}},
      {id: 'road-line', type: 'line', ...src, 'source-layer': 'road', filter: lines, layout: {...visible('road'), 'line-cap': 'round'}, paint: {'line-color': c.road, 'line-width': width(1)}},
      {id: 'rail', type: 'line', ...src, 'source-layer': 'rail', layout: visible('rail'), paint: {'line-color': c.rail, 'line-width': ['interpolate', ['linear'], ['zoom'], 12, 1.2, 16, 3]}},
      {id: 'rail-dash', type: 'line', ...src, 'source-layer': 'rail', minzoom: 13, layout: visible('rail'), paint: {'line-color': '#ffffff', 'line-dasharray': [4, 4], 'line-width': ['interpolate', ['linear'], ['zoom'], 13, 0.8, 16, 1.8]}},
      {id: 'district', type: 'line', ...src, 'source-layer': 'district', minzoom: 13, layout: visible('district'), paint: {'line-color': c.text, 'line-opacity': 0.35, 'line-dasharray': [3, 3], 'line-width': 1}},
      {
        id: 'place-label', type: 'symbol', ...src, 'source-layer': 'place_label', minzoom: 12,
        layout: {
          ...visible('label'), 'text-field': ['coalesce', ['get', 'name'], ''], 'text-font': FONT,
          'text-size': ['interpolate', ['linear'], ['zoom'], 12, 11, 16, 14], 'text-max-width': 8,
          'text-padding': ['interpolate', ['linear'], ['zoom'], 12, 36, 14, 14, 16, 6], 'symbol-sort-key': ['match', ['get', 'kind'], 'landmark', 1, 0]
        },
        paint: {'text-color': c.text, 'text-halo-color': c.land, 'text-halo-width': 1.6}
      }
    );
  }
  return style;
}
