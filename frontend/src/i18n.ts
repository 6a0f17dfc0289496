/** The renderer's part of the one message catalogue: Japanese first, English second. */
import {map} from '../../src/citymap/i18n/catalogue/map.toml';

export type Lang = 'ja' | 'en';
export type Text = {ja: string; en?: string};

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
  const text = own[key]?.[current] ?? catalogue[key]?.[current] ?? catalogue[key]?.en ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The text of a bilingual value out of the data. */
export const pick = (text: Text | undefined): string => (text ? (text[current] ?? text.ja) : '');
