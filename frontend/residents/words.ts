/** The words of the page: one file a language, which the city may correct. */
export type Words = Record<string, string>;
export type Language = {code: string; name: string};

let words: Words = {};
let code = 'ja';

export const lang = (): string => code;
/** What the `lang` attribute understands: やさしい日本語 is Japanese. */
export const htmlLang = (): string => (code === 'easy' ? 'ja' : code);

export async function load(root: URL, wanted: string): Promise<void> {
  const answer = await fetch(new URL(`words/${wanted}.json`, root));
  if (!answer.ok) throw new Error(`words ${answer.status}`);
  words = (await answer.json()) as Words;
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

/** A moment as people say it. */
export function moment(at: string): string {
  const locale = {ja: 'ja-JP', easy: 'ja-JP', 'zh-Hans': 'zh-CN'}[code] ?? code;
  return new Intl.DateTimeFormat(locale, {month: 'long', day: 'numeric', hour: 'numeric', minute: '2-digit'}).format(new Date(at));
}
