/** The report form: what, where, photos, send; everything is kept on the device first. */
import {type AreaData, type LonLat, nearest} from '../light/area';
import {OrderStrip} from '../light/order_strip';
import '../light/order_strip.css';
import {Live} from '../residents/status';
import {el} from '../src/ui/dom';
import {icon} from './icons';
import {taken} from './photo';
import {type Item, type Kept, Queue, uuid} from './queue';
import {ReportMap} from './report_map';
import {firstLang, type Lang, LANGS, lang, pick, serverLang, setLang, t, type Title} from './texts';
import './style.css';

type Category = {code: string; title: Title; icon: string; depth: boolean; severity: boolean};
type Form = {
  city: {name: string; name_en: string; fictional: boolean}; categories: Category[];
  limits: {photos: number; text: number; contact: number; margin_deg: number}; map: AreaData;
};
type Where = LonLat & {accuracy: number | null; source: 'gps' | 'map' | 'photo' | 'address'};
type Draft = {
  category: string | null; where: Where | null; photos: Kept[]; depth: number | null; severity: number | null;
  ago: number; text: string; contact: string;
};
type Syncing = ServiceWorkerRegistration & {sync?: {register(tag: string): Promise<void>}};

const base = new URL('./', location.href);
const queue = new Queue(base);
const heard = 'BroadcastChannel' in window ? new BroadcastChannel(`reports ${base.pathname}`) : null;
const app = document.querySelector<HTMLElement>('#app')!;
const drillNote = el('p', {class: 'drill-note', hidden: true});
const strip = new OrderStrip(new Live(new URL('../status.json', base)), t, serverLang, (_, status) => {
  drillNote.hidden = status?.order.mode !== 'drill';
  drillNote.textContent = t('drill.note');
});
const DEPTHS: [string, number][] = [['ankle', 0.1], ['knee', 0.4], ['waist', 0.8], ['chest', 1.2]];
const AGES = [0, 30, 60, 180];
const AGAIN_MS = 30_000;
const fresh = (): Draft => ({category: null, where: null, photos: [], depth: null, severity: null, ago: 0, text: '', contact: ''});

let data: Form | null = null;
let draft = fresh();
let view: 'new' | 'list' = 'new';
let items: Item[] = [];
let shown: string[] = []; // object URLs of the photos on the page
let map: ReportMap | null = null;
let toast: {text: string; bad?: boolean; id?: string} | null = null;
let missing = '';
let placeNote = '';
let registration: Syncing | null = null;
const store = {
  get: (key: string): string | null => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set: (key: string, value: string): void => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // Private windows may have none; the choice is asked again.
    }
  }
};

// -- keeping ---------------------------------------------------------------------------------------

let saving = 0;
function keep(): void {
  clearTimeout(saving);
  saving = window.setTimeout(() => queue.remember('draft', draft).catch(() => undefined), 300);
}

async function enqueue(): Promise<void> {
  const where = draft.where!;
  const category = data!.categories.find((c) => c.code === draft.category)!;
  const id = uuid();
  const item: Item = {
    id, at: Date.now(), state: 'waiting', photos: draft.photos, photoCount: draft.photos.length, lang: serverLang(), tries: 0,
    said: {
      id, category: category.code, lon: +where.lon.toFixed(7), lat: +where.lat.toFixed(7),
      accuracy_m: where.accuracy === null ? null : Math.min(1e6, Math.round(where.accuracy)), position_source: where.source,
      observed_at: new Date(Date.now() - draft.ago * 60_000).toISOString(), depth_m: category.depth ? draft.depth : null,
      severity: category.severity ? draft.severity : null, text: draft.text.trim(), contact: draft.contact.trim()
    }
  };
  try {
    await queue.put(item);
  } catch {
    toast = {text: t('saved.not'), bad: true};
    render();
    return;
  }
  const contact = draft.contact;
  draft = {...fresh(), contact};
  await queue.remember('draft', draft).catch(() => undefined);
  toast = {text: navigator.onLine ? t('saved.online') : t('saved.offline'), id};
  view = 'list';
  await refresh();
  scrollTo(0, 0);
  registration?.sync?.register('reports').catch(() => undefined);
  void send();
}

/** `settled`: nothing is on its way any more; what still waits goes out later by itself. */
async function refresh(settled = false): Promise<void> {
  items = await queue.items().catch(() => []);
  const item = toast?.id ? items.find((i) => i.id === toast?.id) : undefined;
  if (item?.state === 'accepted') toast = {text: t('saved.accepted'), id: item.id};
  else if (item?.state === 'refused') toast = null;
  else if (item?.state === 'sending' && !item.tries) toast = {text: t('saved.online'), id: item.id};
  else if (item?.state === 'waiting' && (settled || item.tries)) toast = {text: t('saved.offline'), id: item.id};
  if (view === 'list') render();
  else renderCount();
}

async function send(): Promise<void> {
  if (!items.some((i) => i.state === 'waiting' || i.state === 'sending')) return;
  await queue.sendAll(() => void refresh()).catch(() => undefined);
  await refresh(true);
}

// -- place -----------------------------------------------------------------------------------------

function inside(at: LonLat): boolean {
  const [west, south, east, north] = data!.map.bbox;
  const margin = data!.limits.margin_deg;
  return at.lon >= west - margin && at.lon <= east + margin && at.lat >= south - margin && at.lat <= north + margin;
}

function choose(where: Where, look: boolean): void {
  if (!inside(where)) {
    placeNote = t('where.outside');
  } else {
    placeNote = '';
    draft.where = where;
    missing = '';
    const asked = document.querySelector('#missing');
    if (asked) asked.textContent = ''; // it was asked for, and is there now
    map?.show(where, where.accuracy, look);
    keep();
  }
  sayPlace();
}

function sayPlace(): void {
  const line = document.querySelector('#place');
  if (!line) return;
  const where = draft.where;
  const near = where && nearest(data!.map, where);
  const words = where ? t(`where.${where.source}`, {m: Math.round(where.accuracy ?? 0)}) + (near ? ` – ${t('where.near', {name: near})}` : '') : t('where.none');
  line.textContent = [placeNote, words].filter(Boolean).join(' ');
}

function locate(): void {
  placeNote = t('where.asking');
  sayPlace();
  if (!navigator.geolocation) {
    placeNote = t('where.denied');
    sayPlace();
    return;
  }
  navigator.geolocation.getCurrentPosition(
    ({coords}) => choose({lon: coords.longitude, lat: coords.latitude, accuracy: coords.accuracy, source: 'gps'}, true),
    () => {
      placeNote = t('where.denied');
      sayPlace();
    },
    {enableHighAccuracy: true, timeout: 20_000, maximumAge: 15_000}
  );
}

type Found = {label: string} & LonLat;
async function search(words: string): Promise<Found[]> {
  try {
    const answer = await fetch(new URL(`../api/search?limit=8&q=${encodeURIComponent(words)}`, base));
    if (!answer.ok) throw new Error('search');
    return ((await answer.json()) as Found[]).filter((hit) => Number.isFinite(hit.lon) && Number.isFinite(hit.lat));
  } catch {
    const area = data!.map;
    const [west, south, east, north] = area.bbox;
    return [...area.landmarks, ...area.districts].filter((mark) => mark.name.includes(words)).slice(0, 8).map(({name, at}) => ({
      label: name, lon: west + (at[0] / area.steps) * (east - west), lat: south + (at[1] / area.steps) * (north - south)
    }));
  }
}

// -- page ------------------------------------------------------------------------------------------

function choices<T>(label: string, list: [T, string][], now: T | null, press: (value: T | null) => void): HTMLElement {
  const group = el('div', {class: `chips of${list.length}`, role: 'group', 'aria-label': label});
  for (const [value, text] of list) {
    group.append(el('button', {type: 'button', role: 'radio', 'aria-checked': String(value === now), onclick: () => press(value === now ? null : value)}, text));
  }
  return group;
}

function card(title: string, ...children: (Node | string | null)[]): HTMLElement {
  return el('section', {class: 'card'}, el('h2', {}, title), ...children);
}

function whatCard(): HTMLElement {
  const grid = el('div', {class: 'kinds', role: 'radiogroup', 'aria-label': t('what'), id: 'what'});
  for (const category of data!.categories) {
    grid.append(
      el('button', {
        type: 'button', role: 'radio', 'aria-checked': String(category.code === draft.category), 'data-code': category.code,
        onclick: () => {
          draft.category = category.code;
          missing = '';
          keep();
          render();
        }
      }, icon(category.icon) as unknown as Node, el('span', {}, pick(category.title)))
    );
  }
  return card(`1. ${t('what')}`, grid);
}

function whereCard(): HTMLElement {
  map = new ReportMap(data!.map, (at) => choose({...at, accuracy: null, source: 'map'}, false), t('where.map.label'));
  if (draft.where) map.show(draft.where, draft.where.accuracy, true);
  const results = el('ul', {class: 'found'});
  const words = el('input', {type: 'search', 'aria-label': t('search'), placeholder: t('search'), maxlength: 80, enterkeyhint: 'search'});
  const find = async (): Promise<void> => {
    if (!words.value.trim()) return;
    const hits = await search(words.value.trim());
    results.replaceChildren(
      ...(hits.length
        ? hits.map((hit) => el('li', {}, el('button', {
            type: 'button',
            onclick: () => {
              results.replaceChildren();
              choose({lon: hit.lon, lat: hit.lat, accuracy: null, source: 'address'}, true);
            }
          }, hit.label)))
        : [el('li', {role: 'status'}, t('search.none'))])
    );
  };
  const form = el('form', {class: 'search', role: 'search', onsubmit: (event: Event) => (event.preventDefault(), void find())}, words, el('button', {}, t('search.go')));
  const zoom = el('div', {class: 'zoom'},
    el('button', {type: 'button', 'aria-label': t('zoom.in'), onclick: () => map!.zoom(1.8)}, '+'),
    el('button', {type: 'button', 'aria-label': t('zoom.out'), onclick: () => map!.zoom(1 / 1.8)}, '−'));
  return card(`2. ${t('where')}`,
    el('button', {type: 'button', class: 'big', id: 'here', onclick: locate}, icon('locate') as unknown as Node, t('where.here')),
    el('div', {class: 'map', id: 'where'}, map.canvas, zoom),
    el('p', {class: 'help'}, t('where.help')),
    el('p', {class: 'place', id: 'place', role: 'status'}),
    form, results);
}

async function addPhotos(files: File[]): Promise<void> {
  const state = document.querySelector('#photo-state')!;
  state.textContent = t('photo.busy');
  let bad = false;
  for (const file of files.slice(0, data!.limits.photos - draft.photos.length)) {
    try {
      const photo = await taken(file);
      draft.photos.push({bytes: photo.bytes, type: photo.type});
      if (photo.at && !draft.where && inside(photo.at)) choose({...photo.at, accuracy: null, source: 'photo'}, true);
    } catch {
      bad = true;
    }
  }
  keep();
  showPhotos();
  state.textContent = bad ? t('photo.bad') : '';
}

function showPhotos(): void {
  for (const url of shown) URL.revokeObjectURL(url);
  shown = draft.photos.map((photo) => URL.createObjectURL(new Blob([photo.bytes], {type: photo.type})));
  const full = draft.photos.length >= data!.limits.photos;
  document.querySelector<HTMLElement>('#photo-add')!.hidden = full;
  document.querySelector('#photos')!.replaceChildren(
    ...shown.map((url, i) => el('figure', {}, el('img', {src: url, alt: `${t('photo')} ${i + 1}`}),
      el('button', {
        type: 'button', 'aria-label': t('photo.remove', {n: i + 1}),
        onclick: () => {
          draft.photos.splice(i, 1);
          keep();
          showPhotos();
        }
      }, '×')))
  );
}

function photoCard(): HTMLElement {
  const input = el('input', {type: 'file', accept: 'image/*', multiple: true, id: 'camera', 'aria-label': t('photo.add')});
  input.addEventListener('change', () => {
    const files = [...(input.files ?? [])];
    input.value = '';
    void addPhotos(files);
  });
  return card(`3. ${t('photo')}`,
    el('div', {class: 'file', id: 'photo-add'}, el('div', {class: 'big', 'aria-hidden': 'true'}, icon('camera') as unknown as Node, t('photo.add')), input),
    el('p', {class: 'help'}, t('photo.help', {n: data!.limits.photos})), el('p', {id: 'photo-state', role: 'status', class: 'help'}),
    el('div', {class: 'photos', id: 'photos'}));
}

function moreCard(category: Category | undefined): HTMLElement {
  const set = (change: Partial<Draft>): void => {
    Object.assign(draft, change);
    keep();
    render();
  };
  const text = el('textarea', {id: 'text', rows: 3, maxlength: data!.limits.text});
  text.value = draft.text;
  text.addEventListener('input', () => ((draft.text = text.value), keep()));
  const contact = el('input', {id: 'contact', maxlength: data!.limits.contact, autocomplete: 'tel'});
  contact.value = draft.contact;
  contact.addEventListener('input', () => ((draft.contact = contact.value), keep()));
  const parts: (Node | null)[] = [];
  if (category?.depth) {
    parts.push(el('label', {class: 'field'}, t('depth')),
      choices(t('depth'), DEPTHS.map(([name, m]) => [m, t(`depth.${name}`)] as [number, string]), draft.depth, (depth) => set({depth})));
  }
  if (category?.severity) {
    parts.push(el('label', {class: 'field'}, t('severity')),
      choices(t('severity'), [1, 2, 3].map((n) => [n, t(`severity.${n}`)] as [number, string]), draft.severity, (severity) => set({severity})));
  }
  parts.push(el('label', {class: 'field'}, t('when')),
    choices(t('when'), AGES.map((m) => [m, t(`when.${m}`)] as [number, string]), draft.ago, (ago) => set({ago: ago ?? 0})));
  return card(`4. ${t('more')}`, ...parts,
    el('label', {class: 'field', for: 'text'}, t('text')), text,
    el('label', {class: 'field', for: 'contact'}, t('contact')), contact, el('p', {class: 'help'}, t('contact.help')));
}

function foot(): HTMLElement {
  const press = (): void => {
    missing = !draft.category ? t('missing.what') : !draft.where ? t('missing.where') : '';
    if (!missing) {
      void enqueue();
      return;
    }
    document.querySelector('#missing')!.textContent = missing;
    document.querySelector(draft.category ? '#where' : '#what')?.scrollIntoView({block: 'center'});
  };
  return el('div', {class: 'foot'}, el('div', {},
    el('p', {class: 'missing', id: 'missing', role: 'alert'}, missing), el('button', {type: 'button', class: 'send', id: 'send', onclick: press}, t('send'))));
}

function itemRow(item: Item): HTMLElement {
  const category = data?.categories.find((c) => c.code === item.said.category);
  const when = new Date(item.at).toLocaleString(serverLang(), {month: 'numeric', day: 'numeric', hour: '2-digit', minute: '2-digit'});
  const waits = item.state === 'waiting' || item.state === 'sending';
  const acts = el('div', {class: 'acts'});
  if (item.state === 'waiting') acts.append(el('button', {type: 'button', onclick: () => void send()}, t('list.retry')));
  if (item.state === 'refused') {
    acts.append(el('button', {
      type: 'button',
      onclick: async () => {
        const begun = draft.category || draft.where || draft.text.trim() || draft.photos.length;
        if (begun && !confirm(t('list.edit.sure'))) return;
        const {said} = item;
        draft = {
          ...fresh(), category: said.category, photos: item.photos, depth: said.depth_m, severity: said.severity, text: said.text,
          contact: said.contact, where: {lon: said.lon, lat: said.lat, accuracy: said.accuracy_m, source: 'map'}
        };
        await queue.remember('draft', draft);
        await queue.remove(item.id);
        view = 'new';
        toast = null;
        await refresh();
        render();
      }
    }, t('list.edit')));
  }
  if (item.state !== 'sending') {
    acts.append(el('button', {
      type: 'button',
      onclick: async () => {
        if (item.state !== 'accepted' && !confirm(t('list.remove.sure'))) return;
        await queue.remove(item.id);
        await refresh();
      }
    }, t('list.remove')));
  }
  const note = item.state === 'refused' ? [item.reason, item.remedy].filter(Boolean).join(' → ') : waits && item.note ? t(`list.${item.note}`) : '';
  return el('li', {class: item.state, 'data-state': item.state, 'data-id': item.id},
    el('div', {class: 'row'}, icon(category?.icon ?? 'dots') as unknown as Node, el('strong', {}, category ? pick(category.title) : item.said.category), el('span', {class: 'small'}, when)),
    el('p', {class: 'badge'}, t(`state.${item.state}`), item.number ? ` – ${t('number', {n: item.number})}` : ''),
    item.said.text ? el('p', {class: 'small'}, item.said.text.slice(0, 120)) : null,
    item.photoCount ? el('p', {class: 'small'}, t('list.photos', {n: item.photoCount})) : null,
    note ? el('p', {class: 'small'}, note) : null, acts);
}

function renderCount(): void {
  const badge = document.querySelector<HTMLElement>('#count');
  const waiting = items.filter((i) => i.state !== 'accepted').length;
  if (badge) {
    badge.hidden = !waiting;
    badge.textContent = String(waiting);
  }
}

function header(): HTMLElement[] {
  const select = el('select', {'aria-label': t('lang'), id: 'lang'});
  for (const [name, text] of Object.entries(LANGS)) {
    const option = el('option', {value: name}, text);
    option.selected = name === lang();
    select.append(option);
  }
  select.addEventListener('change', () => {
    setLang(select.value as Lang);
    store.set('citymap.report.lang', select.value);
    render();
  });
  const city = data && (lang() === 'en' && data.city.name_en ? data.city.name_en : data.city.name);
  const tab = (name: 'new' | 'list', ...text: (Node | string)[]) =>
    el('button', {
      type: 'button', id: `tab-${name}`, 'aria-current': view === name ? 'page' : undefined,
      onclick: () => {
        view = name;
        toast = null;
        render();
        scrollTo(0, 0);
      }
    }, ...text);
  return [
    el('header', {}, el('div', {}, el('h1', {}, t('title')), city ? el('p', {}, city) : null), el('span', {style: 'flex:1'}), select),
    el('nav', {}, tab('new', t('tab.new')), tab('list', t('tab.list'), el('span', {class: 'count', id: 'count', hidden: true}))),
    el('p', {class: 'strip', role: 'status', id: 'offline', hidden: navigator.onLine}, t('offline.now'))
  ];
}

function render(): void {
  document.documentElement.lang = serverLang();
  document.documentElement.dataset.words = lang();
  document.title = t('title');
  const y = scrollY;
  const focused = focusable().indexOf(document.activeElement as HTMLElement);
  map = null;
  const said = toast ? el('p', {class: toast.bad ? 'toast bad' : 'toast', role: 'status', id: 'toast'}, toast.text) : null;
  const parts: (Node | null)[] = [...header()];
  if (!data) {
    parts.push(el('p', {class: 'urgent'}, t('urgent')), el('div', {class: 'blank', role: 'alert'}, el('p', {}, t('data.none')), el('button', {type: 'button', class: 'big', onclick: () => location.reload()}, t('reload'))));
  } else if (view === 'new') {
    const category = data.categories.find((c) => c.code === draft.category);
    parts.push(said, el('p', {class: 'urgent'}, t('urgent')), whatCard(), whereCard(), photoCard(), moreCard(category), foot());
  } else {
    parts.push(said, items.length ? el('ul', {class: 'items'}, ...items.map(itemRow)) : el('p', {class: 'blank'}, t('list.none')));
  }
  app.replaceChildren(strip.box, drillNote, ...parts.filter((p): p is Node => p !== null));
  strip.draw();
  renderCount();
  if (data && view === 'new') {
    sayPlace();
    showPhotos();
  }
  if (focused >= 0) focusable()[focused]?.focus({preventScroll: true}); // what was pressed stands before what its choice adds
  scrollTo(0, y);
}

const focusable = (): HTMLElement[] => [...app.querySelectorAll<HTMLElement>('button, input, select, textarea, canvas')];

/** Whether the list of categories and the map are whole: a form without them could not be filled in. */
const whole = (form: Form | null): Form | null => (Array.isArray(form?.categories) && form.limits && form.city && Array.isArray(form.map?.bbox) ? form : null);

async function start(): Promise<void> {
  setLang(firstLang(new URLSearchParams(location.search).get('lang'), store.get('citymap.report.lang'), navigator.languages));
  if ('serviceWorker' in navigator) {
    navigator.serviceWorker.register(new URL('sw.js', base), {scope: base.pathname.replace(/\/$/, '')}).then(
      (made) => (registration = made as Syncing), () => undefined
    );
  }
  data = await fetch(new URL('../api/reports/form.json', base)).then((answer) => (answer.ok ? (answer.json() as Promise<Form>) : null)).then(whole).catch(() => null);
  draft = {...fresh(), ...((await queue.recall<Draft>('draft').catch(() => undefined)) ?? {})};
  if (draft.category && !data?.categories.some((c) => c.code === draft.category)) draft.category = null;
  items = await queue.items().catch(() => []);
  render();
  strip.start();
  heard?.addEventListener('message', () => void refresh());
  const sayOffline = (): void => {
    document.querySelector<HTMLElement>('#offline')!.hidden = navigator.onLine;
  };
  addEventListener('online', () => (sayOffline(), void send()));
  addEventListener('offline', sayOffline);
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && void refresh().then(send));
  setInterval(() => navigator.onLine && void send(), AGAIN_MS);
  void send();
  navigator.storage?.persist?.().catch(() => undefined);
}

void start();
