/** The page's one catalogue: Japanese first, English second. */
import en from './i18n/en.json';
import ja from './i18n/ja.json';

export type Lang = 'ja' | 'en';
export type Text = {ja: string; en?: string};

const catalogue: Record<Lang, Record<string, string>> = {ja, en};
let current: Lang = 'ja';

export const setLang = (lang: Lang): void => {
  current = lang;
};
export const lang = (): Lang => current;

/** The text of a key, with {names} filled in. */
export function t(key: string, values: Record<string, string | number> = {}): string {
  const text = catalogue[current][key] ?? catalogue.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The text of a bilingual value out of the data. */
export const pick = (text: Text | undefined): string => (text ? (text[current] ?? text.ja) : '');
