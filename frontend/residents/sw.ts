/** The service worker: after one visit the page, its words and the places asked for work without a network. */
export {};

declare const __FILES__: string[];
declare const __VERSION__: string;

type Waiting = Event & {waitUntil(work: Promise<unknown>): void};
type Fetching = Waiting & {request: Request; respondWith(answer: Promise<Response>): void};
const worker = self as unknown as {
  addEventListener(name: string, act: (event: never) => void): void;
  skipWaiting(): Promise<void>; clients: {claim(): Promise<void>}; location: Location;
};
const root = new URL('./', worker.location.href);
const shell = `citymap-home ${root.pathname} ${__VERSION__}`;
const data = `citymap-home-data ${root.pathname}`;
const MOST = 400; // answers and files of places that are kept
const PATIENCE_MS = 4000;
const KEPT = /^(site\.json|words\/[\w-]+\.json|(data\/[\w-]+\/)?(search|area|shelters)\.json|data\/[\w-]+\/place\/\d+\/\d+\.json)$/;

async function install(): Promise<void> {
  const cache = await caches.open(shell);
  await cache.addAll(['./', ...__FILES__.map((f) => `home/${f}`)].map((path) => new Request(new URL(path, root), {cache: 'reload'})));
  const site = (await (await fetch(new URL('site.json', root))).json()) as {data: string | null; languages: {code: string}[]};
  const base = site.data ? new URL(site.data, root) : root;
  const wanted = ['site.json', ...site.languages.map((l) => `words/${l.code}.json`)].map((p) => new URL(p, root))
    .concat(['search.json', 'area.json', 'shelters.json'].map((p) => new URL(p, base)));
  const kept = await caches.open(data);
  await Promise.all(wanted.map((url) => kept.add(url.href).catch(() => undefined)));
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  const old = (await caches.keys()).filter((n) => n.startsWith(`citymap-home ${root.pathname} `) && n !== shell);
  await Promise.all(old.map((n) => caches.delete(n)));
  await worker.clients.claim();
}

/** The newest where the network answers soon, else that of last time. */
async function freshest(request: Request): Promise<Response> {
  const cache = await caches.open(data);
  const asked = fetch(request).then(async (answer) => {
    if (answer.ok) {
      await cache.put(request, answer.clone());
      const keys = await cache.keys();
      for (const key of keys.slice(0, Math.max(0, keys.length - MOST))) await cache.delete(key);
    }
    return answer;
  });
  const kept = await cache.match(request, {ignoreVary: true});
  if (!kept) return asked.catch(() => Response.error());
  const late = new Promise<null>((done) => setTimeout(() => done(null), PATIENCE_MS));
  const first = await Promise.race([asked, late]).catch(() => null);
  return first?.ok ? first : kept;
}

async function page(request: Request): Promise<Response> {
  const asked = fetch(request);
  const late = new Promise<null>((done) => setTimeout(() => done(null), PATIENCE_MS));
  const first = await Promise.race([asked, late]).catch(() => null);
  if (first?.ok) return first;
  return (await caches.match(root, {cacheName: shell, ignoreVary: true})) ?? asked.catch(() => Response.error());
}

worker.addEventListener('install', (event: Waiting) => event.waitUntil(install()));
worker.addEventListener('activate', (event: Waiting) => event.waitUntil(activate()));
worker.addEventListener('fetch', (event: Fetching) => {
  const url = new URL(event.request.url);
  if (event.request.method !== 'GET' || url.origin !== root.origin || !url.pathname.startsWith(root.pathname)) return;
  const path = url.pathname.slice(root.pathname.length);
  if (path === '' && event.request.mode === 'navigate') event.respondWith(page(event.request));
  else if (path.startsWith('home/')) event.respondWith(caches.match(event.request, {cacheName: shell, ignoreVary: true}).then((kept) => kept ?? fetch(event.request)));
  else if (KEPT.test(path) || path === 'api/place') event.respondWith(freshest(event.request));
  // status.json is never kept: what is live is either fresh or not known
});
