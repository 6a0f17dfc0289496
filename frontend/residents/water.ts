/** Water levels and warnings in words: each with its moment; what is too old or was not heard is unknown. */
import {el} from '../src/ui/dom';
import type {Gauge, Live, Warned} from './status';
import {has, lang, moment, t} from './words';

const NEAR_M = 15_000;
const NEAREST = 3;
const LEVEL: Record<string, number> = {standby: 1, caution: 2, evacuation: 3, danger: 4};
type Near = Gauge & {away: number};

/** The nearest gauges that have a position, at most three within 15 km. */
export function near(gauges: Gauge[], lon: number, lat: number): Near[] {
  return gauges
    .flatMap((g) => (g.lon === null || g.lat === null ? [] : [{...g, away: Math.hypot((g.lon - lon) * Math.cos((lat * Math.PI) / 180), g.lat - lat) * 111_320}]))
    .filter((g) => g.away <= NEAR_M).sort((a, b) => a.away - b.away).slice(0, NEAREST);
}

/** The state of a gauge at a moment (ms): past `fresh_until` nobody knows. */
export const stateAt = (g: Gauge, now: number): Gauge['state'] => (g.value_m === null || !g.fresh_until || now >= Date.parse(g.fresh_until) ? 'unknown' : g.state);

export function gaugeWords(g: Gauge, now: number): [string, string] {
  const state = stateAt(g, now);
  if (state === 'unknown') return [state, `${t('water_unknown')}${g.observed_at ? `（${t('water_last', {time: moment(g.observed_at)})}）` : ''}`];
  const parts = [t(`water_${state}`), t('water_value', {m: g.value_m!.toFixed(2)})];
  if (g.rise_m_h !== null && Math.abs(g.rise_m_h) >= 0.05) parts.push(t(g.rise_m_h > 0 ? 'water_rising' : 'water_falling', {m: Math.abs(g.rise_m_h).toFixed(1)}));
  parts.push(t('water_age', {min: Math.max(0, Math.round((now - Date.parse(g.observed_at!)) / 60_000))}));
  if (g.by_staff) parts.push(t('water_by_staff'));
  return [state, parts.join(' · ')];
}

export function warningName(w: Warned): string {
  if (['ja', 'easy'].includes(lang()) && (w.name ?? w.last_name)) return (w.name ?? w.last_name)!;
  const hazard = has(`hazard_${w.hazard}`) ? t(`hazard_${w.hazard}`) : w.hazard;
  return t('warning_level', {n: w.level ?? w.last_level ?? '?', hazard});
}

/** Warnings: in force, in doubt, none, or not known; null where the city has no feed of them. */
export function warningLines(live: Live): HTMLElement[] | null {
  const said = live.now?.warnings;
  if (!live.now || said === null || said === undefined) return null;
  const fresh = said.known && said.fresh_until !== null && live.moment < Date.parse(said.fresh_until);
  const lines = said.items.map((w) => {
    const held = fresh && w.state === 'in_force';
    const words = `${held ? warningName(w) : t('warning_doubt', {name: warningName(w)})}　${w.area}（${moment(w.at)}）`;
    return el('li', {class: held ? `warning level${w.level}` : 'warning unknown'}, words);
  });
  if (!fresh) return [...lines, el('li', {class: 'warning unknown'}, t('warning_unknown'))];
  return lines.length ? lines : [el('li', {}, t('warning_none', {time: moment(said.checked_at!)}))];
}

/** The part of an answer about the rivers now; null where the city tells nothing of them. */
export function waterNow(live: Live, lon: number, lat: number): HTMLElement | null {
  const warnings = warningLines(live);
  const gauges = near(live.now?.water ?? [], lon, lat);
  const broken = live.now !== null && live.now.water === null;
  if (!warnings && !gauges.length && !broken) return null;
  return el('section', {class: 'water', 'aria-label': t('water')}, el('h3', {}, t('water')),
    el('ul', {class: 'sets'}, ...(warnings ?? []),
      ...gauges.map((g) => {
        const [state, words] = gaugeWords(g, live.moment);
        return el('li', {class: `gauge ${state} level${LEVEL[state] ?? 0}`}, el('strong', {}, `${g.river} ${g.name}`.trim()), el('span', {}, words));
      }), broken ? el('li', {class: 'gauge unknown'}, t('water_unknown')) : null),
    el('p', {class: 'quiet'}, t('water_note')));
}
