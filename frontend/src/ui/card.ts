/** The building card: every attribute decoded, every risk with its official colour. */
import {pick, t} from '../i18n';
import {classOf} from '../legend';
import type {Attribute, City} from '../manifest';
import {depthWords, hoursWords, metres} from '../speak';
import {el, swatch} from './dom';

type Risk = {
  hazard: string; name: string | null; scale: string | null; admin: string | null; rank: number | null; depth_m: number | null; duration_h: number | null;
};
type Row = [string, string | null | undefined];

export function card(city: City, record: Record<string, unknown>, close: () => void): HTMLElement {
  const b = record as Record<string, never> & {risks?: Risk[]; attributes?: unknown};
  const text = (key: string): string | null => (b[key] === null || b[key] === undefined ? null : String(b[key]));
  const below = b.storeys_below ? t('card.storeys.below', {n: b.storeys_below}) : '';
  const rows: Row[] = [
    ['card.usage', text('usage') ?? text('usage_code')],
    ['card.storeys', b.storeys_above ? t('card.storeys.value', {above: b.storeys_above, below}) : null],
    ['card.height', metres(b.measured_height_m)],
    ['card.structure', text('structure') ?? text('structure_code')],
    ['card.year', b.year_built ? t('yearjp', {y: b.year_built}) : null],
    ['card.class', text('class') ?? text('class_code')],
    ['card.ground', metres(b.ground_elevation_m)],
    ['card.area', typeof b.footprint_area_m2 === 'number' ? t('sqm', {v: Math.round(b.footprint_area_m2)}) : null],
    ['card.floor_area', typeof b.total_floor_area_m2 === 'number' ? t('sqm', {v: Math.round(b.total_floor_area_m2)}) : null],
    ['card.id', text('building_id')],
    ['card.source', text('source_file')]
  ];
  const title = text('name') ?? text('address') ?? text('usage') ?? t('card.noname');
  return el(
    'section', {class: 'card', 'aria-label': title},
    el('header', {}, el('h2', {}, title), el('button', {type: 'button', class: 'close', 'aria-label': t('close'), onclick: close}, '×')),
    text('name') && text('address') ? el('p', {class: 'address'}, String(b.address)) : null,
    risks(city, (b.risks ?? []) as Risk[]),
    el('dl', {}, ...rows.flatMap(([key, value]) => [
      el('dt', {}, t(key)), el('dd', value ? {} : {class: 'unknown'}, value ?? t('card.unknown'))
    ])),
    more(b.attributes)
  );
}

function risks(city: City, list: Risk[]): HTMLElement {
  if (!list.length) return el('p', {class: 'notice'}, t('card.risks.none'));
  const depths = city.manifest.attributes.find((a) => a.group === 'risk' && a.quantity === 'depth');
  const ordered = [...list].sort((a, b) => (b.depth_m ?? -1) - (a.depth_m ?? -1));
  return el(
    'div', {class: 'risks'}, el('h3', {}, t('card.risks')),
    ...ordered.map((r) => {
      const rank = rankAttribute(city, r);
      const colour = colourOf(r.depth_m !== null ? depths : rank, r.depth_m ?? r.rank);
      const words = r.depth_m !== null ? depthWords(r.depth_m) : (labelOf(rank, r.rank) ?? (r.rank !== null ? t('risk.rank', {n: r.rank}) : t('risk.unknown')));
      return el(
        'div', {class: 'risk'}, swatch(colour ?? [168, 172, 178], colour === null),
        el('div', {},
          el('div', {class: 'risk-name'}, `${t(`hazard.${r.hazard}`)}${r.scale ? `・${t(`scale.${r.scale}`)}` : ''}`),
          el('div', {class: 'risk-depth'}, words),
          el('div', {class: 'small'}, [r.name, r.admin, r.duration_h !== null ? `${t('risk.duration')} ${hoursWords(r.duration_h)}` : null].filter(Boolean).join('　'))
        )
      );
    })
  );
}

const rankAttribute = (city: City, r: Risk): Attribute | undefined =>
  city.manifest.attributes.find((a) => a.group === 'risk' && a.hazard === r.hazard && a.quantity === 'rank' && (a.scale ?? null) === r.scale);

function colourOf(attribute: Attribute | undefined, value: number | null): ArrayLike<number> | null {
  if (!attribute || value === null) return null;
  return attribute.legend[classOf(attribute, value)]?.colour ?? null;
}

function labelOf(attribute: Attribute | undefined, value: number | null): string | null {
  if (!attribute || value === null) return null;
  const entry = attribute.legend[classOf(attribute, value)];
  return entry ? pick(entry.label) : null;
}

type Item = {name?: string; value?: unknown; code?: unknown; group?: string};

/** Whatever else the file says, in the order it stands; groups come as `{group: [{name, value, code}]}` or a flat list. */
function more(attributes: unknown): HTMLElement | null {
  const items: Item[] = [];
  const visit = (x: unknown): void => {
    if (Array.isArray(x)) x.forEach(visit);
    else if (x && typeof x === 'object') {
      if ('name' in x) items.push(x as Item);
      else Object.values(x).forEach(visit);
    }
  };
  visit(attributes);
  if (!items.length) return null;
  return el(
    'details', {}, el('summary', {}, `${t('card.more')} (${items.length})`),
    el('dl', {class: 'small'}, ...items.flatMap((i) => [
      el('dt', {}, String(i.name).replace(/^uro:|^bldg:|^gen:|^core:/, '')),
      el('dd', {}, [i.value ?? null, i.value !== null && i.value !== undefined ? null : i.code].filter((x) => x !== null && x !== undefined).map(String).join(' ') || t('card.unknown'))
    ]))
  );
}
