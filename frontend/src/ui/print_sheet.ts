/** The sheet for paper: the map as it stands with title, legend, scale, north and whose data they are. */
import {t} from '../i18n';
import {el} from './dom';

export type Sheet = {title: string; picture: string; bearing: number; metresPerPixel: number; widthPx: number; heightPx: number; legend: HTMLElement[]; credit: string; note: string};

/** The longest round length (m) whose bar is at most a quarter of the picture. */
export function roundLength(metresPerPixel: number, widthPx: number): number {
  const most = (metresPerPixel * widthPx) / 4;
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((n) => n * power).find((m) => m <= most) ?? power;
}

export function printSheet(s: Sheet): HTMLElement {
  document.querySelector('.sheet')?.remove();
  const bar = roundLength(s.metresPerPixel, s.widthPx);
  const share = (bar / s.metresPerPixel / s.widthPx) * 100;
  const scale = el('div', {class: 'sheet-scale'}, bar >= 1000 ? `${bar / 1000} km` : `${bar} m`);
  scale.style.width = `${share.toFixed(2)}%`;
  const north = el('div', {class: 'sheet-north', 'aria-label': t('north.arrow')}, el('span', {}, '▲'), 'N');
  north.style.transform = `rotate(${-s.bearing}deg)`;
  const frame = el('div', {class: 'sheet-map'}, el('img', {src: s.picture, alt: s.title}), north, scale);
  frame.style.aspectRatio = `${s.widthPx} / ${s.heightPx}`; // the bar is true only while nothing is cut off
  frame.style.width = `min(100%, calc(160mm * ${(s.widthPx / s.heightPx).toFixed(4)}))`;
  const date = new Date().toLocaleDateString(document.documentElement.lang === 'en' ? 'en' : 'ja-JP', {dateStyle: 'long'});
  return el('div', {class: 'sheet'},
    el('header', {}, el('h1', {}, s.title), el('span', {}, t('print.made', {date}))),
    frame, el('div', {class: 'sheet-legend'}, ...s.legend.map((l) => l.cloneNode(true) as HTMLElement)),
    el('footer', {}, s.note, el('br'), `${t('attribution')}: ${s.credit}`));
}
