/** The printed sheets: their QR codes, the button that prints, and the mark of a drill. */
import {qr} from '../light/qr';
import './sheet.css';

const {url: said, root, status, drill} = document.body.dataset;
const url = said || new URL(root ?? '/', location.href).href;
const here = ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url, location.href).hostname);
for (const box of document.querySelectorAll<HTMLElement>('.qr')) box.replaceChildren(qr(url, box.dataset.alt ?? ''));
for (const text of document.querySelectorAll<HTMLElement>('.url')) text.textContent = url;
document.querySelector<HTMLElement>('#local')!.hidden = !here;
document.querySelector('#print')!.addEventListener('click', () => window.print());

/** Sheets of the static site were drawn before anybody knew of a drill: paper that leaves during one says so. */
async function markDrill(): Promise<void> {
  if (!status || !drill) return;
  const answer = await fetch(status, {cache: 'no-store'});
  const told = (await answer.json()) as {order?: {mode?: string}};
  if (told.order?.mode !== 'drill') return;
  for (const sheet of document.querySelectorAll('.sheet')) {
    const [mark, across] = ['drill', 'drill-across'].map((name) => Object.assign(document.createElement('p'), {className: name, textContent: drill}));
    mark.setAttribute('role', 'note');
    across.setAttribute('aria-hidden', 'true');
    sheet.querySelector('header')!.append(mark, across);
  }
}

markDrill().catch(() => undefined); // what is not known of the order is not on the paper either way
