/** マイ・タイムライン: made and kept in this page alone, printed by the browser. */
import {el} from '../src/ui/dom';
import {shelterName, useWords, wayWords} from './answer';
import type {Place} from './record';
import {t} from './words';

export type Household = {elderly: boolean; baby: boolean; pet: boolean; medicine: boolean; car: boolean};
export const NOBODY: Household = {elderly: false, baby: false, pet: false, medicine: false, car: false};

/** What to do at each level. Who needs time leaves at level 3; nobody waits for level 5. */
export function steps(who: Household, mustLeave: boolean): string[][] {
  return [
    [t('tl_1'), ...(who.medicine ? [t('tl_1_medicine')] : []), ...(who.pet ? [t('tl_1_pet')] : [])],
    [t('tl_2'), ...(who.baby ? [t('tl_2_baby')] : []), ...(who.car ? [t('tl_2_car')] : [])],
    [who.elderly || who.baby || who.medicine || mustLeave ? t('tl_3_go') : t('tl_3_ready')],
    [t('tl_4')],
    [t('tl_5')]
  ];
}

export function timeline(place: Place | null, label: string, who: Household, changed: (who: Household) => void, print: () => void, url: string): HTMLElement {
  const made = el('div', {class: 'timeline'});
  const code = el('div', {class: 'qr'});
  void import('../light/qr').then(({qr}) => code.append(qr(url, t('tl_qr')), el('p', {}, t('tl_qr')))).catch(() => undefined); // the words stand without it
  const draw = (): void => {
    const best = place?.shelters[0];
    made.replaceChildren(
      el('h3', {}, t('tl_title')),
      label ? el('p', {}, label) : '',
      place ? el('p', {class: `verdict ${place.verdict}`}, t(`verdict_${place.verdict}`)) : '',
      place && best ? el('p', {class: 'lead'}, t('tl_shelter', {name: shelterName(best), walk: wayWords(place, best)})) : '',
      best?.in_water_m ? el('p', {class: 'warn'}, t('walk_wet', {m: best.in_water_m})) : '',
      best?.use === 'upper_floors' ? el('p', {class: 'warn'}, useWords(best)) : '',
      el('ol', {class: 'steps'}, ...steps(who, place?.verdict === 'leave').map((lines, i) =>
        el('li', {class: `level${i + 1}`}, el('strong', {}, t(`level_${i + 1}`)), el('ul', {}, ...lines.map((l) => el('li', {}, l))))))
    );
  };
  draw();
  const box = (name: keyof Household): HTMLElement =>
    el('label', {class: 'tick'}, el('input', {type: 'checkbox', checked: who[name], onchange: (e: Event) => {
      who = {...who, [name]: (e.target as HTMLInputElement).checked};
      changed(who);
      draw();
    }} as never), el('span', {}, t(`tl_${name}`)));
  return el('section', {class: 'household', 'aria-labelledby': 'tl'},
    el('h2', {id: 'tl'}, t('timeline')), el('p', {class: 'quiet'}, t('timeline_note')),
    el('fieldset', {class: 'ticks'}, el('legend', {}, t('tl_who')), ...(Object.keys(NOBODY) as (keyof Household)[]).map(box)),
    made, code, el('button', {type: 'button', class: 'main', onclick: print}, t('tl_print')));
}
