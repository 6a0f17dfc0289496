/** The list of what can be laid over the city: on and off, density, order, legend, whose it is, what fails. */
import {pick, t} from '../i18n';
import type {Overlay, Shown} from '../overlays';
import {el, swatch} from './dom';

export type OverlayActions = {toggle: (id: string) => void; fade: (id: string, opacity: number) => void; move: (id: string, up: boolean) => void};

export function overlayList(all: Overlay[], shown: Shown[], failed: Set<string>, problems: string[], act: OverlayActions): HTMLElement {
  const box = el('div', {class: 'overlays'});
  const groups = new Map<string, Overlay[]>();
  for (const o of all) {
    const name = o.group ? pick(o.group) : t('overlay.others');
    groups.set(name, [...(groups.get(name) ?? []), o]);
  }
  for (const [name, members] of groups) {
    const on = members.filter((o) => shown.some((s) => s.id === o.id)).length;
    const group = el('details', {open: on > 0 || groups.size === 1}, el('summary', {}, on ? `${name}（${on}）` : name));
    for (const o of members) group.append(row(o, shown, failed.has(o.id), act));
    box.append(group);
  }
  for (const problem of problems) box.append(el('p', {class: 'error'}, problem));
  return box;
}

function row(o: Overlay, shown: Shown[], failed: boolean, act: OverlayActions): HTMLElement {
  const at = shown.findIndex((s) => s.id === o.id);
  const line = el('div', {class: 'overlay', 'data-id': o.id},
    el('label', {}, el('input', {type: 'checkbox', checked: at >= 0, onchange: () => act.toggle(o.id)}), el('span', {}, pick(o.title))));
  if (failed) line.append(el('p', {class: 'error', role: 'status'}, t('overlay.failed')));
  if (at < 0) return line;
  const range = el('input', {type: 'range', min: '0.1', max: '1', step: '0.05', value: String(shown[at].opacity), 'aria-label': `${pick(o.title)} ${t('opacity')}`, oninput: () => act.fade(o.id, Number(range.value))});
  line.append(el('div', {class: 'row'}, range,
    el('button', {type: 'button', class: 'plain', 'aria-label': `${pick(o.title)} ${t('overlay.up')}`, title: t('overlay.up'), disabled: at === shown.length - 1, onclick: () => act.move(o.id, true)}, '↑'),
    el('button', {type: 'button', class: 'plain', 'aria-label': `${pick(o.title)} ${t('overlay.down')}`, title: t('overlay.down'), disabled: at === 0, onclick: () => act.move(o.id, false)}, '↓')));
  const about = [o.vintage, o.licence].filter(Boolean).join('・');
  if (about) line.append(el('p', {class: 'small'}, about));
  return line;
}

/** The legends of what is on, the topmost first. */
export function overlayLegends(all: Map<string, Overlay>, shown: Shown[]): HTMLElement[] {
  const said = new Set<string>();
  return [...shown].reverse().flatMap((s) => {
    const o = all.get(s.id);
    if (!o) return [];
    const box = el('section', {class: 'legend', 'aria-label': pick(o.title)}, el('h3', {}, [pick(o.group ?? undefined), pick(o.title)].filter(Boolean).join(' ')));
    const list = el('div', {class: 'entries'});
    for (const c of o.legend?.classes ?? []) list.append(el('div', {class: 'entry'}, swatch(c.colour), el('span', {}, pick(c.label))));
    if (!o.legend?.classes.length && o.form === 'vector') list.append(el('div', {class: 'entry'}, swatch([0, 112, 128]), el('span', {}, pick(o.title))));
    box.append(list);
    const missing = o.legend ? pick(o.legend.missing) : '';
    if (missing && !said.has(missing)) box.append(el('p', {class: 'small'}, missing));
    said.add(missing);
    return [box];
  });
}
