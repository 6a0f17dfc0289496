/** A clock that runs through a simulation, and the bar that plays, pauses and scrubs it. */
import {t} from './i18n';
import {el, iconButton} from './ui/dom';
import './ui/playback.css';

const PLAY = 'M8 5v14l11-7z', PAUSE = 'M8 5v14M16 5v14', BACK = 'M18 6l-9 6 9 6zM6 6v12', ON = 'M6 6l9 6-9 6zM18 6v12';
const WHOLE_S = 24; // seconds from the first to the last moment at speed 1
const LONGEST_FRAME_S = 0.25; // a page that was hidden does not jump
export const SPEEDS = [0.5, 1, 2, 4];

export type ClockOptions = {
  /** Moments of the data (hours, rising); the clock runs from the first to the last. */
  moments: readonly number[];
  /** Whether what is shown at a time has arrived; while it has not, the clock waits. */
  ready?: (hours: number) => boolean;
  /** No motion wanted: the clock goes from moment to moment. */
  stepped?: boolean;
};
export type ClockState = {hours: number; playing: boolean; waiting: boolean; speed: number};

/** Hours of a simulation as they pass on the screen. */
export class PlaybackClock {
  readonly from: number;
  readonly to: number;
  private hours: number;
  private running = false;
  private held = false;
  private rate = 1;
  private frame = 0;
  private last = 0;
  private due = 0; // of the next step, where the clock goes in steps
  private heard = new Set<(state: ClockState) => void>();

  constructor(private readonly options: ClockOptions) {
    const {moments} = options;
    if (!moments.length) throw new Error('a clock needs a moment');
    [this.from, this.to] = [moments[0], moments[moments.length - 1]];
    this.hours = this.from;
  }

  get state(): ClockState {
    return {hours: this.hours, playing: this.running, waiting: this.held, speed: this.rate};
  }

  get moments(): readonly number[] {
    return this.options.moments;
  }

  /** Be told of every change, and at once; returns how to stop. */
  on(listener: (state: ClockState) => void): () => void {
    this.heard.add(listener);
    listener(this.state);
    return () => this.heard.delete(listener);
  }

  /** Tell everybody again: what is shown has changed by itself. */
  tell(): void {
    for (const listener of [...this.heard]) listener(this.state);
  }

  play(): void {
    if (this.running || this.to <= this.from) return;
    if (this.hours >= this.to) this.hours = this.from;
    this.running = true;
    this.last = this.due = 0;
    this.frame = requestAnimationFrame((now) => this.beat(now));
    this.tell();
  }

  pause(): void {
    if (!this.running) return;
    this.running = this.held = false;
    cancelAnimationFrame(this.frame);
    this.tell();
  }

  toggle(): void {
    if (this.running) this.pause();
    else this.play();
  }

  /** Go to a time; beyond the ends is the end. */
  seek(hours: number): void {
    if (!Number.isFinite(hours)) return;
    this.hours = Math.min(Math.max(hours, this.from), this.to);
    this.tell();
  }

  /** To the next moment of the data, or the one before. */
  step(by: 1 | -1): void {
    this.pause();
    const {moments} = this.options;
    const next = by > 0 ? moments.find((m) => m > this.hours + 1e-9) : [...moments].reverse().find((m) => m < this.hours - 1e-9);
    this.seek(next ?? (by > 0 ? this.to : this.from));
  }

  speed(rate: number): void {
    if (rate > 0) this.rate = rate;
    this.tell();
  }

  /** Stop for good. */
  close(): void {
    this.pause();
    this.heard.clear();
  }

  /** One frame of the screen, `now` in milliseconds. */
  beat(now: number): void {
    if (!this.running) return;
    const passed = this.last ? Math.min((now - this.last) / 1000, LONGEST_FRAME_S) : 0;
    this.last = now;
    const {ready, stepped, moments} = this.options;
    let next = this.hours + ((passed * this.rate) / WHOLE_S) * (this.to - this.from);
    if (stepped) {
      this.due += passed * this.rate;
      const wait = WHOLE_S / Math.max(moments.length - 1, 1);
      next = this.due >= wait ? (moments.find((m) => m > this.hours + 1e-9) ?? this.to) : this.hours;
      if (next !== this.hours) this.due = 0;
    }
    next = Math.min(next, this.to);
    this.held = ready ? !ready(next) : false;
    if (!this.held) this.hours = next;
    if (this.hours >= this.to) this.running = this.held = false;
    else this.frame = requestAnimationFrame((again) => this.beat(again));
    this.tell();
  }
}

/** Hours as a clock says them: 1:05. */
export function sayClock(hours: number): string {
  const minutes = Math.round(hours * 60);
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`;
}

/**
 * The bar of a clock: play and pause, back and on by one moment, the slider, the time, the speed. `more` stands at
 * its end. It shows what the clock says and forgets the clock when it is taken off the page by `remove()`.
 */
export function clockBar(clock: PlaybackClock, options: {say?: (hours: number) => string; label?: string; more?: Node[]} = {}): HTMLElement {
  const say = options.say ?? sayClock;
  const toggle = iconButton(PLAY, t('play'), () => clock.toggle(), 'play');
  const shape = toggle.querySelector('path') as SVGPathElement;
  const step = (clock.to - clock.from) / 1000 || 1;
  const slider = el('input', {
    type: 'range', min: String(clock.from), max: String(clock.to), step: String(step), 'aria-label': options.label ?? t('play.time'),
    oninput: () => {
      clock.pause();
      clock.seek(Number(slider.value));
    },
    onkeydown: (e: KeyboardEvent) => {
      const by = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1}[e.key] as 1 | -1 | undefined;
      if (!by) return;
      e.preventDefault();
      e.stopPropagation();
      clock.step(by);
    }
  });
  const time = el('output', {class: 'clock-time'});
  const speed = el('select', {'aria-label': t('play.speed'), title: t('play.speed'), onchange: () => clock.speed(Number(speed.value))},
    ...SPEEDS.map((s) => el('option', {value: String(s), selected: s === clock.state.speed}, `×${s}`)));
  const bar = el('div', {class: 'clock-bar', role: 'group', 'aria-label': options.label ?? t('play.time')},
    iconButton(BACK, t('play.back'), () => clock.step(-1), 'back'), toggle, iconButton(ON, t('play.on'), () => clock.step(1), 'on'), slider, time, speed, ...(options.more ?? []));
  const off = clock.on(({hours, playing, waiting}) => {
    slider.value = String(hours);
    slider.style.setProperty('--done', `${((hours - clock.from) / (clock.to - clock.from || 1)) * 100}%`);
    const said = say(hours);
    if (time.textContent !== said) time.textContent = said;
    slider.setAttribute('aria-valuetext', said);
    shape.setAttribute('d', playing ? PAUSE : PLAY);
    const label = t(playing ? 'play.pause' : 'play');
    toggle.title = label;
    toggle.setAttribute('aria-label', label);
    bar.classList.toggle('waiting', waiting);
  });
  const take = bar.remove.bind(bar);
  bar.remove = () => {
    off();
    take();
  };
  return bar;
}
