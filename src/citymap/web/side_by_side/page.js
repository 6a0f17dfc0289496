// Cities side by side: the figures and the map of each come from its own public doors, below its prefix.
const data = JSON.parse(document.getElementById('data').textContent);
const {words, lang} = data;
const t = (key, values = {}) => (words[key] ?? key).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
const number = new Intl.NumberFormat(lang);
const clock = new Intl.DateTimeFormat(lang, {month: 'numeric', day: 'numeric', hour: '2-digit', minute: '2-digit'});
const AGAIN_MS = 60_000;
const AHEAD_S = 120; // a moment further in the future is a wrong clock, and nothing is known
const VERDICTS = ['leave', 'unknown', 'stay_upstairs', 'outside_assumed_area'];

function element(name, attributes = {}, ...inner) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'data') Object.assign(made.dataset, value);
    else made.setAttribute(key, value);
  }
  made.append(...inner);
  return made;
}

async function ask(prefix, path) {
  const answer = await fetch(`/${prefix}/${path}`, {cache: 'no-store'});
  if (!answer.ok) throw new Error(String(answer.status));
  return {body: await answer.json(), date: answer.headers.get('date')};
}

/** Buildings by verdict from the tiles' own legend; null where exposure was not computed. */
function verdicts(manifest) {
  const column = manifest.attributes.find((a) => a.id === 'verdict:combined');
  if (!column) return null;
  const counts = {colours: {}};
  let known = 0;
  for (const entry of column.legend) {
    counts[entry.code] = entry.count;
    counts.colours[entry.code] = `rgb(${entry.colour.join(',')})`;
    known += entry.count;
  }
  counts.unknown = manifest.buildings.count - known;
  return counts;
}

/** The status, or null where it is too old or from a wrong clock: then nothing is known. */
function fresh(heard) {
  const now = heard.date ? Date.parse(heard.date) : Date.now();
  const age = (now - Date.parse(heard.body.as_of)) / 1000;
  return age >= -AHEAD_S && age <= heard.body.max_age_s ? heard.body : null;
}

const name = (city) => (lang === 'en' && city.name_en) || city.name;
const unknown = () => element('span', {class: 'unknown'}, t('unknown'));

function cell(label, ...inner) {
  return element('td', {data: {label}}, element('span', {}, ...inner));
}

function order(status) {
  if (!status) return unknown();
  const {mode, level, since} = status.order;
  const said = mode === 'normal' ? t('order_none') : level ? t(`order_${level}`) : t('order_disaster');
  const text = mode === 'drill' ? t('order_drill', {order: said}) : said;
  const parts = [element('span', {class: 'order', data: {mode}}, text)];
  if (since) parts.push(element('span', {class: 'quiet'}, t('since', {at: clock.format(new Date(since))})));
  return element('span', {}, ...parts);
}

async function row(city) {
  const [tiles, live] = await Promise.allSettled([ask(city.prefix, 'tiles/manifest.json'), ask(city.prefix, 'status.json')]);
  const manifest = tiles.status === 'fulfilled' ? tiles.value.body : null;
  const status = live.status === 'fulfilled' ? fresh(live.value) : null;
  const counts = manifest && verdicts(manifest);
  const cells = VERDICTS.map((code) => {
    if (!counts) return cell(t(`verdict_${code}`), unknown());
    const swatch = counts.colours[code] ? element('span', {class: 'swatch'}) : '';
    if (swatch) swatch.style.background = counts.colours[code];
    return cell(t(`verdict_${code}`), swatch, number.format(counts[code] ?? 0));
  });
  const open = status && Object.values(status.openings).filter((o) => o.state === 'open').length;
  const away = tiles.status === 'rejected' && live.status === 'rejected';
  return element(
    'tr', {data: {city: city.prefix}},
    element('th', {scope: 'row'}, name(city), ...(away ? [element('span', {class: 'quiet'}, t('not_answering'))] : [])),
    cell(t('order'), order(status)),
    cell(t('open_shelters'), status ? number.format(open) : unknown()),
    cell(t('buildings'), manifest ? number.format(manifest.buildings.count) : unknown()),
    ...cells,
    cell(t('as_of'), status ? clock.format(new Date(status.as_of)) : unknown()),
  );
}

async function figures() {
  const rows = await Promise.all(data.cities.map(row));
  const heads = ['city', 'order', 'open_shelters', 'buildings', ...VERDICTS.map((v) => `verdict_${v}`), 'as_of'];
  const head = element('tr', {}, ...heads.map((key) => element('th', {scope: 'col'}, t(key))));
  const table = element('table', {}, element('thead', {}, head), element('tbody', {}, ...rows));
  document.getElementById('figures').replaceChildren(element('div', {class: 'wide', tabindex: '0', role: 'region', 'aria-label': t('figures')}, table));
}

const chosen = new Set(data.cities.slice(0, matchMedia('(max-width: 640px)').matches ? 0 : 2).map((c) => c.prefix));

function maps() {
  const place = document.getElementById('maps');
  for (const city of data.cities) {
    const there = place.querySelector(`article[data-city="${city.prefix}"]`);
    if (!chosen.has(city.prefix)) there?.remove();
    else if (!there) {
      const links = [element('a', {href: `/${city.prefix}/`}, t(data.staff ? 'open_staff' : 'open_city'))];
      links.push(element('a', {href: `/${city.prefix}/map/`}, t('open_map')));
      place.append(element(
        'article', {data: {city: city.prefix}}, element('h2', {}, name(city)), element('p', {class: 'open'}, ...links),
        element('iframe', {src: `/${city.prefix}/map/?lang=${lang}`, title: t('map_of', {name: name(city)}), loading: 'lazy'}),
      ));
    }
  }
}

function choose() {
  const place = document.getElementById('choose');
  place.append(element('span', {}, t('choose')));
  for (const city of data.cities) {
    const box = element('input', {type: 'checkbox'});
    box.checked = chosen.has(city.prefix);
    box.addEventListener('change', () => {
      if (box.checked) chosen.add(city.prefix);
      else chosen.delete(city.prefix);
      maps();
    });
    place.append(element('label', {}, box, name(city)));
  }
}

if (data.cities.length === 0) document.getElementById('figures').append(element('p', {}, t('none')));
else {
  choose();
  maps();
  await figures();
  setInterval(figures, AGAIN_MS);
}
