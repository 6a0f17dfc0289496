/** The renderer's part of the one message catalogue: Japanese first, English second, やさしい日本語 where it is written. */
import {map} from '../../src/citymap/i18n/catalogue/map.toml';

export type Lang = 'ja' | 'easy' | 'en';
export type Text = {ja: string; en?: string; easy?: string};
export const LANGUAGES: Lang[] = ['ja', 'en', 'easy'];
/** What a language is called on the button that leads to it. */
export const NAMES: Record<Lang, string> = {ja: '日本', easy: 'やさ しい', en: 'EN'};
export const nextLang = (of: Lang): Lang => LANGUAGES[(LANGUAGES.indexOf(of) + 1) % LANGUAGES.length];
/** The language's code for a page and its reader. */
export const htmlLang = (lang: Lang): string => (lang === 'en' ? 'en' : 'ja');

const catalogue: Record<string, Partial<Record<Lang, string>>> = map;
let own: Record<string, Partial<Record<Lang, string>>> = {};
let current: Lang = 'ja';

export const setLang = (lang: Lang): void => {
  current = lang;
};
export const lang = (): Lang => current;

/** Put a city's own wording in force, `{key: {ja, en}}`. */
export const setOwnWording = (texts: Record<string, Partial<Record<Lang, string>>>): void => {
  own = texts;
};

/** Ask the server for the city's own wording; where none answers, the catalogue's stands. */
export async function loadOwnWording(url: string): Promise<void> {
  try {
    const answer = await fetch(url, {credentials: 'same-origin'});
    if (answer.ok) setOwnWording(await answer.json());
  } catch {
    // offline: the words built into the page serve
  }
}

/** The text of a key, with {names} filled in. */
export function t(key: string, values: Record<string, string | number> = {}): string {
  const fallback: Lang = current === 'easy' ? 'ja' : 'en';
  const text = own[key]?.[current] ?? catalogue[key]?.[current] ?? own[key]?.[fallback] ?? catalogue[key]?.[fallback] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The text of a bilingual value out of the data. */
export const pick = (text: Text | undefined): string => (text ? text[current] || text.ja : '');
