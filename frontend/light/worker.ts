/** What both service workers do: keep the page's own files, and the newest data where the network answers soon. */
declare const __FILES__: string[];
declare const __VERSION__: string;

export type Waiting = Event & {waitUntil(work: Promise<unknown>): void};
export type Fetching = Waiting & {request: Request; respondWith(answer: Promise<Response>): void};
export const worker = self as unknown as {
  addEventListener(name: string, act: (event: never) => void): void;
  skipWaiting(): Promise<void>; clients: {claim(): Promise<void>}; location: Location;
};
export const root = new URL('./', worker.location.href);
const PATIENCE_MS = 4000;
const late = (): Promise<null> => new Promise((done) => setTimeout(() => done(null), PATIENCE_MS));

/** The caches of one page. `name` tells the pages of an origin apart, `folder` is where its files lie. */
export class Kept {
  private readonly shell: string;
  private readonly data: string;

  constructor(private readonly name: string, private readonly folder = '') {
    this.shell = `${name} ${root.pathname} ${__VERSION__}`;
    this.data = `${name}-data ${root.pathname}`;
  }

  /** Fetch the page's files (all or nothing) and `more` data, as far as it can be had. */
  async install(more: () => Promise<URL[]>): Promise<void> {
    const shell = await caches.open(this.shell);
    await shell.addAll(['./', ...__FILES__.map((f) => this.folder + f)].map((path) => new Request(new URL(path, root), {cache: 'reload'})));
    const data = await caches.open(this.data);
    await Promise.all((await more()).map((url) => data.add(new Request(url, {cache: 'no-cache'})).catch(() => undefined)));
    await worker.skipWaiting();
  }

  async activate(): Promise<void> {
    const old = (await caches.keys()).filter((n) => n.startsWith(`${this.name} ${root.pathname} `) && n !== this.shell);
    await Promise.all(old.map((n) => caches.delete(n)));
    await worker.clients.claim();
  }

  /** A file of the page, as it was installed. */
  file(asked: Request | URL): Promise<Response | undefined> {
    return caches.match(asked, {cacheName: this.shell, ignoreVary: true});
  }

  /** Data: the newest where the network answers soon, else that of last time. No more than `most` are kept. */
  async freshest(request: Request, most: number): Promise<Response> {
    const cache = await caches.open(this.data);
    const asked = fetch(request).then(async (answer) => {
      if (answer.ok) {
        await cache.put(request, answer.clone());
        const keys = await cache.keys();
        for (const key of keys.slice(0, Math.max(0, keys.length - most))) await cache.delete(key);
      }
      return answer;
    });
    const kept = await cache.match(request, {ignoreVary: true});
    if (!kept) return asked.catch(() => Response.error());
    const first = await Promise.race([asked, late()]).catch(() => null);
    return first?.ok ? first : kept;
  }

  /** The page itself: the newest where the network answers soon, else that of last time. */
  async page(request: Request): Promise<Response> {
    const asked = fetch(request);
    const first = await Promise.race([asked, late()]).catch(() => null);
    if (first?.ok) return first;
    return (await this.file(root)) ?? asked.catch(() => Response.error());
  }

  listen(more: () => Promise<URL[]>, answer: (event: Fetching, url: URL) => void): void {
    worker.addEventListener('install', (event: Waiting) => event.waitUntil(this.install(more)));
    worker.addEventListener('activate', (event: Waiting) => event.waitUntil(this.activate()));
    worker.addEventListener('fetch', (event: Fetching) => {
      const url = new URL(event.request.url);
      if (event.request.method === 'GET' && url.origin === root.origin) answer(event, url);
    });
  }
}
