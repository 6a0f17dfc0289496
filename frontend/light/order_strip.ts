/** The municipality's order above a page that is about something else: what holds, or that nobody can say. */
import {Live, type Status} from '../residents/status';
import {el} from '../src/ui/dom';

const REFRESH_MS = 60_000;
type Words = (key: string, values?: Record<string, string | number>) => string;

/** The lines of the strip; null on a normal day. `status` null: not known. */
export function orderLines(status: Status | null, t: Words, lang: string): {mode: string; lines: string[]} | null {
  if (!status) return {mode: 'unknown', lines: [t('order.unknown')]};
  const {mode, level, districts, message} = status.order;
  if (mode === 'normal') return null;
  const drill = mode === 'drill';
  const lines = [t(drill ? 'order.drill' : 'order.disaster')];
  if (level !== null) lines.push(`${drill ? `【${t('order.mark')}】` : ''}${t(`order.${`level${level}`}`)}`);
  lines.push(t('order.where', {names: districts.map((d) => d.name).join('、') || t('order.everywhere')}));
  const own = message[lang] ?? message.ja;
  if (own) lines.push(own);
  return {mode, lines};
}

/** A strip that keeps itself up to date; the `body` says the mode (`data-order`) and the drill's mark for
 * print. `changed` hears how high the strip is, in pixels. */
export class OrderStrip {
  readonly box = el('div', {class: 'order-strip', role: 'status', 'aria-live': 'assertive', hidden: true});
  private heard = false;
  private timer = 0;

  constructor(readonly live: Live, private readonly t: Words, private readonly lang: () => string, private readonly changed: (height: number, status: Status | null) => void = () => undefined) {}

  start(): void {
    const again = (): void => void this.live.refresh().then(() => {
      this.heard = true;
      this.draw();
    });
    again();
    this.timer = window.setInterval(again, REFRESH_MS);
    document.addEventListener('visibilitychange', () => document.hidden || again());
    addEventListener('online', again);
    addEventListener('resize', () => this.tell());
  }

  stop(): void {
    clearInterval(this.timer);
  }

  draw(): void {
    if (!this.heard) return; // nothing is said of the order before it was asked for
    const said = orderLines(this.live.now, this.t, this.lang());
    document.body.dataset.order = said?.mode ?? 'normal';
    document.body.dataset.mark = this.t('order.mark');
    this.box.hidden = !said;
    const text = said ? said.lines.join('|') : '';
    if (this.box.dataset.said !== text) {
      this.box.dataset.said = text;
      this.box.dataset.mode = said?.mode ?? '';
      this.box.replaceChildren(...(said?.lines ?? []).map((line, i) => el('p', {class: i === 0 ? 'kind' : ''}, line)));
    }
    this.tell();
  }

  private tell(): void {
    this.changed(this.box.hidden ? 0 : this.box.offsetHeight, this.live.now);
  }
}
