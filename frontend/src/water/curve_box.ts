/** The depth at a pressed place in time, as a chart over the colours of the depth classes. */
import {t} from '../i18n';
import {sayClock} from '../playback_clock';
import {el} from '../ui/dom';
import type {Curve, WaterClass} from './frames';

const WIDTH = 300, HEIGHT = 130, LEFT = 34, RIGHT = 18, TOP = 8, BOTTOM = 22;
const LINES = ['#0017c1', '#b3261e'];

const svg = (tag: string, attributes: Record<string, string | number>, text = ''): SVGElement => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  if (text) node.textContent = text;
  return node;
};

/** A round step that cuts a span into at most five. */
export function tick(span: number): number {
  const rough = Math.max(span, 1e-3) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5, 10].find((m) => m * power >= rough - 1e-12) ?? 10);
}

export function curveBox(curves: {name: string; curve: Curve}[], classes: WaterClass[], close: () => void): HTMLElement {
  const known = curves.map((c, n) => ({...c, colour: LINES[n % LINES.length]})).filter((c) => c.curve.depths !== null);
  const header = el('header', {}, el('strong', {}, t('water.here')), el('button', {type: 'button', class: 'close', 'aria-label': t('close'), onclick: close}, '×'));
  if (!known.length) return el('div', {}, header, el('p', {class: 'small'}, t('water.none')));
  const hours = known.flatMap((c) => c.curve.hours);
  const [h0, h1] = [Math.min(...hours), Math.max(...hours)];
  const most = Math.max(...known.flatMap((c) => c.curve.depths ?? []));
  const top = Math.max(0.5, most * 1.1);
  const x = (h: number): number => LEFT + ((h - h0) / (h1 - h0 || 1)) * (WIDTH - LEFT - RIGHT);
  const y = (d: number): number => HEIGHT - BOTTOM - (d / top) * (HEIGHT - TOP - BOTTOM);
  const chart = svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img'});
  const words = known.map((c) => {
    const depths = c.curve.depths as number[];
    const deepest = Math.max(...depths);
    const first = depths.findIndex((d) => d >= 0.1);
    return `${known.length > 1 ? `${c.name}: ` : ''}${t('water.deepest', {m: deepest.toFixed(2)})}${first >= 0 ? `　${t('water.arrives', {h: sayClock(c.curve.hours[first])})}` : ''}`;
  });
  chart.append(svg('title', {}, words.join(' / ')));
  for (const c of classes) {
    if (c.min >= top) continue;
    const high = Math.min(c.max ?? top, top);
    chart.append(svg('rect', {x: LEFT, width: WIDTH - LEFT - RIGHT, y: y(high), height: y(c.min) - y(high), fill: `rgb(${c.colour.join(',')})`, 'fill-opacity': 0.7}));
  }
  const across = tick(h1 - h0), up = tick(top);
  for (let h = Math.ceil(h0 / across) * across; h <= h1 + 1e-9; h += across) chart.append(svg('text', {x: x(h), y: HEIGHT - 6, 'text-anchor': 'middle'}, sayClock(h)));
  for (let d = 0; d <= top + 1e-9; d += up) {
    chart.append(svg('line', {x1: LEFT, x2: WIDTH - RIGHT, y1: y(d), y2: y(d), class: 'grid'}), svg('text', {x: LEFT - 4, y: y(d) + 4, 'text-anchor': 'end'}, `${+d.toFixed(2)}`));
  }
  for (const c of known) {
    const points = c.curve.hours.map((h, n) => `${x(h).toFixed(1)},${y((c.curve.depths as number[])[n]).toFixed(1)}`).join(' ');
    chart.append(svg('polyline', {points, fill: 'none', stroke: c.colour, 'stroke-width': 2.5}));
  }
  chart.append(svg('line', {class: 'now', y1: TOP, y2: HEIGHT - BOTTOM, x1: LEFT, x2: LEFT, 'data-scale': [LEFT, WIDTH - RIGHT, h0, h1].join(',')}));
  const said = el('p', {class: 'small'});
  words.forEach((w, n) => {
    const line = el('span', {}, w);
    if (known.length > 1) line.style.borderBottom = `3px solid ${known[n].colour}`;
    said.append(line, el('br'));
  });
  return el('div', {}, header, said, chart as unknown as Node);
}
