/** The service worker: the page works after one visit without a network, and sends when it is back. */
import {Queue} from './queue';

declare const __FILES__: string[];
declare const __VERSION__: string;

type Waiting = Event & {waitUntil(work: Promise<unknown>): void};
type Fetching = Waiting & {request: Request; respondWith(answer: Promise<Response>): void};
const worker = self as unknown as {
  addEventListener(name: string, act: (event: never) => void): void;
  skipWaiting(): Promise<void>; clients: {claim(): Promise<void>}; location: Location;
};

const base = new URL('./', worker.location.href);
const shell = `citymap-report ${base.pathname} ${__VERSION__}`;
const data = `citymap-report-data ${base.pathname}`;
const DATA = new URL('../api/reports/form.json', base).href;
const PATIENCE_MS = 4000;
const queue = new Queue(base);
const said = new BroadcastChannel(`reports ${base.pathname}`);

async function install(): Promise<void> {
  const cache = await caches.open(shell);
  await cache.addAll(['./', ...__FILES__].map((path) => new Request(new URL(path, base), {cache: 'reload'})));
  await caches.open(data).then((kept) => kept.add(new Request(DATA, {cache: 'no-cache'}))).catch(() => undefined);
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  const old = (await caches.keys()).filter((name) => name.startsWith(`citymap-report ${base.pathname} `) && name !== shell);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.clients.claim();
}

/** The newest list and map where the network answers soon, else those of last time. */
async function freshest(request: Request): Promise<Response> {
  const cache = await caches.open(data);
  const asked = fetch(request).then(async (answer) => {
    if (answer.ok) await cache.put(DATA, answer.clone());
    return answer;
  });
  const late = new Promise<null>((done) => setTimeout(() => done(null), PATIENCE_MS));
  const kept = await cache.match(DATA);
  try {
    const first = await (kept ? Promise.race([asked, late]) : asked);
    if (first?.ok || !kept) return first ?? (await asked);
  } catch {
    if (!kept) return Response.error();
  }
  return kept;
}

async function page(request: Request): Promise<Response> {
  const url = new URL(request.url);
  if (request.mode === 'navigate') {
    if (`${url.pathname}/` === base.pathname) return Response.redirect(base.href + url.search);
    return (await caches.match(base, {cacheName: shell, ignoreVary: true})) ?? fetch(request);
  }
  return (await caches.match(request, {cacheName: shell, ignoreVary: true})) ?? fetch(request);
}

worker.addEventListener('install', (event: Waiting) => event.waitUntil(install()));
worker.addEventListener('activate', (event: Waiting) => event.waitUntil(activate()));
worker.addEventListener('fetch', (event: Fetching) => {
  if (event.request.method !== 'GET') return;
  const url = new URL(event.request.url);
  if (url.href === DATA) event.respondWith(freshest(event.request));
  else if (url.origin === base.origin && `${url.pathname}/`.startsWith(base.pathname)) event.respondWith(page(event.request));
});
worker.addEventListener('sync', (event: Waiting) => {
  event.waitUntil(
    queue.sendAll(() => said.postMessage('changed')).then((left) => {
      if (left) throw new Error('still waiting'); // the browser tries again
    })
  );
});
