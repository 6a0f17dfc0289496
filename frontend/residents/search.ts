/** The search that works offline: every way of typing a name or an address finds it. */
export type Hit = {kind: 'district' | 'place' | 'address'; label: string; lon: number; lat: number};
type Row = [string, number, number, string?, string?];
export type SearchFile = {districts: Row[]; places: Row[]; addresses: [string, [string, number, number][]][]};
type Entry = {keys: string[]; hit: Hit};

const DIGITS = '〇一二三四五六七八九';
const UNITS: Record<string, number> = {十: 10, 百: 100, 千: 1000};

function kanjiNumber(text: string): number {
  if (![...text].some((c) => c in UNITS)) return Number([...text].map((c) => DIGITS.indexOf(c)).join(''));
  let total = 0;
  let digit = 0;
  for (const c of text) {
    if (c in UNITS) {
      total += (digit || 1) * UNITS[c];
      digit = 0;
    } else digit = DIGITS.indexOf(c);
  }
  return total + digit;
}

/** One spelling; the same as `citymap.place_text.folded`. */
export function folded(text: string): string {
  return text
    .normalize('NFKC').toLowerCase()
    .replace(/[\u30a1-\u30f6]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0x60))
    .replace(/[-‐‑‒–—―−﹣]/g, '-')
    .replace(/([〇一二三四五六七八九十百千]+)(?=丁目|番地|番|号|条|線|区)/g, (n) => String(kanjiNumber(n)))
    .replace(/大字|(?<=[町村])字/g, '')
    .replace(/(\d+)(?:丁目|番地の?|番|号)/g, '$1-')
    .replace(/(?<=\d)[ーの](?=\d)/g, '-')
    .replace(/\s+/g, '')
    .replace(/-{2,}/g, '-')
    .replace(/-+$/, '')
    .replace(/(?<=[\u4e00-\u9fff])[けがゖゕか](?=[\u4e00-\u9fff])/g, 'が');
}

export class Search {
  private readonly entries: Entry[] = [];

  constructor(file: SearchFile) {
    const add = (kind: Hit['kind'], label: string, x: number, y: number, also: (string | undefined)[] = []): void => {
      const keys = [label, ...also].filter((k): k is string => !!k).map(folded);
      this.entries.push({keys, hit: {kind, label, lon: x / 1e5, lat: y / 1e5}});
    };
    for (const [name, x, y, kana] of file.districts) add('district', name, x, y, [kana]);
    for (const [name, x, y, kana, latin] of file.places) add('place', name, x, y, [kana, latin]);
    for (const [start, rest] of file.addresses) for (const [end, x, y] of rest) add('address', start + end, x, y);
  }

  /** The best answers: whole before part, the start before the middle, short before long; and how many there are. */
  find(query: string, limit = 8): {hits: Hit[]; total: number} {
    const words = query.normalize('NFKC').split(/\s+/).map(folded).filter(Boolean);
    if (!words.length) return {hits: [], total: 0};
    const ranked: [number, number, Entry][] = [];
    for (const entry of this.entries) {
      for (const key of entry.keys) {
        const at = key.indexOf(words[0]);
        if (at < 0 || !words.every((w) => key.includes(w))) continue;
        ranked.push([key === words[0] ? 0 : at === 0 ? 1 : 2, key.length, entry]);
        break;
      }
    }
    ranked.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    return {hits: ranked.slice(0, limit).map(([, , entry]) => entry.hit), total: ranked.length};
  }
}
