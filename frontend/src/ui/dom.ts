/** Makes elements; text only ever enters as text. */
type Props = Record<string, string | boolean | number | undefined | ((event: never) => void)>;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K, props: Props = {}, ...children: (Node | string | null | undefined)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(key.slice(2), value as EventListener);
    else if (key === 'class') node.className = String(value);
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  const mark = !['', 'ja', 'zh'].includes(document.documentElement.lang.slice(0, 2)) && !PLAIN.has(tag);
  for (const child of children) {
    if (child === null || child === undefined) continue;
    node.append(mark && typeof child === 'string' && JAPANESE.test(child) ? marked(child) : child);
  }
  return node;
}

const JAPANESE = /([\u3005\u3040-\u30ff\u4e00-\u9fff\uff10-\uff9f][\u3000-\u30ff\u4e00-\u9fff\uff01-\uff9f]*)/;
const PLAIN: ReadonlySet<string> = new Set(['option', 'textarea', 'title']);

/** A text of another language in which names stand in Japanese: they say so, for those who listen. */
function marked(text: string): HTMLElement {
  const whole = document.createElement('bdi'); // no span: styles lay those out
  text.split(JAPANESE).forEach((part, i) => {
    if (i % 2) whole.append(el('bdi', {lang: 'ja'}));
    (i % 2 ? (whole.lastChild as HTMLElement) : whole).append(part);
  });
  return whole;
}

export const swatch = (colour: ArrayLike<number>, hatched = false): HTMLElement => {
  const box = el('span', {class: hatched ? 'swatch hatched' : 'swatch', 'aria-hidden': 'true'});
  box.style.backgroundColor = `rgb(${colour[0]},${colour[1]},${colour[2]})`;
  return box;
};

/** A button with an icon drawn as a path of a 24 × 24 box. */
export function iconButton(path: string, label: string, press: () => void, key?: string): HTMLButtonElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  shape.setAttribute('d', path);
  svg.append(shape);
  return el('button', {type: 'button', class: 'icon', title: label, 'aria-label': label, 'data-key': key, onclick: () => press()}, svg as unknown as Node);
}
