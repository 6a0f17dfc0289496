/** What the colours of the water mean. */
import {t} from '../i18n';
import {el, swatch} from '../ui/dom';
import type {Described} from './frames';

export function waterLegend(about: Described, what: 'depth' | 'difference'): HTMLElement {
  const rows: HTMLElement[] = [];
  const row = (colour: number[], text: string): void => void rows.push(el('div', {class: 'entry'}, swatch(colour), text));
  if (what === 'depth') {
    for (const c of about.classes) row(c.colour, c.max === null ? t('water.from', {a: c.min}) : t('water.between', {a: c.min, b: c.max}));
  } else {
    const {bounds, colours} = about.differences;
    const half = bounds.length / 2;
    const least = bounds[half];
    colours.forEach((colour, n) => {
      const near = Math.abs(bounds[n]);
      const far = n < half ? (n === 0 ? null : Math.abs(bounds[n - 1])) : n === colours.length - 1 ? null : bounds[n + 1];
      const key = n < half ? 'water.less' : 'water.more';
      row(colour, far === null ? t(key, {v: t('water.from', {a: near})}) : t(key, {v: t('water.between', {a: near, b: far})}));
    });
    row([219, 224, 230], t('water.same', {a: least}));
  }
  return el('div', {class: 'legend'}, el('h3', {}, t(what === 'depth' ? 'water.depth' : 'water.change')), el('div', {class: 'entries'}, ...rows));
}
