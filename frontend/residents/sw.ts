/** The service worker: after one visit the page, its words and the places asked for work without a network. */
import {Kept, root} from '../light/worker';

const kept = new Kept('citymap-home', 'home/');
const MOST = 400; // answers and files of places that are kept
const KEPT = /^(site\.json|words\/[\w-]+\.json|(data\/[\w-]+\/)?(search|area|shelters)\.json|data\/[\w-]+\/place\/\d+\/\d+\.json)$/;

async function wanted(): Promise<URL[]> {
  const site = (await (await fetch(new URL('site.json', root))).json()) as {data: string | null; languages: {code: string}[]};
  const base = site.data ? new URL(site.data, root) : root;
  return ['site.json', ...site.languages.map((l) => `words/${l.code}.json`)].map((p) => new URL(p, root))
    .concat(['search.json', 'area.json', 'shelters.json', 'wifi.json'].map((p) => new URL(p, base)));
}

kept.listen(wanted, (event, url) => {
  if (!url.pathname.startsWith(root.pathname)) return;
  const path = url.pathname.slice(root.pathname.length);
  const {request} = event;
  if (path === '' && request.mode === 'navigate') event.respondWith(kept.page(request));
  else if (path.startsWith('home/')) event.respondWith(kept.file(request).then((file) => file ?? fetch(request)));
  else if (KEPT.test(path) || path === 'api/place') event.respondWith(kept.freshest(request, MOST));
  // status.json is never kept: what is live is either fresh or not known
});
