/** The record of a place, from the server or from the files of a static site. */
import type {Instead, LeaveBy, Limit} from './leave_by';
import type {Opening} from './status';

export type HazardSet = {
  set: string; hazard: string; name: string; scale: string; state: 'inside' | 'outside' | 'not_surveyed';
  depth_m: number | null; duration_h: number | null; collapse_flow: boolean | null; collapse_erosion: boolean | null;
  verdict: string; dry_floor: number | null; reasons: string[]; edge_m: number | null;
};
export type Shelter = {
  place_id: string; name: string; name_en: string | null; lon: number; lat: number; use: string; dry_floor: number | null;
  wifi: {floods: boolean | null} | null; away_m: number; walk_m: number | null; walk_min: number | null;
  in_water_m: number | null; route: [number, number][] | null; no_route: string | null;
  detour?: {more_m: number | null; depth_m: number | null} | null; opening?: Opening;
};
export type Wifi = {name: string; ssid: string | null; area: string | null; lon: number; lat: number; away_m: number};
export type Place = {
  lon: number; lat: number; district: {id: string; name: string | null} | null;
  building: {gml_id: string; name: string | null; storeys: number | null} | null;
  hazard: string | null; hazards: string[]; verdict: string; reasons: string[]; dry_floor: number | null;
  sets: HazardSet[]; shelters: Shelter[]; wifi: Wifi[]; leave_by: LeaveBy | null; instead: Instead;
};
export type Site = {
  name: string; name_en: string; fictional: boolean; languages: {code: string; name: string}[];
  bbox: [number, number, number, number]; data: string | null; grid: {z: number; cells: number} | null; made: string; paper?: string | null;
};
type Tile = {
  west: number; south: number; east: number; north: number; records: Omit<Place, 'lon' | 'lat' | 'building' | 'hazards' | 'shelters' | 'wifi' | 'leave_by'>[];
  leave_by?: LeaveBy | null; buildings: [number[], number, Place['building'], (Limit[] | null)?][]; ground: number[]; shelters: Record<string, Shelter[][]>; wifi: Wifi[];
};

const WINDS = ['n', 'ne', 'e', 'se', 's', 'sw', 'w', 'nw'];

/** Which way to set out, one of eight, as the crow flies: for those who cannot see the map. */
export function wind(from: {lon: number; lat: number}, to: {lon: number; lat: number}): string {
  const east = (to.lon - from.lon) * Math.cos((from.lat * Math.PI) / 180);
  return WINDS[(Math.round(Math.atan2(east, to.lat - from.lat) / (Math.PI / 4)) + 8) % 8];
}

export class OutsideMap extends Error {}

/** Whether a point lies in a ring of flat coordinates. */
export function within(x: number, y: number, ring: number[]): boolean {
  let inside = false;
  for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
    const crosses = ring[i + 1] > y !== ring[j + 1] > y;
    if (crosses && x < ((ring[j] - ring[i]) * (y - ring[i + 1])) / (ring[j + 1] - ring[i + 1]) + ring[i]) inside = !inside;
  }
  return inside;
}

export const tileOf = (lon: number, lat: number, z: number): [number, number] => {
  const n = 2 ** z;
  const phi = (lat * Math.PI) / 180;
  return [Math.floor(((lon + 180) / 360) * n), Math.floor(((1 - Math.log(Math.tan(phi) + 1 / Math.cos(phi)) / Math.PI) / 2) * n)];
};

export async function ask(root: URL, site: Site, lon: number, lat: number, hazard: string | null): Promise<Place> {
  if (site.data && site.grid) return fromFiles(new URL(site.data, root), site, lon, lat, hazard);
  const url = new URL('api/place', root);
  url.search = new URLSearchParams({lon: String(lon), lat: String(lat), ...(hazard ? {hazard} : {})}).toString();
  const answer = await fetch(url);
  if (answer.status === 404 || answer.status === 422) throw new OutsideMap();
  if (!answer.ok) throw new Error(String(answer.status));
  return (await answer.json()) as Place;
}

async function fromFiles(data: URL, site: Site, lon: number, lat: number, hazard: string | null): Promise<Place> {
  const {z, cells} = site.grid!;
  const [x, y] = tileOf(lon, lat, z);
  const answer = await fetch(new URL(`place/${x}/${y}.json`, data));
  const [west, south, east, north] = site.bbox;
  const inside = lon >= west && lon <= east && lat >= south && lat <= north;
  if (answer.status === 404 && !inside) throw new OutsideMap(); // inside, the file is gone: nothing is said of the place
  if (!answer.ok) throw new Error(String(answer.status));
  return fromTile((await answer.json()) as Tile, cells, lon, lat, hazard);
}

export function fromTile(tile: Tile, cells: number, lon: number, lat: number, hazard: string | null): Place {
  const clamp = (v: number) => Math.min(cells - 1, Math.max(0, Math.floor(v * cells)));
  const column = clamp((lon - tile.west) / (tile.east - tile.west));
  const row = clamp((tile.north - lat) / (tile.north - tile.south));
  const cell = row * cells + column;
  const [px, py] = [Math.round(lon * 1e6), Math.round(lat * 1e6)];
  const on = tile.buildings.find(([ring]) => within(px, py, ring));
  const record = tile.records[on ? on[1] : tile.ground[cell]];
  const chosen = hazard ?? record.hazard;
  const hazards = Object.keys(tile.shelters);
  const shelters = chosen ? (tile.shelters[chosen]?.[cell] ?? []) : [];
  const leave_by = tile.leave_by ? {...tile.leave_by, mobility: on?.[3] ?? tile.leave_by.mobility} : null;
  return {...record, lon, lat, building: on ? on[2] : null, hazard: chosen, hazards, shelters, wifi: tile.wifi, leave_by};
}
