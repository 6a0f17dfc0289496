/** The answer in words: what to expect, whether to stay, where to go. */
import {el} from '../src/ui/dom';
import {leaveBy, noWalking} from './leave_by';
import {waterNow} from './water';
import {type HazardSet, type Place, type Shelter, wind} from './record';
import type {Live, Opening} from './status';
import {has, lang, t} from './words';

const NEAR_M = 30; // closer than this a direction means nothing
const REASSURING = ['dry_floor_available', 'depth_below_floor'];
const FLOORS = [1, 2, 3, 4, 5];
const DEPTHS: [number, string][] = [[0.5, 'floor'], [3, 'storey1'], [5, 'storey2'], [10, 'storey4'], [Infinity, 'higher']];

export const means = (depth: number): string => t(`means_${DEPTHS.find(([most]) => depth < most)![1]}`);
export const reason = (code: string): string => (has(`reason_${code}`) ? t(`reason_${code}`) : code);
export const hazardName = (code: string): string => (has(`hazard_${code}`) ? t(`hazard_${code}`) : code);

export function depthWords(one: HazardSet): string {
  if (one.depth_m === null) return t('depth_unknown');
  return t('depth', {m: one.depth_m < 1 ? Math.max(0.1, Math.round(one.depth_m * 10) / 10) : Math.ceil(one.depth_m * 2 - 0.001) / 2, means: means(one.depth_m)});
}

export function durationWords(hours: number): string {
  return hours <= 48 ? t('duration_h', {n: Math.max(1, Math.ceil(hours))}) : t('duration_d', {n: Math.ceil(hours / 24)});
}

/** What the floor one lives on means here; never better than the verdict. */
export function floorWords(place: Place, floor: number): string {
  if (place.verdict === 'leave') return t('floor_leave');
  if (place.verdict === 'outside_assumed_area') return t('floor_outside');
  if (place.verdict !== 'stay_upstairs' || place.dry_floor === null) return t('floor_unknown');
  return floor >= place.dry_floor ? t('floor_above', {n: floor}) : t('floor_below', {n: floor, dry: place.dry_floor});
}

/** In a disaster those that are open come first, and those that are full or closed last. */
export function ordered(shelters: Shelter[], opening: (id: string) => Opening, active: boolean): Shelter[] {
  if (!active) return shelters;
  const rank = {open: 0, unknown: 1, full: 2, closed: 2};
  return [...shelters].sort((a, b) => rank[opening(a.place_id).state] - rank[opening(b.place_id).state]);
}

export function openingWords(opening: Opening): string {
  const people = opening.head_count === null || opening.state === 'unknown' ? '' : ` · ${t('people', {n: opening.head_count})}`;
  return t(`open_${opening.state}`) + people;
}

export const shelterName = (s: Shelter): string => (!['ja', 'easy'].includes(lang()) && s.name_en ? `${s.name_en} ${s.name}` : s.name);

/** The reasons that are said. What another assumption has to say for staying is not read beside 「避難してください」. */
export function spoken(place: Place): string[] {
  if (place.verdict === 'outside_assumed_area') return [];
  return place.reasons.filter((r) => r !== 'outside' && (place.verdict === 'stay_upstairs' || !REASSURING.includes(r)));
}

function setWords(one: HazardSet): HTMLElement {
  const lines: (string | null)[] = [t(`state_${one.state}`)];
  if (one.state === 'inside') {
    lines.push(depthWords(one));
    lines.push(one.duration_h === null ? t('reason_duration_unknown') : one.duration_h > 0 ? durationWords(one.duration_h) : null);
  }
  if (one.collapse_flow) lines.push(t('reason_collapse_flow'));
  if (one.collapse_erosion) lines.push(t('reason_collapse_erosion'));
  if (one.state === 'inside' && one.edge_m !== null && one.edge_m >= 0) lines.push(t('edge_inside', {m: one.edge_m}));
  if (one.state === 'outside' && (one.edge_m ?? 0) >= 0) lines.push(one.edge_m === null ? t('edge_far') : t('edge_outside', {m: one.edge_m}));
  const scale = has(`scale_${one.scale}`) ? `（${t(`scale_${one.scale}`)}）` : '';
  return el('li', {class: one.state}, el('strong', {}, `${hazardName(one.hazard)} ${one.name}${scale}`),
    ...lines.filter((l): l is string => !!l).map((line) => el('span', {}, line)));
}

function detourWords({more_m: more, depth_m: depth}: {more_m: number | null; depth_m: number | null}): string {
  const words = more === null ? t('closed_no_way') : more > 0 ? t('closed_detour', {m: more}) : t('closed_other');
  return depth ? `${words} ${t('closed_depth', {m: depth})}` : words;
}

/** How far on foot and in which direction, or that no way was found. */
export function wayWords(place: Place, s: Shelter): string {
  if (!s.route || s.walk_min === null || s.walk_m === null) return t('no_route', {m: s.away_m});
  const walk = t('walk', {min: s.walk_min, m: s.walk_m});
  return s.away_m < NEAR_M ? walk : t('toward', {walk, direction: t(`toward_${wind(place, s)}`)});
}

/** What must be known of a shelter beside the way: its wet floors. */
export const useWords = (s: Shelter): string => (s.use === 'upper_floors' ? t('use_upper', {floor: s.dry_floor ?? '?'}) : t('use_usable'));

function shelterCard(place: Place, s: Shelter, number: number, live: Live, stays: boolean, show: (n: number) => void): HTMLElement {
  const state = live.opening(s.place_id);
  const lines: [string, string][] = [];
  if (stays) lines.push(['warn', t('act_no_walk')]);
  else if (s.route) {
    lines.push(['way', wayWords(place, s)]);
    lines.push(s.in_water_m ? ['warn', t('walk_wet', {m: s.in_water_m})] : ['fine', t('walk_dry')]);
  } else lines.push(['warn', wayWords(place, s)]);
  if (s.detour && !stays) lines.push(['warn closed', detourWords(s.detour)]);
  lines.push([s.use === 'upper_floors' ? 'warn' : 'fine', useWords(s)]);
  if (s.wifi) lines.push(['fine', s.wifi.floods === false ? t('wifi_yes') : `${t('wifi_yes')}（${t(s.wifi.floods ? 'wifi_floods' : 'wifi_unknown')}）`]);
  return el('li', {class: 'shelter'},
    el('h4', {}, shelterName(s)), el('p', {class: `opening ${state.state}`}, openingWords(state)),
    ...lines.map(([kind, line]) => el('p', {class: kind}, line)),
    s.route && !stays ? el('button', {type: 'button', class: 'plain', onclick: () => show(number), 'aria-label': `${t('show_map')} ${shelterName(s)}`}, t('show_map')) : null);
}

export type Actions = {floor: number | null; setFloor: (n: number) => void; setHazard: (h: string) => void; showWay: (n: number) => void};

/** The whole answer: the order that holds now, then the verdict. */
export function answer(place: Place, label: string, live: Live, order: HTMLElement | null, act: Actions): HTMLElement {
  const active = live.now !== null && live.now.order.mode !== 'normal';
  const shelters = ordered(place.shelters, (id) => live.opening(id), active);
  place.shelters = shelters;
  const stays = noWalking(place, live);
  const reasons = spoken(place);
  const floor = el('p', {class: 'floor', 'aria-live': 'polite'}, act.floor === null ? '' : floorWords(place, act.floor));
  const choose = (n: number): void => {
    act.setFloor(n);
    floor.textContent = floorWords(place, n);
  };
  const sets = [...place.sets].sort((a, b) => (b.depth_m ?? (b.state === 'inside' ? 99 : -1)) - (a.depth_m ?? (a.state === 'inside' ? 99 : -1)));
  const worst = sets.find((s) => s.state === 'inside');
  const box = el('section', {class: 'answer', id: 'answer', tabindex: '-1', 'aria-labelledby': 'answer-title'},
    order,
    el('h2', {id: 'answer-title'}, label),
    el('p', {class: `verdict ${place.verdict}`}, t(`verdict_${place.verdict}`)),
    worst ? el('p', {class: 'lead'}, `${depthWords(worst)}${worst.duration_h ? ` · ${durationWords(worst.duration_h)}` : ''}`) : null,
    leaveBy(place, live),
    place.verdict === 'stay_upstairs' ? el('p', {class: 'warn'}, t('stay_conditions')) : null,
    reasons.length ? el('ul', {class: 'reasons'}, ...reasons.map((r) => el('li', {}, reason(r)))) : null,
    el('fieldset', {class: 'floors'}, el('legend', {}, t('floor_question')),
      ...FLOORS.map((n) => el('label', {},
        el('input', {type: 'radio', name: 'floor', value: n, checked: act.floor === n, onchange: () => choose(n)}),
        el('span', {}, n === 5 ? t('floor_5') : t('floor_n', {n}))))),
    floor,
    waterNow(live, place.lon, place.lat),
    el('h3', {}, t('shelters')),
    place.hazards.length > 1
      ? el('label', {class: 'hazard'}, t('hazard_choose'), el('select', {onchange: (e: Event) => act.setHazard((e.target as HTMLSelectElement).value)} as never,
          ...place.hazards.map((h) => el('option', {value: h, selected: h === place.hazard}, hazardName(h)))))
      : place.hazard ? el('p', {class: 'quiet'}, hazardName(place.hazard)) : null,
    shelters.length
      ? el('ol', {class: 'shelters'}, ...shelters.map((s, i) => shelterCard(place, s, i, live, stays, act.showWay)))
      : el('p', {class: 'warn'}, t('shelters_none')),
    sets.length
      ? el('details', {}, el('summary', {}, t('details')), el('ul', {class: 'sets'}, ...sets.map(setWords)))
      : null,
    place.wifi.length
      ? el('details', {}, el('summary', {}, t('wifi')), el('ul', {class: 'sets'}, ...place.wifi.map((w) =>
          el('li', {}, el('strong', {}, w.name), el('span', {}, `${w.ssid ? `SSID: ${w.ssid} · ` : ''}${t('wifi_away', {m: w.away_m, area: w.area ?? ''})}`)))))
      : null);
  return box;
}
