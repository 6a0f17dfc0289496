/** The clock of an evacuation below the map, and how many people are where. */
import {t} from '../i18n';
import {COLOURS, STATES, type Playback} from '../people_playback';
import {PlaybackClock, clockBar} from '../playback_clock';
import {el, swatch} from './dom';
import './people_bar.css';
import './playback.css';

const COUNTS_MS = 200; // how often the numbers change
const MOMENT_S = 300; // of the arrows
const MEASURED = 600; // frames

export class PeopleBar {
  readonly root: HTMLElement;
  readonly clock: PlaybackClock;
  private readonly bar: HTMLElement;
  private readonly numbers = new Map<string, HTMLElement>();
  private told = -Infinity;
  /** Milliseconds of our own script in each of the last frames, for whoever measures. */
  readonly spent: number[] = [];

  constructor(readonly playback: Playback, private readonly draw: () => void, water: 'shown' | 'none' | 'missing') {
    const duration = playback.people.duration;
    const moments = Array.from({length: Math.ceil(duration / MOMENT_S)}, (_, k) => (k * MOMENT_S) / 3600);
    this.clock = new PlaybackClock({moments: [...moments, duration / 3600], stepped: matchMedia('(prefers-reduced-motion: reduce)').matches});
    this.bar = clockBar(this.clock, {label: t('people.time')});
    const list = el('ul', {class: 'people-states'});
    for (const name of STATES) {
      if (playback.people.occurs(name)) list.append(this.entry(name, name === 'arrived' ? null : COLOURS[name]));
    }
    list.append(this.entry('closed', [196, 0, 40]));
    list.append(el('li', {class: 'note'}, t(water === 'shown' ? 'people.water' : water === 'missing' ? 'people.no_water' : 'people.dry')));
    this.root = el('div', {class: 'playback'}, this.bar, list);
    this.clock.on(({hours, playing}) => this.moved(hours * 3600, playing));
  }

  private entry(name: string, colour: number[] | null): HTMLElement {
    const number = el('b', {}, '0');
    this.numbers.set(name, number);
    return el('li', {'data-state': name}, colour && swatch(colour), `${t(`people.${name}`)} `, number);
  }

  /** Put the bar on the page; the map's scale moves up. */
  show(): void {
    document.body.append(this.root);
    document.body.classList.add('plays');
    document.body.style.setProperty('--bar', `${this.height}px`);
  }

  /** How much of the map's foot it covers (px). */
  get height(): number {
    return innerHeight - this.root.getBoundingClientRect().top + 6;
  }

  remove(): void {
    this.clock.close();
    this.bar.remove();
    this.root.remove();
    document.body.classList.remove('plays');
  }

  private moved(time: number, playing: boolean): void {
    const begun = performance.now();
    this.playback.moveTo(time);
    this.draw();
    if (!playing || begun - this.told > COUNTS_MS) this.tell(begun);
    if (!playing) return;
    this.spent.push(performance.now() - begun);
    if (this.spent.length > MEASURED) this.spent.shift();
  }

  private tell(now: number): void {
    this.told = now;
    STATES.forEach((name, k) => this.say(name, this.playback.people.counted[k]));
    this.say('closed', this.playback.closed);
  }

  private say(name: string, count: number): void {
    const number = this.numbers.get(name);
    if (number) number.textContent = count.toLocaleString();
  }
}
