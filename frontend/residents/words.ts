/** The words of the page: one file a language, which the city may correct. */
export type Words = Record<string, string>;
export type Language = {code: string; name: string};

let words: Words = {};
let code = 'ja';

export const lang = (): string => code;
/** What the `lang` attribute understands: やさしい日本語 is Japanese. */
export const htmlLang = (): string => (code === 'easy' ? 'ja' : code);

export async function fetched(root: URL, wanted: string): Promise<Words> {
  const answer = await fetch(new URL(`words/${wanted}.json`, root));
  if (!answer.ok) throw new Error(`words ${answer.status}`);
  return (await answer.json()) as Words;
}

/** Speak `wanted`, by words that were asked for `early` where they came. */
export async function load(root: URL, wanted: string, early: Promise<Words | null> | null = null): Promise<void> {
  const came = (await early) ?? (await fetched(root, wanted).catch(() => null));
  if (!came && wanted !== 'ja') return load(root, 'ja'); // a page in Japanese before none
  words = came ?? (await fetched(root, wanted));
  code = wanted;
  document.documentElement.lang = htmlLang();
}

export function t(key: string, values: Record<string, string | number> = {}): string {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export const has = (key: string): boolean => key in words;

/** The first of `?lang=`, the choice of last time and the browser's languages that the city offers. */
export function firstLanguage(known: readonly string[], asked: string | null, kept: string | null, browser: readonly string[]): string {
  for (const name of [asked, kept]) if (name && known.includes(name)) return name;
  for (const name of browser) {
    const plain = name.toLowerCase();
    const found = known.find((k) => plain === k.toLowerCase() || plain.split('-')[0] === k.toLowerCase().split('-')[0]);
    if (found) return found;
  }
  return browser.length && known.includes('en') ? 'en' : 'ja';
}

/** The language that is asked for before it is known which ones the city offers. */
export function likely(asked: string | null, kept: string | null, browser: readonly string[]): string {
  const named = [asked, kept].find((name) => name && /^[\w-]{2,12}$/.test(name));
  return named ?? (browser[0]?.toLowerCase().startsWith('ja') ?? true ? 'ja' : 'en');
}

/** A moment as people say it; a question mark where it cannot be read. */
export function moment(at: string): string {
  if (Number.isNaN(Date.parse(at))) return '?';
  const locale = {ja: 'ja-JP', easy: 'ja-JP', 'zh-Hans': 'zh-CN'}[code] ?? code;
  return new Intl.DateTimeFormat(locale, {month: 'long', day: 'numeric', hour: 'numeric', minute: '2-digit'}).format(new Date(at));
}
