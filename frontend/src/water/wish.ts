/** What to play, as a part of a link and of a message. */
export const HOWS = ['side', 'difference'] as const;
export type How = (typeof HOWS)[number];
/**
 * What to play: a result, another to compare it with and how; `at` the hours to begin with, −1 the peak;
 * `silent` while a press on the map means something else to the page than the depth there.
 */
export type WaterWish = {name: string; versus: string | null; how: How; at: number | null; silent?: true};

export const PEAK = -1;

/** `name~other~difference~1.5` of a URL, each part encoded; whatever is not understood is nothing. */
export function wishFromText(text: string | null): WaterWish | null {
  if (!text || text.length > 600) return null;
  let parts: string[];
  try {
    parts = text.split('~').map(decodeURIComponent);
  } catch {
    return null;
  }
  return readWish({name: parts[0], versus: parts[1] || null, how: parts[2], at: parts[3] ? Number(parts[3]) : null});
}
const encoded = (name: string): string => encodeURIComponent(name).replaceAll('~', '%7E');
export const wishToText = (w: WaterWish): string =>
  [encoded(w.name), encoded(w.versus ?? ''), w.versus ? w.how : '', w.at === null ? '' : String(Math.round(w.at * 1000) / 1000)].join('~').replace(/~+$/, '');

/** A wish out of a message or a link: only what has the right shape. */
export function readWish(source: unknown): WaterWish | null {
  const s = source as Record<string, unknown> | null;
  const named = (v: unknown): v is string => typeof v === 'string' && v.length > 0 && v.length <= 100 && !/[/\\]/.test(v);
  if (!s || !named(s.name)) return null;
  const versus = named(s.versus) && s.versus !== s.name ? s.versus : null;
  const at = typeof s.at === 'number' && Number.isFinite(s.at) ? s.at : null;
  return {name: s.name, versus, how: s.how === 'difference' ? 'difference' : 'side', at, ...(s.silent === true ? {silent: true as const} : {})};
}

/** A link to the map alone with this view and this moment. */
export function shareLink(href: string, wish: WaterWish | null): string {
  const url = new URL(href);
  for (const name of ['embed', 'panel', 'deck']) url.searchParams.delete(name);
  const hash = new URLSearchParams(url.hash.slice(1));
  if (wish) hash.set('w', wishToText(wish));
  url.hash = hash.toString();
  return url.href;
}

