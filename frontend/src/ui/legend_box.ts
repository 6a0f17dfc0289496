/** The legend: always visible, official colours with words, "no data" hatched; entries filter when pressed. */
import {pick, t} from '../i18n';
import {BUILDING, GHOST, NO_DATA, type Rule} from '../legend';
import type {Attribute} from '../manifest';
import {el, swatch} from './dom';

const SHOWN = 14;

export function legendBox(attribute: Attribute | undefined, rules: Rule[], toggle: (entry: number | 'nodata') => void): HTMLElement {
  const box = el('section', {class: 'legend', 'aria-label': t('legend')});
  if (!attribute) {
    box.append(el('div', {class: 'entry'}, swatch(BUILDING), t('legend.base')));
    return box;
  }
  const rule = rules.find((r) => r.id === attribute.id && r.in);
  const pressed = (k: number | 'nodata'): boolean => Boolean(rule?.in?.includes(k === 'nodata' ? 'nodata' : key(attribute, k)));
  const entry = (k: number | 'nodata', label: string, colour: ArrayLike<number>, hatched = false): HTMLElement =>
    el('button', {type: 'button', class: 'entry', 'aria-pressed': pressed(k) ? 'true' : 'false', onclick: () => toggle(k)}, swatch(colour, hatched), el('span', {}, label));
  box.append(el('h3', {}, pick(attribute.title)));
  const list = el('div', {class: 'entries', title: t('filter.legend')});
  attribute.legend.slice(0, SHOWN).forEach((e, k) => list.append(entry(k, pick(e.label), e.colour)));
  list.append(entry('nodata', pick(attribute.nodata_label) || t('card.unknown'), NO_DATA, true));
  box.append(list);
  if (rules.length) box.append(el('div', {class: 'entry small'}, swatch(GHOST), t('legend.filtered')));
  return box;
}

/** What a filter rule holds for an entry: its value, else its position. */
export const key = (attribute: Attribute, k: number): number => attribute.legend[k].value ?? k;
