/** The service worker: the page works after one visit without a network, and sends when it is back. */
import {Kept, root, type Waiting, worker} from '../light/worker';
import {Queue} from './queue';

const DATA = new URL('../api/reports/form.json', root);
const kept = new Kept('citymap-report');
const queue = new Queue(root);
const said = new BroadcastChannel(`reports ${root.pathname}`);

async function page(request: Request): Promise<Response> {
  const url = new URL(request.url);
  if (request.mode !== 'navigate') return (await kept.file(request)) ?? fetch(request);
  if (`${url.pathname}/` === root.pathname) return Response.redirect(root.href + url.search);
  return (await kept.file(root)) ?? fetch(request);
}

kept.listen(async () => [DATA], (event, url) => {
  if (url.href === DATA.href) event.respondWith(kept.freshest(event.request, 1));
  else if (`${url.pathname}/`.startsWith(root.pathname)) event.respondWith(page(event.request));
});
worker.addEventListener('sync', (event: Waiting) => {
  event.waitUntil(
    queue.sendAll(() => said.postMessage('changed')).then((left) => {
      if (left) throw new Error('still waiting'); // the browser tries again
    })
  );
});
