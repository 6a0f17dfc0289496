/** The residents' page: the order first, then the place in words, then a map. */
import type {AreaData} from '../light/area';
import {el} from '../src/ui/dom';
import {answer, openingWords, shelterName} from './answer';
import {noWalking} from './leave_by';
import {ask, OutsideMap, type Place, type Site} from './record';
import {type Hit, Search, type SearchFile} from './search';
import type {SmallMap} from './small_map';
import {Live, type Order, type Status} from './status';
import {type Household, NOBODY, timeline} from './timeline';
import {gaugeWords, stateAt, warningLines} from './water';
import {fetched, firstLanguage, htmlLang, lang, likely, load, moment, t} from './words';
import './style.css';

const root = new URL(location.pathname.endsWith('/home/') ? '../' : './', location.href);
const query = new URLSearchParams(location.search);
const app = document.querySelector<HTMLElement>('#app')!;
const fallback = document.querySelector<HTMLElement>('#fallback')!; // seen by itself where this program never runs
const live = new Live(new URL('status.json', root));
const REFRESH_MS = 60_000;
const TURN_MS = 12_000;
const keep = {
  get: (key: string): string | null => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // private windows may have none
    }
  },
  set: (key: string, value: string): void => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // then it is asked again next time
    }
  }
};

let site: Site;
let search: Promise<Search> | null = null;
let area: Promise<SmallMap> | null = null;
let place: Place | null = null;
let unkept: [number, number] | null = null; // asked for before the service worker was there to keep the answer
let label = '';
let middleOf = ''; // the district whose middle the place is
let floor: number | null = null;
let household: Household = NOBODY;
let note = '';
let hits: Hit[] | null = null;
let asking = 0;
let heard = false; // whether the status was asked for
const main = el('main', {});
const banner = el('div', {class: 'banner', role: 'status', 'aria-live': 'assertive'});
const results = el('div', {class: 'results', 'aria-live': 'polite'});
const shown = el('div', {class: 'shown'});
const mapBox = el('section', {class: 'map', hidden: true});

const cityName = (): string => (['ja', 'easy'].includes(lang()) || !site.name_en ? site.name : site.name_en);

// -- the order ---------------------------------------------------------------------------------------

const districtNames = (order: Order): string => order.districts.map((d) => d.name).join(['ja', 'easy', 'zh-Hans'].includes(lang()) ? '、' : ', ');

function orderParts(status: Status): HTMLElement[] {
  const {order} = status;
  if (order.mode === 'normal') return [];
  const drill = order.mode === 'drill';
  const own = order.message[lang()] ?? order.message[htmlLang()] ?? order.message.ja ?? '';
  const names = districtNames(order);
  const here = place?.district && order.districts.some((d) => d.id === place!.district!.id);
  const parts: (HTMLElement | null)[] = [
    el('p', {class: 'kind'}, t(drill ? 'order_drill' : 'order_disaster')),
    order.level === null ? null : el('p', {class: 'level'}, `${drill ? `【${t('drill_mark')}】` : ''}${t(`level_${order.level}`)}`),
    el('p', {}, t('order_where', {names: names || t('order_everywhere')})),
    here || (order.districts.length === 0 && place) ? el('p', {class: 'here'}, t('order_here')) : null,
    own ? el('p', {class: 'own'}, own) : null,
    order.since ? el('p', {class: 'quiet'}, t('order_since', {time: moment(order.since)})) : null
  ];
  return parts.filter((p) => p !== null);
}

/** The order again at the head of the answer: whoever reads it has scrolled past the banner. */
function orderInShort(at: Place): HTMLElement | null {
  if (!heard) return null;
  if (!live.now) return el('p', {class: 'order-short unknown'}, t('status_unknown'));
  const {order} = live.now;
  if (order.mode === 'normal') return null;
  const here = !order.districts.length || order.districts.some((d) => d.id === at.district?.id);
  const level = order.level === null ? '' : `${order.mode === 'drill' ? `【${t('drill_mark')}】` : ''}${t(`level_${order.level}`)}`;
  const where = here ? t('order_here') : t('order_where', {names: districtNames(order)});
  return el('p', {class: `order-short ${order.mode}`}, el('strong', {}, level || t(order.mode === 'drill' ? 'order_drill' : 'order_disaster')), el('span', {}, where));
}

function drawBanner(): void {
  const status = live.now;
  const parts = status ? orderParts(status) : [el('p', {class: 'unknown'}, t('status_unknown'))];
  const kind = status ? status.order.mode : 'unknown';
  const text = parts.map((p) => p.textContent).join('|');
  document.body.dataset.mode = kind;
  document.body.dataset.drill = t('drill_mark'); // on every printed sheet of a drill
  banner.hidden = !parts.length || !heard; // nothing is said of the status before it was asked
  if (banner.dataset.said === text) return; // nothing new to read aloud
  banner.dataset.said = text;
  banner.replaceChildren(...parts);
}

async function refresh(): Promise<void> {
  await live.refresh();
  drawBanner();
  drawFoot();
  if (!place) return;
  const said = ruled();
  if (said !== null && ruledBefore !== null && said !== ruledBefore) await askAgain(said);
  else ruledBefore ??= said;
  drawAnswer();
}

/** What the server minds when it answers for a place: the order and the release of 退避期限. */
const ruled = (): string | null => (live.now ? JSON.stringify([live.now.order, live.now.leave_by ?? null]) : null);
let ruledBefore: string | null = null;

async function askAgain(said: string): Promise<void> {
  const at = place!;
  try {
    const found = await ask(root, site, at.lon, at.lat, at.hazard);
    if (place !== at) return;
    place = found;
    ruledBefore = said;
  } catch {
    // The old answer stays; what no longer holds of it is not shown.
  }
}

// -- asking ------------------------------------------------------------------------------------------

function getSearch(): Promise<Search> {
  search ??= fetch(new URL('search.json', site.data ? new URL(site.data, root) : root))
    .then(async (a) => {
      if (!a.ok) throw new Error(String(a.status));
      return new Search((await a.json()) as SearchFile);
    })
    .catch((error: unknown) => {
      search = null;
      throw error;
    });
  return search;
}

async function find(text: string): Promise<void> {
  if (!text.trim()) return;
  note = t('search_busy');
  hits = null;
  drawResults();
  try {
    const found = (await getSearch()).find(text);
    hits = found.hits;
    const more = found.total > hits.length;
    note = !hits.length ? t('search_none') : t(more ? 'search_more' : 'search_found', {count: found.total, shown: hits.length});
  } catch {
    note = t('failed');
  }
  if (hits?.length === 1) await chooseHit(hits[0]);
  else drawResults();
}

function drawResults(): void {
  results.replaceChildren(
    note ? el('p', {class: 'quiet'}, note) : '',
    hits?.length
      ? el('ul', {}, ...hits.map((h) => el('li', {}, el('button', {type: 'button', onclick: () => void chooseHit(h)},
          el('span', {class: 'tag'}, t(`kind_${h.kind}`)), el('span', {}, h.label)))))
      : ''
  );
}

/** The answer; a page that was open while the site was published anew asks the new version. */
async function answered(lon: number, lat: number, hazard: string | null): Promise<Place> {
  try {
    return await ask(root, site, lon, lat, hazard);
  } catch (error) {
    if (error instanceof OutsideMap || !site.data) throw error;
    const newer = (await (await fetch(new URL('site.json', root), {cache: 'no-cache'})).json()) as Site;
    if (newer.data === site.data) throw error;
    site = newer;
    search = area = null;
    return ask(root, site, lon, lat, hazard);
  }
}

async function choose(lon: number, lat: number, name: string, hazard: string | null = null, middle = ''): Promise<void> {
  [lon, lat] = [Number(lon.toFixed(5)), Number(lat.toFixed(5))]; // a metre: as in the address, so that what was kept is found again
  const mine = ++asking;
  hits = null;
  note = '';
  drawResults();
  shown.replaceChildren(el('p', {class: 'busy', role: 'status'}, t('loading')));
  if (!navigator.serviceWorker?.controller) unkept = [lon, lat];
  try {
    const found = await answered(lon, lat, hazard);
    if (mine !== asking) return;
    place = found;
    ruledBefore = ruled();
    middleOf = middle;
    label = name || (found.building?.name ?? (found.district?.name ? t('near', {name: found.district.name}) : t('here')));
    history.replaceState(null, '', `#at=${lon.toFixed(5)},${lat.toFixed(5)}`);
    drawAnswer();
    document.querySelector<HTMLElement>('#answer')?.focus();
    void drawMap(0);
  } catch (error) {
    if (mine !== asking) return;
    place = null;
    shown.replaceChildren(el('p', {class: 'verdict unknown', role: 'alert'}, t(error instanceof OutsideMap ? 'outside_map' : 'failed')));
  }
  drawBanner();
}

const chooseHit = (h: Hit): Promise<void> => choose(h.lon, h.lat, h.label, null, h.kind === 'district' ? h.label : '');

function locate(): void {
  const failed = (): void => {
    note = t('gps_failed');
    drawResults();
  };
  if (!navigator.geolocation) return failed();
  note = t('loading');
  drawResults();
  navigator.geolocation.getCurrentPosition((p) => void choose(p.coords.longitude, p.coords.latitude, t('gps')), failed,
    {enableHighAccuracy: true, timeout: 15_000, maximumAge: 60_000});
}

// -- showing -----------------------------------------------------------------------------------------

function drawAnswer(): void {
  drawWarnings();
  if (!place) return;
  const open = [...shown.querySelectorAll('details')].map((d) => d.open);
  const focused = focusable().indexOf(document.activeElement as HTMLElement);
  shown.replaceChildren(
    middleOf ? el('p', {class: 'warn'}, t('district_note', {name: middleOf})) : '',
    answer(place, label, live, orderInShort(place), {
      floor, setFloor: (n) => (floor = n), setHazard: (h) => void choose(place!.lon, place!.lat, label, h, middleOf), showWay: (n) => void drawMap(n, true)
    }),
    mapBox,
    el('div', {class: 'after'},
      el('a', {class: 'button', href: mapUrl(place)}, t('map_3d')),
      el('button', {type: 'button', class: 'plain', onclick: drawTimeline}, t('timeline')),
      el('button', {type: 'button', class: 'plain', onclick: () => printed('answer')}, t('print_page')))
  );
  [...shown.querySelectorAll('details')].forEach((d, i) => (d.open = open[i] ?? false));
  if (focused >= 0) focusable()[focused]?.focus({preventScroll: true}); // a minute's news takes nobody's place from them
}

const focusable = (): HTMLElement[] => [...shown.querySelectorAll<HTMLElement>('a, button, input, select, summary, [tabindex]')];

/** This page with the place, for a QR code on paper; what stands behind # never reaches a server. */
function pageUrl(): string {
  const url = new URL(root);
  url.search = `?lang=${lang()}`;
  url.hash = place ? `at=${place.lon.toFixed(5)},${place.lat.toFixed(5)}` : '';
  return url.href;
}

const mapLang = (): string => (['ja', 'easy'].includes(lang()) ? lang() : 'en'); // what the map and the form speak
const mapUrl = (at: Place): string => `${new URL('map/', root).href}?lang=${mapLang()}#v=17/${at.lat.toFixed(5)}/${at.lon.toFixed(5)}/0/50`;

function getMap(): Promise<SmallMap> {
  area ??= (async () => {
    const [module, answer] = await Promise.all([import('./small_map'), fetch(new URL('area.json', site.data ? new URL(site.data, root) : root))]);
    if (!answer.ok) throw new Error(String(answer.status));
    return new module.SmallMap((await answer.json()) as AreaData, ({lon, lat}) => void choose(lon, lat, ''), t('map_label'));
  })().catch((error: unknown) => {
    area = null;
    throw error;
  });
  return area;
}

async function drawMap(way: number, look = false): Promise<void> {
  if (look && note === t('map_failed')) {
    note = '';
    drawResults();
  }
  try {
    const map = await getMap();
    map.opening = (id) => live.opening(id).state;
    if (!mapBox.contains(map.canvas)) {
      mapBox.replaceChildren(map.canvas, el('div', {class: 'zoom'},
        el('button', {type: 'button', onclick: () => map.zoom(1.5), 'aria-label': '+'}, '+'),
        el('button', {type: 'button', onclick: () => map.zoom(1 / 1.5), 'aria-label': '−'}, '−')), el('p', {class: 'quiet'}, t('map_text')));
    }
    mapBox.hidden = false;
    if (!mapBox.isConnected) shown.replaceChildren(mapBox);
    map.show(place, way, place ? noWalking(place, live) : false);
    if (look) mapBox.scrollIntoView({behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth', block: 'center'});
  } catch {
    mapBox.hidden = true; // the words above say the same
    if (!look) return;
    note = t('map_failed');
    drawResults();
  }
}

function printed(what: 'answer' | 'timeline'): void {
  document.body.dataset.print = what;
  window.print();
  delete document.body.dataset.print;
}

function drawTimeline(): void {
  let box = document.querySelector<HTMLElement>('.household');
  box?.remove();
  box = timeline(place, label, household, (w) => (household = w), () => {
    printed('timeline');
  }, pageUrl());
  shown.append(box);
  box.querySelector('h2')!.scrollIntoView({block: 'start'});
}

const foot = el('footer', {});

const warned = el('section', {class: 'warned', hidden: true, 'aria-live': 'polite'});

/** Warnings before a place is asked for; an answer says them itself. */
function drawWarnings(): void {
  const lines = place || !heard ? null : warningLines(live);
  const text = (lines ?? []).map((l) => l.textContent).join('|');
  warned.hidden = !lines;
  if (warned.dataset.said === text) return;
  warned.dataset.said = text;
  warned.replaceChildren(el('h2', {}, t('water_warnings')), el('ul', {class: 'sets'}, ...(lines ?? [])));
}

function drawFoot(): void {
  drawWarnings();
  const status = live.now;
  const open = status ? Object.entries(status.openings).filter(([, o]) => o.state === 'open') : [];
  foot.replaceChildren(
    el('details', {}, el('summary', {}, t('levels')), el('ol', {class: 'levels'}, ...[5, 4, 3, 2, 1].map((n) => el('li', {class: `level${n}`}, t(`level_${n}`)))), el('p', {}, t('levels_note'))),
    el('p', {}, t('footer')),
    el('p', {class: 'quiet'}, status ? t('status_of', {time: moment(status.as_of)}) : heard ? t('status_unknown') : '', open.length ? ` · ${t('open_list')}: ${open.length}` : ''),
    el('p', {class: 'quiet'}, t('data_of', {time: moment(site.made)})),
    site.data ? '' : el('p', {}, el('a', {class: 'tall', href: new URL(`report/?lang=${mapLang()}`, root).href}, t('report'))),
    site.paper ? el('p', {}, el('a', {class: 'tall', href: new URL(['ja', 'easy'].includes(lang()) ? site.paper : `${site.paper}en.html`, root).href}, t('paper_maps'))) : ''
  );
}

function drawPage(): void {
  document.title = `${t('title')} - ${cityName()}`;
  const input = el('input', {id: 'q', type: 'search', autocomplete: 'street-address', placeholder: t('search_hint'), enterkeyhint: 'search', maxlength: 100, onfocus: () => void getSearch().catch(() => undefined)});
  const languages = el('select', {id: 'lang', onchange: (e: Event) => void speak((e.target as HTMLSelectElement).value)} as never,
    ...site.languages.map((l) => el('option', {value: l.code, selected: l.code === lang(), lang: l.code === 'easy' ? 'ja' : l.code}, l.name)));
  const header = el('header', {}, el('div', {}, el('p', {class: 'city'}, cityName()), el('h1', {}, t('title'))),
    el('label', {class: 'lang'}, el('span', {}, t('lang_label')), languages));
  main.replaceChildren(
    el('p', {class: 'intro'}, t('intro')),
    el('form', {role: 'search', onsubmit: (e: Event) => {
      e.preventDefault();
      void find(input.value);
    }} as never,
      el('label', {for: 'q'}, t('search_label')),
      el('div', {class: 'row'}, input, el('button', {type: 'submit', class: 'main', 'aria-label': t('search_label')}, '→')),
      el('div', {class: 'row'},
        el('button', {type: 'button', class: 'plain', onclick: locate}, t('gps')),
        el('button', {type: 'button', class: 'plain', onclick: () => void drawMap(0, true)}, t('on_map')))),
    warned, results, shown);
  drawResults();
  fallback.hidden = true;
  app.replaceChildren(el('a', {class: 'skip', href: '#answer'}, t('skip')), banner, header,
    site.fictional ? el('p', {class: 'fictional'}, t('fictional')) : '', main, foot);
  drawBanner();
  drawFoot();
  drawAnswer();
}

// -- a screen on a wall ------------------------------------------------------------------------------

/** Nobody scrolls a wall: what does not fit comes by turns. */
function turnPage(): void {
  const {scrollHeight} = document.documentElement;
  const covered = document.querySelector<HTMLElement>('.banner')?.offsetHeight ?? 0;
  const next = scrollY + Math.max(innerHeight - covered, innerHeight / 4) * 0.85;
  scrollTo({top: scrollY + innerHeight >= scrollHeight - 2 ? 0 : next});
}

/** The gauges that matter on a wall: those over a threshold, and how many nobody can tell of. */
function signs(): HTMLElement[] {
  const gauges = live.now?.water ?? [];
  const high = gauges.filter((g) => ['caution', 'evacuation', 'danger'].includes(stateAt(g, live.moment)));
  const lost = gauges.filter((g) => stateAt(g, live.moment) === 'unknown').length;
  if (!gauges.length) return [];
  return [el('h2', {}, t('water')), el('ul', {}, ...high.map((g) => el('li', {class: 'gauge'}, `${g.river} ${g.name}　${gaugeWords(g, live.moment)[1]}`)),
    lost ? el('li', {class: 'unknown'}, `${t('water_unknown')}: ${lost}`) : '', !high.length && !lost ? el('li', {}, t('water_all_below')) : '')];
}

async function drawSignage(): Promise<void> {
  document.body.classList.add('signage');
  await live.refresh();
  const status = live.now;
  const names = new Map<string, string>();
  try {
    const answer = await fetch(new URL('shelters.json', site.data ? new URL(site.data, root) : root));
    for (const s of (await answer.json()) as {place_id: string; name: string; name_en: string | null}[]) names.set(s.place_id, shelterName(s as never));
  } catch {
    // the ids stand in for the names
  }
  const open = status ? Object.entries(status.openings).filter(([, o]) => o.state === 'open' || o.state === 'full') : [];
  document.body.dataset.mode = status ? status.order.mode : 'unknown';
  fallback.hidden = true;
  app.replaceChildren(
    el('header', {}, el('h1', {}, `${cityName()} ${t('signage')}`)),
    el('div', {class: 'banner'}, ...(status ? orderParts(status) : [el('p', {}, t('status_unknown'))])),
    el('main', {},
      el('section', {}, el('h2', {}, t('open_list')),
      status && open.length ? el('ul', {}, ...open.map(([id, o]) => el('li', {}, `${names.get(id) ?? id}　${openingWords(o)}`))) : el('p', {}, status ? t('open_none') : t('status_unknown'))),
      el('section', {}, ...(warningLines(live) ? [el('h2', {}, t('water_warnings')), el('ul', {}, ...warningLines(live)!)] : []),
        ...signs())),
    el('footer', {}, el('p', {}, status ? t('status_of', {time: moment(status.as_of)}) : ''))
  );
}

// -- start -------------------------------------------------------------------------------------------

async function speak(code: string): Promise<void> {
  await load(root, code);
  keep.set('lang', code);
  area = null;
  banner.dataset.said = warned.dataset.said = '';
  drawPage();
  if (place) void drawMap(0);
}

function asked(): [number, number] | null {
  const text = /^#at=(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)$/.exec(location.hash);
  const [lon, lat] = text ? [Number(text[1]), Number(text[2])] : [NaN, NaN];
  return Math.abs(lon) <= 180 && Math.abs(lat) <= 90 ? [lon, lat] : null;
}

const saves = (): boolean => (navigator as Navigator & {connection?: {saveData?: boolean}}).connection?.saveData === true;

async function start(): Promise<void> {
  const guess = likely(query.get('lang'), keep.get('lang'), navigator.languages);
  const early = fetched(root, guess).catch(() => null); // side by side: every round trip counts on a slow line
  const answer = await fetch(new URL('site.json', root));
  if (!answer.ok) throw new Error(String(answer.status));
  site = (await answer.json()) as Site;
  const wanted = firstLanguage(site.languages.map((l) => l.code), query.get('lang'), keep.get('lang'), navigator.languages);
  await load(root, wanted, wanted === guess ? early : null);
  if (query.get('mode') === 'signage') {
    await drawSignage();
    setInterval(() => void drawSignage(), REFRESH_MS);
    setInterval(turnPage, TURN_MS);
    return;
  }
  const first = live.refresh();
  drawPage();
  void first.then(() => {
    heard = true;
    drawBanner();
    drawFoot();
    if (place) {
      drawAnswer();
      document.querySelector('#answer')?.scrollIntoView({block: 'start'}); // the banner came in above it
    }
    if (!saves()) void getSearch().catch(() => undefined); // the service worker fetches it anyway: now it is there when a name is typed
  });
  setInterval(() => void refresh(), REFRESH_MS);
  addEventListener('online', () => void refresh());
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void refresh();
  });
  const at = asked();
  if (at) await choose(at[0], at[1], '');
  if ('serviceWorker' in navigator && (location.protocol === 'https:' || ['localhost', '127.0.0.1'].includes(location.hostname))) {
    // What was asked for before the worker was there is asked once more, so that the first visit already keeps it.
    if (!navigator.serviceWorker.controller) navigator.serviceWorker.addEventListener('controllerchange', () => {
      if (unkept) ask(root, site, ...unkept, null).catch(() => undefined);
    }, {once: true});
    navigator.serviceWorker.register(new URL('sw.js', root), {scope: root.pathname}).catch(() => undefined);
  }
}

start().catch(() => {
  fallback.hidden = false;
  fallback.classList.add('now');
  app.querySelector('.first')?.remove();
});
