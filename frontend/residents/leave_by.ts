/** 退避期限 in words: 「14:20までに」, what comes before it, and what to do when it has passed. */
import {el} from '../src/ui/dom';
import type {Place} from './record';
import type {Live, Status} from './status';
import {t} from './words';

export type Limit = {mobility: string; state: 'by' | 'never' | 'no_way' | 'unknown' | 'passed' | 'order'; at: string | null; by: string | null; shelter_id: string | null};
export type LeaveBy = {release: string; scenario: string; start: string; margin_min: number; drill: boolean; mobility: Limit[]};
export type Instead = {action: 'upstairs' | 'nearby' | 'highest' | 'outdoors' | 'stay'; floor: number | null; name: string | null; away_m: number | null};

/** Whether an order holds for real: it comes before every computed time. */
const ordered = (status: Status): boolean => status.order.mode === 'disaster' && status.order.level !== null;

/** Level 5 at this place: nobody sets out any more. */
const tooLate = (place: Place, status: Status | null): boolean => {
  if (!status || !ordered(status) || status.order.level !== 5) return false;
  const {districts} = status.order;
  return !districts.length || !place.district || districts.some((d) => d.id === place.district!.id);
};

/** The limits that may be told now; none where the release does not hold, or nobody knows whether it does. */
export function limits(place: Place, live: Live): Limit[] {
  const status = live.now;
  const block = place.leave_by;
  if (!status?.leave_by || ordered(status) || block?.release !== status.leave_by.release) return [];
  const now = live.clockMs;
  return block.mobility.map((one) => (one.at !== null && (one.state === 'by' || one.state === 'passed')
    ? {...one, state: now >= Date.parse(one.at) ? 'passed' : 'by'}
    : one));
}

/** Whether a way to a shelter must no longer be shown. */
export function noWalking(place: Place, live: Live): boolean {
  const found = limits(place, live);
  return tooLate(place, live.now) || (found.length > 0 && found.every((one) => one.state === 'passed' || one.state === 'no_way'));
}

export function insteadWords(one: Instead): string {
  const floor = one.floor === null ? t('act_inside') : t('act_floor', {n: one.floor});
  if (one.action === 'nearby') return one.name ? t('act_nearby_name', {name: one.name, m: one.away_m ?? 0, floor}) : t('act_nearby', {m: one.away_m ?? 0, floor});
  return t(`act_${one.action}`, {floor});
}

const action = (place: Place): HTMLElement =>
  el('div', {class: 'instead', role: 'alert'}, el('p', {class: 'act'}, t('act_title')), el('p', {}, insteadWords(place.instead)), el('p', {class: 'quiet'}, t('act_no_walk')));

/** The clock, with month and day before it unless it is today in Japan. */
export function clockWords(one: Limit, nowMs: number): string {
  const day = (one.at ?? '').slice(0, 10);
  const today = new Date(nowMs + 9 * 3_600_000).toISOString().slice(0, 10);
  return day === today ? (one.by ?? '') : `${Number(day.slice(5, 7))}/${Number(day.slice(8, 10))} ${one.by ?? ''}`;
}

/** What a class is told: words, and whether they are a warning. */
function words(one: Limit, nowMs: number): [string, boolean] {
  switch (one.state) {
    case 'by': return [t('lb_by', {time: clockWords(one, nowMs)}), false];
    case 'never': return [t('lb_never'), false];
    case 'passed': return [t('lb_passed'), true];
    case 'no_way': return [t('lb_no_way'), true];
    default: return [t('lb_unknown'), false];
  }
}

/** The block of the answer; null where there is nothing to say. */
export function leaveBy(place: Place, live: Live): HTMLElement | null {
  const status = live.now;
  const late = tooLate(place, status);
  const about = status?.leave_by ?? place.leave_by;
  if (!about) return late ? el('section', {class: 'leave-by'}, action(place)) : null;
  const parts: (HTMLElement | null)[] = [el('h3', {}, `${about.drill ? `【${t('drill_mark')}】` : ''}${t('lb_title')}`)];
  if (!status) parts.push(el('p', {class: 'warn'}, t('lb_not_sure')));
  else if (!status.leave_by) return late ? el('section', {class: 'leave-by'}, action(place)) : null;
  else if (ordered(status)) parts.push(el('p', {class: 'warn'}, t('lb_order')), late ? action(place) : null);
  else {
    const found = limits(place, live);
    if (!found.length) parts.push(el('p', {class: 'warn'}, t('lb_unknown')));
    else parts.push(el('dl', {}, ...found.flatMap((one) => {
      const [said, warns] = words(one, live.clockMs);
      return [el('dt', {}, t(`lb_${one.mobility}`)), el('dd', {class: `${one.state}${warns ? ' warn' : ''}`}, said)];
    })));
    if (found.some((one) => one.state === 'passed' || one.state === 'no_way')) parts.push(action(place));
    parts.push(el('p', {class: 'quiet'}, t('lb_note', {scenario: about.scenario, n: Math.round(about.margin_min)})));
  }
  return el('section', {class: 'leave-by'}, ...parts.filter((p) => p !== null));
}
