/** The search box: asks the server, falls back to the building ids of the static site. */
import {t} from '../i18n';
import type {City} from '../manifest';
import {el} from './dom';

export type Found = {kind: string; label: string; lon: number; lat: number; gml_id: string | null};

export async function find(city: City, query: string): Promise<Found[]> {
  try {
    const response = await fetch(new URL(`../api/search?q=${encodeURIComponent(query)}`, location.href));
    if (response.ok && (response.headers.get('content-type') ?? '').includes('json')) {
      const answer = (await response.json()) as Found[] | {results: Found[]};
      return Array.isArray(answer) ? answer : answer.results;
    }
  } catch {
    // no server behind this page (a static site): ids only
  }
  const ids = (await city.ids()).filter((id) => id.includes(query)).slice(0, 20);
  return ids.map((id) => ({kind: 'building', label: id, lon: NaN, lat: NaN, gml_id: id}));
}

export function searchBox(city: City, choose: (found: Found) => void): {form: HTMLElement; results: HTMLElement} {
  const input = el('input', {type: 'search', placeholder: t('search'), 'aria-label': t('search'), autocomplete: 'off', enterkeyhint: 'search'});
  const results = el('ul', {class: 'results', 'aria-live': 'polite'});
  const run = async (): Promise<void> => {
    const query = input.value.trim();
    results.replaceChildren();
    if (!query) return;
    let found: Found[] = [];
    try {
      found = await find(city, query);
    } catch {
      results.append(el('li', {class: 'error'}, t('search.offline')));
      return;
    }
    if (!found.length) results.append(el('li', {}, t('search.none')));
    for (const f of found.slice(0, 20)) {
      results.append(el('li', {}, el('button', {type: 'button', onclick: () => {
        results.replaceChildren();
        choose(f);
      }}, f.label)));
    }
  };
  const form = el('form', {class: 'search', role: 'search', onsubmit: (e: Event) => {
    e.preventDefault();
    void run();
  }}, input, el('button', {type: 'submit'}, t('search.go')));
  return {form, results};
}
