/** The printed sheets: their QR codes, and the button that prints. */
import {qr} from '../light/qr';
import './sheet.css';

const {url: said, root} = document.body.dataset;
const url = said || new URL(root ?? '/', location.href).href;
const here = ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url, location.href).hostname);
for (const box of document.querySelectorAll<HTMLElement>('.qr')) box.replaceChildren(qr(url, box.dataset.alt ?? ''));
for (const text of document.querySelectorAll<HTMLElement>('.url')) text.textContent = url;
document.querySelector<HTMLElement>('#local')!.hidden = !here;
document.querySelector('#print')!.addEventListener('click', () => window.print());
