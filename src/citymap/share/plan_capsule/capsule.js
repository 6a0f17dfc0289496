'use strict';
// Everything is in this file: the data is the JSON above, nothing is ever fetched.
const D = JSON.parse(document.getElementById('data').textContent);
const w = (key, values = {}) => (D.words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
const number = (n) => Number(n).toLocaleString(D.lang, {maximumFractionDigits: 1});
const clock = (s) => `${Math.floor(s / 3600)}:${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}`;
const STEPS = 65535;
const STATES = ['waiting', 'walking', 'driving', 'arrived', 'stranded', 'upstairs', 'stayed'];
const COLOURS = ['#8a8a8a', '#3c006e', '#005f46', '', '#d60024', '#b79a52', '#c0c0c0'];
const LINES = ['#0017c1', '#c74700', '#007a4d', '#7b2fb5', '#b3003b', '#5a5a00', '#006a8e', '#8a5a00', '#444', '#d1007f', '#2e7d00', '#3d5afe'];

function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === 'function') node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}
function svg(tag, properties = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(properties)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** Unpacks base64 of gzip of a file of `citymap.evacuation.playback`. */
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const data = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
  const length = new DataView(data).getUint32(4, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 8, length)));
  const kinds = {u1: Uint8Array, u2: Uint16Array, u4: Uint32Array};
  const arrays = {};
  for (const [name, a] of Object.entries(head.arrays)) arrays[name] = new kinds[a.dtype](data, 8 + length + a.at, a.length);
  return {head, ...arrays};
}

// --- the map -------------------------------------------------------------------------------------------------------
const [west, south, east, north] = D.area.bbox;
const squeeze = Math.cos(((south + north) / 2) * Math.PI / 180);
/** Lines of the area as [lon, lat] runs. */
function runs(name) {
  return (D.area.lines[name] ?? []).map((line) => {
    let x = 0, y = 0;
    const points = [];
    for (let i = 0; i < line.length; i += 2) {
      x += line[i];
      y += line[i + 1];
      points.push([west + (x / STEPS) * (east - west), south + (y / STEPS) * (north - south)]);
    }
    return points;
  });
}
const BASE = {water: runs('water'), narrow: runs('narrow'), wide: runs('wide'), rail: runs('rail'), district: runs('district')};
const STYLES = {narrow: ['#c9c4bb', 1], wide: ['#aaa398', 2], rail: ['#555', 1.5], district: ['#8f8fb5', 1]};

class CityMap {
  constructor(canvas) {
    this.canvas = canvas;
    this.view = null;
    this.time = 0;
    this.chosen = null;
    this.counts = new Array(STATES.length).fill(0);
    let held = null;
    canvas.addEventListener('pointerdown', (e) => {
      held = [e.clientX, e.clientY, 0];
      canvas.setPointerCapture(e.pointerId);
    });
    canvas.addEventListener('pointermove', (e) => {
      if (!held) return;
      this.view.x -= (e.clientX - held[0]) / this.view.k;
      this.view.y += (e.clientY - held[1]) / this.view.k;
      held = [e.clientX, e.clientY, held[2] + Math.abs(e.movementX) + Math.abs(e.movementY)];
      this.rest();
    });
    canvas.addEventListener('pointerup', (e) => {
      if (held && held[2] < 5) this.pressed(e);
      held = null;
    });
    canvas.addEventListener('wheel', (e) => {
      if (!e.ctrlKey && !document.activeElement?.isSameNode(canvas)) return; // the page scrolls unless the map was taken up
      e.preventDefault();
      this.zoom(e.deltaY < 0 ? 1.25 : 0.8);
    }, {passive: false});
    new ResizeObserver(() => this.rest()).observe(canvas);
  }
  zoom(by) {
    this.view.k *= by;
    this.rest();
  }
  fit([w0, s0, e0, n0]) {
    const {clientWidth: cw, clientHeight: ch} = this.canvas;
    const k = Math.min(cw / ((e0 - w0) * squeeze), ch / (n0 - s0)) * 0.94;
    this.view = {x: ((w0 + e0) / 2) * squeeze, y: (s0 + n0) / 2, k};
    this.rest();
  }
  px([lon, lat]) {
    const {x, y, k} = this.view;
    return [(lon * squeeze - x) * k + this.canvas.clientWidth / 2, (y - lat) * k + this.canvas.clientHeight / 2];
  }
  trace(ctx, points) {
    points.forEach((p, i) => (i ? ctx.lineTo(...this.px(p)) : ctx.moveTo(...this.px(p))));
  }
  /** Draw what rests, then what moves. */
  rest() {
    const {clientWidth: cw, clientHeight: ch} = this.canvas;
    if (!cw || !this.view) return;
    const scale = devicePixelRatio || 1;
    this.canvas.width = cw * scale;
    this.canvas.height = ch * scale;
    const under = document.createElement('canvas');
    under.width = cw * scale;
    under.height = ch * scale;
    const ctx = under.getContext('2d');
    ctx.scale(scale, scale);
    ctx.fillStyle = '#f7f6f2';
    ctx.fillRect(0, 0, cw, ch);
    ctx.fillStyle = '#a9cbe8';
    for (const area of BASE.water) {
      ctx.beginPath();
      this.trace(ctx, area);
      ctx.fill();
    }
    for (const [name, [colour, width]] of Object.entries(STYLES)) {
      ctx.strokeStyle = colour;
      ctx.lineWidth = width;
      ctx.beginPath();
      for (const line of BASE[name]) this.trace(ctx, line);
      ctx.stroke();
    }
    this.under = under;
    this.draw();
  }
  draw() {
    if (!this.under) return;
    const ctx = this.canvas.getContext('2d');
    const scale = devicePixelRatio || 1;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.drawImage(this.under, 0, 0);
    ctx.scale(scale, scale);
    this.drawWater(ctx, scale);
    this.drawRoads(ctx);
    this.drawPeople(ctx);
    ctx.font = 'bold 14px sans-serif';
    ctx.lineWidth = 5;
    ctx.lineCap = 'round';
    D.bottlenecks.forEach((b, i) => {
      ctx.strokeStyle = '#e66e00';
      ctx.beginPath();
      this.trace(ctx, b.line);
      ctx.stroke();
      const [x, y] = this.px(b.line[Math.floor(b.line.length / 2)]);
      ctx.fillStyle = '#fff';
      ctx.fillRect(x - 10, y - 9, 20, 18);
      ctx.fillStyle = '#000';
      ctx.textAlign = 'center';
      ctx.fillText(String(i + 1), x, y + 5);
    });
    ctx.lineWidth = 2;
    for (const place of D.shelters.filter((p) => p.at)) {
      const [x, y] = this.px(place.at);
      ctx.fillStyle = '#007a4d';
      ctx.strokeStyle = '#fff';
      ctx.beginPath();
      ctx.rect(x - 5, y - 5, 10, 10);
      ctx.fill();
      ctx.stroke();
    }
    if (this.chosen) {
      ctx.strokeStyle = '#0017c1';
      ctx.lineWidth = 3;
      for (const ring of this.chosen.rings) {
        ctx.beginPath();
        this.trace(ctx, ring);
        ctx.stroke();
      }
    }
  }
  drawWater(ctx, scale) {
    const f = this.water;
    if (!f) return;
    let k = f.head.time_s.length - 1;
    while (k >= 0 && f.head.time_s[k] + (this.people?.head.flood_delay_s ?? 0) > this.time) k--;
    if (k < 0) return;
    const {rows, columns, corners, colours} = f.head;
    if (this.frame !== k) {
      this.frame = k;
      this.picture = document.createElement('canvas');
      this.picture.width = columns;
      this.picture.height = rows;
      const c = this.picture.getContext('2d');
      const image = c.createImageData(columns, rows);
      for (let i = 0; i < rows * columns; i++) {
        const depth = f.class[k * rows * columns + i];
        if (depth) image.data.set([...colours[depth - 1], 170], i * 4);
      }
      c.putImageData(image, 0, 0);
    }
    const [lower, upper, right] = [corners[0], corners[1], corners[2]].map((p) => this.px(p));
    ctx.save();
    ctx.setTransform(scale * (right[0] - upper[0]) / columns, scale * (right[1] - upper[1]) / columns, scale * (lower[0] - upper[0]) / rows, scale * (lower[1] - upper[1]) / rows, scale * upper[0], scale * upper[1]);
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(this.picture, 0, 0);
    ctx.restore();
  }
  drawRoads(ctx) {
    const p = this.people;
    if (!p) return;
    const [w0, s0, e0, n0] = p.head.bbox;
    ctx.strokeStyle = 'rgba(196,0,40,.75)';
    ctx.lineWidth = 2;
    ctx.beginPath();
    let closed = 0;
    while (closed < p.closes.length && (p.closes[closed] / STEPS) * p.head.duration_s <= this.time) {
      for (let i = p.road_start[closed]; i < p.road_start[closed + 1]; i++) {
        const at = this.px([w0 + (p.road_x[i] / STEPS) * (e0 - w0), s0 + (p.road_y[i] / STEPS) * (n0 - s0)]);
        if (i === p.road_start[closed]) ctx.moveTo(...at);
        else ctx.lineTo(...at);
      }
      closed++;
    }
    ctx.stroke();
    this.closed = closed;
  }
  drawPeople(ctx) {
    const p = this.people;
    if (!p) return;
    const [w0, s0, e0, n0] = p.head.bbox;
    const final = p.head.status.map((s) => STATES.indexOf({evacuated: 'arrived', vertical: 'upstairs', stranded: 'stranded', stayed: 'stayed', waiting: 'waiting'}[s]));
    const moment = (this.time / p.head.duration_s) * STEPS;
    const {x: vx, y: vy, k: vk} = this.view;
    const ax = ((e0 - w0) / STEPS) * squeeze * vk, bx = (w0 * squeeze - vx) * vk + this.canvas.clientWidth / 2;
    const ay = -((n0 - s0) / STEPS) * vk, by = (vy - s0) * vk + this.canvas.clientHeight / 2;
    this.counts.fill(0);
    const places = STATES.map(() => []);
    for (let i = 0; i < p.size.length; i++) {
      const first = p.start[i], last = p.start[i + 1] - 1;
      let state, x, y;
      if (p.t[last] <= moment || first === last) {
        state = final[p.status[i]];
        if (state < 0) state = p.car[i] ? 2 : 1;
        if (first === last && p.t[last] > moment && state !== 5 && state !== 6) state = 0;
        [x, y] = [p.x[last], p.y[last]];
      } else if (p.t[first] > moment) {
        state = 0;
        [x, y] = [p.x[first], p.y[first]];
      } else {
        let low = first, high = last; // the last vertex not after the moment
        while (high - low > 1) {
          const middle = (low + high) >> 1;
          if (p.t[middle] <= moment) low = middle;
          else high = middle;
        }
        const share = (moment - p.t[low]) / Math.max(p.t[high] - p.t[low], 1e-9);
        state = p.car[i] ? 2 : 1;
        x = p.x[low] + share * (p.x[high] - p.x[low]);
        y = p.y[low] + share * (p.y[high] - p.y[low]);
      }
      this.counts[state] += p.size[i];
      places[state].push(x * ax + bx, y * ay + by);
    }
    for (const state of [5, 6, 0, 1, 2, 4]) {
      ctx.fillStyle = COLOURS[state];
      const size = state === 5 || state === 6 ? 2 : 3;
      for (let i = 0; i < places[state].length; i += 2) ctx.fillRect(places[state][i] - 1, places[state][i + 1] - 1, size, size);
    }
  }
  pressed(e) {
    const box = this.canvas.getBoundingClientRect();
    const lon = ((e.clientX - box.left - box.width / 2) / this.view.k + this.view.x) / squeeze;
    const lat = this.view.y - (e.clientY - box.top - box.height / 2) / this.view.k;
    const found = D.districts.find((d) => d.rings.some((ring) => inside(ring, lon, lat)));
    if (found) this.choose(found);
  }
}
function inside(ring, x, y) {
  let odd = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [[x0, y0], [x1, y1]] = [ring[i], ring[j]];
    if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) odd = !odd;
  }
  return odd;
}

// --- charts --------------------------------------------------------------------------------------------------------
function lineChart(title, xs, series) {
  const [W, H, L, B] = [560, 260, 60, 30];
  const top = Math.max(1, ...series.flatMap((s) => s.values));
  const right = Math.max(...xs, 1e-9);
  const px = (x) => L + (x / right) * (W - L - 10), py = (y) => H - B - (y / top) * (H - B - 10);
  const picture = svg('svg', {viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': title});
  for (const share of [0, 0.5, 1]) {
    picture.append(svg('line', {x1: L, x2: W - 10, y1: py(top * share), y2: py(top * share), stroke: '#d5d8dd'}));
    picture.append(svg('text', {x: L - 6, y: py(top * share) + 4, 'text-anchor': 'end'}, number(Math.round(top * share))));
  }
  for (let i = 0; i <= 4; i++) picture.append(svg('text', {x: px((right * i) / 4), y: H - 8, 'text-anchor': i === 4 ? 'end' : 'middle'}, clock((right * i) / 4 * 3600)));
  series.forEach((s, i) => picture.append(svg('polyline', {points: xs.map((x, k) => `${px(x).toFixed(1)},${py(s.values[k]).toFixed(1)}`).join(' '), fill: 'none', stroke: s.colour ?? LINES[i % LINES.length], 'stroke-width': 2})));
  const key = el('ul', {class: 'key'}, ...series.map((s, i) => el('li', {}, mark(s.colour ?? LINES[i % LINES.length]), s.name)));
  return el('figure', {}, el('figcaption', {}, title), picture, key);
}
function mark(colour) {
  const box = el('i');
  box.style.background = colour;
  return box;
}
/** What squares, orange lines and the colours of the water mean. */
function mapKey() {
  return el('ul', {class: 'key'}, el('li', {}, mark('#007a4d'), w('shelter_mark')), el('li', {}, mark('#e66e00'), w('bottlenecks')), ...(D.water ? D.depths.map((d) => el('li', {}, mark(`rgb(${d.colour})`), d.text)) : []));
}
function barChart(title, rows) {
  const [W, L, row] = [560, 150, 24];
  const top = Math.max(1, ...rows.map((r) => r[1]));
  const picture = svg('svg', {viewBox: `0 0 ${W} ${rows.length * row + 4}`, role: 'img', 'aria-label': title});
  rows.forEach(([name, value], i) => {
    const long = (value / top) * (W - L - 70);
    picture.append(svg('text', {x: L - 6, y: i * row + 17, 'text-anchor': 'end'}, name), svg('rect', {x: L, y: i * row + 4, width: Math.max(long, value ? 1 : 0), height: row - 8, fill: '#d60024'}), svg('text', {x: L + long + 6, y: i * row + 17}, number(value)));
  });
  return el('figure', {}, el('figcaption', {}, title), picture);
}
function table(heads, rows) {
  const cell = (v) => (typeof v === 'number' ? el('td', {class: 'n'}, number(v)) : el('td', /^[0-9a-f]{64}$/.test(v) ? {class: 'hash'} : {}, String(v ?? '–')));
  return el('div', {class: 'scroll'}, el('table', {}, el('thead', {}, el('tr', {}, ...heads.map((h) => el('th', {}, h)))), el('tbody', {}, ...rows.map((r) => el('tr', {}, ...r.map(cell))))));
}

/** The deepest class of every cell over all times, as a picture. */
function deepest(f) {
  const {rows, columns, time_s: times, colours} = f.head;
  const canvas = document.createElement('canvas');
  canvas.width = columns;
  canvas.height = rows;
  const c = canvas.getContext('2d');
  const image = c.createImageData(columns, rows);
  for (let i = 0; i < rows * columns; i++) {
    let most = 0;
    for (let k = 0; k < times.length; k++) most = Math.max(most, f.class[k * rows * columns + i]);
    if (most) image.data.set([...colours[most - 1], 150], i * 4);
  }
  c.putImageData(image, 0, 0);
  return canvas.toDataURL();
}
let wet = null; // the water's file and its picture, for the sheets

// --- one sheet of paper per district -------------------------------------------------------------------------------
function sheet(d) {
  const all = d.rings.flat();
  const [w0, e0] = [Math.min(...all.map((p) => p[0])), Math.max(...all.map((p) => p[0]))];
  const [s0, n0] = [Math.min(...all.map((p) => p[1])), Math.max(...all.map((p) => p[1]))];
  const pad = Math.max(e0 - w0, n0 - s0) * 0.35;
  const x = (lon) => (lon - (w0 - pad)) * squeeze * 1e5, y = (lat) => (n0 + pad - lat) * 1e5;
  const width = x(e0 + pad), height = y(s0 - pad), unit = Math.max(width, height) / 400;
  const path = (points, close) => `M${points.map((p) => `${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`).join('L')}${close ? 'Z' : ''}`;
  const near = (line) => line.some((p) => p[0] > w0 - pad * 2 && p[0] < e0 + pad * 2 && p[1] > s0 - pad * 2 && p[1] < n0 + pad * 2);
  const picture = svg('svg', {viewBox: `0 0 ${width.toFixed(1)} ${height.toFixed(1)}`});
  for (const area of BASE.water.filter(near)) picture.append(svg('path', {d: path(area, true), fill: '#a9cbe8'}));
  if (wet) {
    const {rows, columns, corners} = wet.file.head;
    const [lower, upper, right] = corners.map(([lon, lat]) => [x(lon), y(lat)]);
    const to = [(right[0] - upper[0]) / columns, (right[1] - upper[1]) / columns, (lower[0] - upper[0]) / rows, (lower[1] - upper[1]) / rows, upper[0], upper[1]];
    picture.append(svg('image', {href: wet.picture, width: columns, height: rows, transform: `matrix(${to.map((v) => v.toFixed(6)).join(' ')})`}));
  }
  for (const [name, [colour, thick]] of Object.entries(STYLES)) {
    for (const line of BASE[name].filter(near)) picture.append(svg('path', {d: path(line), fill: 'none', stroke: colour, 'stroke-width': thick * unit * 0.8}));
  }
  for (const ring of d.rings) picture.append(svg('path', {d: path(ring, true), fill: 'rgb(0 23 193 / 8%)', stroke: '#0017c1', 'stroke-width': 2 * unit}));
  D.bottlenecks.forEach((b, i) => {
    if (!near(b.line)) return;
    picture.append(svg('path', {d: path(b.line), fill: 'none', stroke: '#e66e00', 'stroke-width': 3 * unit}));
    const at = b.line[Math.floor(b.line.length / 2)];
    const label = svg('text', {x: x(at[0]), y: y(at[1]), 'text-anchor': 'middle', stroke: '#fff', 'stroke-width': 3 * unit, 'paint-order': 'stroke'}, String(i + 1));
    label.style.fontSize = `${11 * unit}px`;
    picture.append(label);
  });
  const written = (at, text, dy, colour) => {
    const label = svg('text', {x: x(at[0]), y: y(at[1]) + dy * unit, 'text-anchor': 'middle', fill: colour, stroke: '#fff', 'stroke-width': 2.5 * unit, 'paint-order': 'stroke'}, text);
    label.style.fontSize = `${9 * unit}px`;
    picture.append(label);
  };
  for (const place of D.shelters.filter((p) => p.at && near([p.at]))) {
    picture.append(svg('rect', {x: x(place.at[0]) - 4 * unit, y: y(place.at[1]) - 4 * unit, width: 8 * unit, height: 8 * unit, fill: '#007a4d', stroke: '#fff', 'stroke-width': unit}));
    written(place.at, place.name, 14, '#00553a');
  }
  return el('section', {class: 'sheet', 'data-district': d.id},
    el('header', {}, el('h1', {}, d.name), el('span', {}, `${D.name} – ${D.city}`)), el('div', {class: 'map'}, picture),
    el('ul', {}, ...d.do.map((line) => el('li', {}, line))), el('footer', {}, mapKey(), `${w('not_forecast')} ${w('seed')} ${D.seed}. ${D.attribution ?? ''}`));
}
function printSheets(districts) {
  const box = document.getElementById('sheets');
  box.replaceChildren(...districts.map(sheet));
  document.body.classList.add('sheets');
}
addEventListener('afterprint', () => document.body.classList.remove('sheets'));

// --- the page ------------------------------------------------------------------------------------------------------
function build() {
  const root = document.getElementById('capsule');
  const canvas = el('canvas', {id: 'map', tabindex: 0, role: 'img', 'aria-label': w('map')});
  const map = new CityMap(canvas);
  const duration = D.duration_h * 3600;
  const play = el('button', {class: 'main', id: 'play'}, w('play'));
  const slider = el('input', {type: 'range', min: 0, max: duration, step: 10, value: 0, 'aria-label': w('time'), id: 'time'});
  const time = el('output', {}, '0:00');
  const key = el('ul', {class: 'key', id: 'states'});
  const numbers = {};
  for (const [i, name] of STATES.entries()) {
    numbers[name] = el('b', {}, '0');
    key.append(el('li', {'data-state': name}, COLOURS[i] ? mark(COLOURS[i]) : null, `${w(name)} `, numbers[name]));
  }
  numbers.closed = el('b', {}, '0');
  key.append(el('li', {}, mark('#c40028'), `${w('closed')} `, numbers.closed));
  const show = (s) => {
    map.time = s;
    slider.value = s;
    time.textContent = clock(s);
    map.draw();
    STATES.forEach((name, i) => (numbers[name].textContent = number(map.counts[i])));
    numbers.closed.textContent = number(map.closed ?? 0);
  };
  slider.oninput = () => show(Number(slider.value));
  let frame = 0, last = 0;
  const step = (now) => {
    const next = Math.min(map.time + (Math.min(now - last, 250) / 1000) * (duration / 30), duration);
    last = now;
    show(next);
    frame = next < duration ? requestAnimationFrame(step) : 0;
    if (!frame) play.textContent = w('play');
  };
  play.onclick = () => {
    if (frame) {
      cancelAnimationFrame(frame);
      frame = 0;
    } else {
      if (map.time >= duration) map.time = 0;
      last = performance.now();
      frame = requestAnimationFrame(step);
    }
    play.textContent = w(frame ? 'pause' : 'play');
  };
  const choice = el('select', {id: 'district', 'aria-label': w('district')}, el('option', {value: ''}, w('choose_district')), ...D.districts.map((d) => el('option', {value: d.id}, d.name)));
  const doing = el('div', {id: 'doing', 'aria-live': 'polite'});
  map.choose = (d) => {
    map.chosen = d ?? null;
    choice.value = d?.id ?? '';
    doing.replaceChildren(...(d ? [el('h3', {}, d.name), el('ul', {}, ...d.do.map((line) => el('li', {}, line)))] : []));
    map.draw();
  };
  choice.onchange = () => map.choose(D.districts.find((d) => d.id === choice.value));
  const printing = (list) => {
    printSheets(list);
    print();
  };
  const counts = el('ul', {class: 'counts'}, ...Object.entries(D.counts).map(([name, value]) => {
    const ci = D.ci95[name];
    return el('li', {}, D.count_names[name], el('b', {}, number(value)), ci ? el('small', {}, `95 %: ${number(ci[0])} – ${number(ci[1])}`) : null);
  }));
  const a = D.arrivals;
  root.append(...[
    el('h1', {}, D.name), el('p', {class: 'quiet'}, `${D.city}${D.fictional ? ` (${w('fictional')})` : ''}　${w('made', {version: D.version})}`),
    el('p', {}, w('not_forecast')), counts, D.unfinished ? el('p', {class: 'alert'}, D.unfinished) : null, D.replicates > 1 ? el('p', {class: 'quiet'}, w('intervals', {count: D.replicates})) : null,
    el('h2', {}, w('map')), canvas,
    el('div', {class: 'bar'}, play, slider, time, el('button', {onclick: () => map.zoom(1.5), 'aria-label': w('closer')}, '＋'), el('button', {onclick: () => map.zoom(1 / 1.5), 'aria-label': w('farther')}, '－'), el('button', {onclick: () => map.fit(D.area.bbox)}, w('whole'))),
    key, mapKey(),
    el('p', {class: 'quiet', id: 'note'}, D.people ? w(D.water ? 'dots' : 'dots_dry') : w('no_playback')),
    el('h2', {}, w('district')), el('div', {class: 'bar'}, choice, el('button', {id: 'print', onclick: () => printing(map.chosen ? [map.chosen] : D.districts)}, w('print'))), doing,
    el('h2', {}, w('charts')),
    el('div', {class: 'charts'},
      lineChart(w('arrivals'), a.t_h, [['arrived', 'evacuated', '#1f77b4'], ['en_route', 'en_route', COLOURS[1]], ['waiting', 'waiting', COLOURS[0]], ['stranded', 'stranded', COLOURS[4]]].map(([n, k, colour]) => ({name: D.count_names[k], values: a[n], colour}))),
      lineChart(w('occupancy'), D.occupancy.t_h, D.occupancy.shelters.map((s) => ({name: s.name, values: s.there}))),
      barChart(w('by_age'), Object.entries(D.stranded.age)),
      barChart(w('by_district'), Object.entries(D.stranded.district).slice(0, 15).map(([n, ages]) => [n || '–', Object.values(ages).reduce((x, y) => x + y, 0)]))),
    el('h2', {}, w('shelters')), table([w('shelter'), w('capacity'), w('arrived'), w('turned_away'), w('full_at')], D.shelters.map((s) => [s.name, s.capacity, s.arrived, s.turned_away, s.full_at])),
    el('h2', {}, w('bottlenecks')), table(['', w('road'), w('passed'), w('delay'), w('stranded'), w('closes')], D.bottlenecks.map((b, i) => [String(i + 1), b.name, b.passed, b.delay_person_h, b.stranded, b.closes])),
    el('h2', {}, w('parameters')), table([w('key'), w('value')], [[w('seed'), String(D.seed)], ...D.scenario]),
    el('h2', {}, w('assumptions')), el('ul', {}, ...D.assumptions.map((line) => el('li', {}, line))),
    el('h2', {}, w('checks')), el('ul', {}, ...D.checks.map((line) => el('li', {}, line))),
    el('h2', {}, w('data')), table([w('file'), w('edition'), 'SHA-256'], [
      ...Object.entries(D.inputs).map(([k, v]) => [`${k}: ${v.file}`, '', v.sha256]), ...D.editions.map((e) => [w('import_of', {date: e.started ?? e.id, files: e.files}), e.edition ?? '', e.sha256]),
      ...Object.entries(D.results).map(([k, v]) => [`→ ${k}`, '', v])]),
    el('p', {class: 'quiet'}, D.attribution ?? '')].filter(Boolean));
  map.fit(D.area.bbox);
  return (async () => {
    if (D.people) map.people = await unpacked(D.people);
    if (map.people?.head.every > 1) document.getElementById('note').append(` ${w('thinned', {every: map.people.head.every})}`);
    if (D.water) {
      map.water = await unpacked(D.water);
      wet = {file: map.water, picture: deepest(map.water)};
    }
    show(0);
    const wanted = new URLSearchParams(location.hash.slice(1)).get('sheets'); // for printing without a hand: #sheets=all or =ID
    if (wanted) printSheets(wanted === 'all' ? D.districts : D.districts.filter((d) => d.id === wanted));
  })();
}
window.ready = build();
