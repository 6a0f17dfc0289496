/** The city's manifest and the columns that it names. */
import type {Text} from './i18n';

export type Rgb = [number, number, number];
export type LegendEntry = {
  value?: number; code?: string; min?: number; max?: number; count?: number; label: Text; colour: Rgb;
};
export type Attribute = {
  id: string; title: Text; type: 'category' | 'number' | 'class';
  dtype: 'uint8' | 'uint16' | 'uint32' | 'int16' | 'int32' | 'float32';
  nodata: number | 'NaN' | null; nodata_label?: Text; unit?: string; url: string;
  group?: string; hazard?: string; river?: string | null; scale?: string; quantity?: string; known?: number; legend: LegendEntry[];
};
export type Manifest = {
  version: string; name: string; name_en?: string; fictional?: boolean; attribution?: string;
  bbox: [number, number, number, number]; center: [number, number]; online_base?: boolean;
  buildings: {count: number; tileset: string; ids: string; cards: string; chunk: number; max_screen_space_error?: number; dots?: {url: string; bbox: [number, number, number, number]; base_m: number}};
  vector?: {tiles: string; minzoom: number; maxzoom: number; layers: string[]};
  hillshade?: {tiles: string; minzoom: number; maxzoom: number};
  terrain?: {tiles: string; minzoom: number; maxzoom: number};
  ground?: {min_m: number; max_m: number}; geoid_m?: number;
  attributes: Attribute[];
};
export type Column = ArrayLike<number>;

const ARRAYS = {
  uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array,
  int16: Int16Array, int32: Int32Array, float32: Float32Array
} as const;

/** A loaded city: manifest, absolute URLs and cached columns. */
export class City {
  private columns = new Map<string, Promise<Column>>();
  private cards = new Map<number, Promise<Record<string, unknown>[]>>();
  private idList?: Promise<string[]>;

  private constructor(readonly manifest: Manifest, private readonly base: string) {}

  static async load(url: string): Promise<City> {
    const response = await fetch(url, {cache: 'no-cache'});
    if (!response.ok) throw new Error(`${response.status} ${url}`);
    const manifest = (await response.json()) as Manifest;
    manifest.online_base = response.headers.get('x-citymap-online-base') === '1';
    return new City(manifest, response.url || url);
  }

  /** Ellipsoidal height (m) of the map's plane 0: the city's lowest ground; null where no terrain is known. */
  get datum(): number | null {
    const {terrain, ground, geoid_m: geoid} = this.manifest;
    return terrain && ground && geoid !== undefined ? Math.floor(ground.min_m + geoid) : null;
  }

  /** An absolute URL of this city's tree; a manifest cannot name another host. */
  url(relative: string): string {
    const placeholder = relative.replace(/[{}]/g, (c) => (c === '{' ? '__o__' : '__c__'));
    const full = new URL(placeholder, this.base);
    if (full.origin !== new URL(this.base).origin) throw new Error('foreign URL in the manifest');
    return full.href.replace(/__o__/g, '{').replace(/__c__/g, '}');
  }

  attribute(id: string | null): Attribute | undefined {
    return this.manifest.attributes.find((a) => a.id === id);
  }

  /** The column of an attribute, by building row. */
  column(attribute: Attribute): Promise<Column> {
    let column = this.columns.get(attribute.id);
    if (!column) {
      column = fetch(this.url(attribute.url)).then(async (response) => {
        if (!response.ok) throw new Error(`${response.status}`);
        return new ARRAYS[attribute.dtype](await response.arrayBuffer());
      });
      column.catch(() => this.columns.delete(attribute.id));
      this.columns.set(attribute.id, column);
    }
    return column;
  }

  /** A column of the framing page's own, one byte a building; false where it does not fit this city. */
  own(attribute: Attribute, data: string): boolean {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    if (bytes.length !== this.manifest.buildings.count || attribute.dtype !== 'uint8') return false;
    const others = this.manifest.attributes.filter((a) => a.id !== attribute.id);
    this.manifest.attributes = [...others, attribute];
    this.columns.set(attribute.id, Promise.resolve(bytes));
    return true;
  }

  /** The bytes behind `buildings.dots`. */
  async dots(): Promise<ArrayBuffer> {
    const response = await fetch(this.url(this.manifest.buildings.dots?.url ?? ''));
    if (!response.ok) throw new Error(`${response.status}`);
    return response.arrayBuffer();
  }

  /** The full record of a building. */
  async card(row: number): Promise<Record<string, unknown>> {
    const {cards, chunk} = this.manifest.buildings;
    const k = Math.floor(row / chunk);
    let records = this.cards.get(k);
    if (!records) {
      records = fetch(this.url(cards.replace('{chunk}', String(k)))).then((r) => {
        if (!r.ok) throw new Error(`${r.status}`);
        return r.json() as Promise<Record<string, unknown>[]>;
      });
      records.catch(() => this.cards.delete(k));
      this.cards.set(k, records);
      if (this.cards.size > 64) this.cards.delete(this.cards.keys().next().value as number);
    }
    const record = (await records)[row % chunk];
    if (!record) throw new Error('no record');
    return record;
  }

  /** Row of a gml:id, −1 where it is unknown. */
  async rowOf(gmlId: string): Promise<number> {
    this.idList ??= fetch(this.url(this.manifest.buildings.ids)).then((r) => r.json() as Promise<string[]>);
    return (await this.idList).indexOf(gmlId);
  }

  async ids(): Promise<string[]> {
    await this.rowOf('');
    return this.idList as Promise<string[]>;
  }
}
