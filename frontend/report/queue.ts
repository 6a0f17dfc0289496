/**
 * The reports on this device. Whatever is sent goes through here first, so that nothing is lost when
 * the signal, the page or the phone goes. Used by the page and by the service worker alike.
 */
export type State = 'waiting' | 'sending' | 'accepted' | 'refused';
export type Kept = {bytes: ArrayBuffer; type: string};
export type Said = {
  id: string; category: string; lon: number; lat: number; accuracy_m: number | null; position_source: string;
  observed_at: string; depth_m: number | null; severity: number | null; text: string; contact: string;
};
export type Item = {
  id: string; at: number; state: State; said: Said; photos: Kept[]; photoCount: number; lang: 'ja' | 'en'; tries: number;
  number?: number; note?: 'later' | 'busy'; reason?: string; remedy?: string; conflict?: boolean;
};
export type Answer = {status: number; body: {number?: number; error?: string; message?: string; remedy?: string} | null};

const KEPT_MS = 30 * 24 * 3600 * 1000;
const TIMEOUT_MS = 90_000;

/** What an answer means for an item; everything that may pass later leaves it in the queue. */
export function after(item: Item, answer: Answer | null): Item {
  const next: Item = {...item, tries: item.tries + 1, note: undefined, reason: undefined, remedy: undefined};
  if (!answer) return {...next, state: 'waiting', note: 'later'};
  if (answer.status === 200 || answer.status === 201) {
    // The body must be ours: a hotel's log-in page also answers 200.
    if (typeof answer.body?.number !== 'number') return {...next, state: 'waiting', note: 'later'};
    return {...next, state: 'accepted', number: answer.body.number, photos: []};
  }
  if ([413, 415, 422].includes(answer.status)) {
    return {
      ...next, state: 'refused', reason: answer.body?.message ?? `${answer.status}`, remedy: answer.body?.remedy,
      conflict: answer.body?.error === 'report_conflict'
    };
  }
  return {...next, state: 'waiting', note: 'busy'};
}

export class Queue {
  private opening: Promise<IDBDatabase> | null = null;

  /** `base` is the address of the page's folder, which also names the database: one for each city. */
  constructor(readonly base: URL) {}

  private database(): Promise<IDBDatabase> {
    this.opening ??= new Promise((done, fail) => {
      const asked = indexedDB.open(`citymap-reports ${this.base.pathname}`, 1);
      asked.onupgradeneeded = () => {
        asked.result.createObjectStore('queue', {keyPath: 'id'});
        asked.result.createObjectStore('meta');
      };
      asked.onsuccess = () => {
        asked.result.onclose = () => (this.opening = null);
        asked.result.onversionchange = () => asked.result.close();
        done(asked.result);
      };
      asked.onerror = () => fail(asked.error);
    });
    this.opening.catch(() => (this.opening = null));
    return this.opening;
  }

  private async run<T>(name: 'queue' | 'meta', mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const database = await this.database();
    return new Promise((done, fail) => {
      const transaction = database.transaction(name, mode, mode === 'readwrite' ? {durability: 'strict'} : undefined);
      const request = act(transaction.objectStore(name));
      transaction.oncomplete = () => done(request.result);
      transaction.onerror = transaction.onabort = () => fail(transaction.error ?? request.error);
    });
  }

  async items(): Promise<Item[]> {
    const all = await this.run<Item[]>('queue', 'readonly', (store) => store.getAll());
    return all.sort((a, b) => b.at - a.at);
  }
  put = (item: Item): Promise<unknown> => this.run('queue', 'readwrite', (store) => store.put(item));
  remove = (id: string): Promise<unknown> => this.run('queue', 'readwrite', (store) => store.delete(id) as IDBRequest<unknown>);
  recall = <T>(key: string): Promise<T | undefined> => this.run('meta', 'readonly', (store) => store.get(key) as IDBRequest<T | undefined>);
  remember = (key: string, value: unknown): Promise<unknown> => this.run('meta', 'readwrite', (store) => store.put(value, key));

  async device(): Promise<string> {
    const known = await this.recall<string>('device');
    if (known) return known;
    const made = uuid();
    await this.remember('device', made);
    return made;
  }

  /** Send what waits, one after another; how many still wait. One sender at a time over all tabs. */
  async sendAll(changed: () => void): Promise<number> {
    const work = async (): Promise<void> => {
      const device = await this.device();
      const tried = new Set<string>();
      for (;;) {
        // Asked anew each time: one may have been filed or taken away while the last one was on its way.
        const item = (await this.items()).reverse().find((i) => (i.state === 'waiting' || i.state === 'sending') && !tried.has(i.id));
        if (!item) break;
        tried.add(item.id);
        await this.put({...item, state: 'sending'});
        changed();
        const answer = await this.post(item, device);
        await this.put(after(item, answer));
        changed();
        if (!answer || answer.status === 429 || answer.status >= 500) break; // the others would fare alike
      }
      for (const item of await this.items()) {
        if (item.state === 'accepted' && Date.now() - item.at > KEPT_MS) await this.remove(item.id);
      }
    };
    if (navigator.locks) await navigator.locks.request(`send ${this.base.pathname}`, {ifAvailable: true}, (lock) => (lock ? work() : undefined));
    else await work();
    return (await this.items()).filter((item) => item.state === 'waiting' || item.state === 'sending').length;
  }

  private async post(item: Item, device: string): Promise<Answer | null> {
    const form = new FormData();
    form.set('report', JSON.stringify(item.said));
    form.set('clock', new Date().toISOString());
    form.set('device', device);
    item.photos.forEach((photo, i) => form.append('photo', new Blob([photo.bytes], {type: photo.type}), `${i}.jpg`));
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
    try {
      const response = await fetch(new URL(`../api/reports?lang=${item.lang}`, this.base), {
        method: 'POST', body: form, signal: stop.signal, credentials: 'same-origin', cache: 'no-store'
      });
      const text = await response.text();
      let body: Answer['body'] = null;
      try {
        body = JSON.parse(text);
      } catch {
        body = null;
      }
      return {status: response.status, body};
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A random UUID; `crypto.randomUUID` exists on HTTPS only. */
export function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
