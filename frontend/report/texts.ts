/** The form's catalogue: Japanese, やさしい日本語, English. */
import easy from './i18n/easy.json';
import en from './i18n/en.json';
import ja from './i18n/ja.json';

export type Lang = 'ja' | 'easy' | 'en';
export const LANGS: Record<Lang, string> = {ja: '日本語', easy: 'やさしい日本語', en: 'English'};
const catalogue: Record<Lang, Record<string, string>> = {ja, easy, en};
let current: Lang = 'ja';

export const lang = (): Lang => current;
export const setLang = (chosen: Lang): void => {
  current = chosen;
};
/** What the server and the page's `lang` attribute understand. */
export const serverLang = (): 'ja' | 'en' => (current === 'en' ? 'en' : 'ja');

export function t(key: string, values: Record<string, string | number> = {}): string {
  const text = catalogue[current][key] ?? catalogue.ja[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export type Title = {ja: string; en?: string; easy?: string};
export const pick = (title: Title): string => title[current] || title.ja;

export function firstLang(asked: string | null, kept: string | null, browser: readonly string[]): Lang {
  for (const name of [asked, kept]) if (name && name in LANGS) return name as Lang;
  return browser.length && !browser[0].toLowerCase().startsWith('ja') ? 'en' : 'ja';
}
