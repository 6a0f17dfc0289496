/** Everything around the map: panel, controls, attribution, messages. Events in, callbacks out. */
import {NAMES, htmlLang, nextLang, pick, t} from '../i18n';
import type {Attribute, City} from '../manifest';
import type {Overlay} from '../overlays';
import type {CityPlaces} from '../places';
import type {State} from '../state';
import {HIGHEST_M, canRise} from '../whatif';
import {card} from './card';
import {el, iconButton} from './dom';
import {legendBox} from './legend_box';
import {overlayLegends, overlayList} from './overlay_list';
import {searchBox, type Found} from './search';

export type Actions = {
  colourBy: (id: string | null) => void; toggleEntry: (attribute: Attribute, entry: number | 'nodata') => void; clearRules: () => void;
  storeys: (max: number | null, min: number | null) => void; toggleLayer: (group: string) => void; opacity: (value: number) => void; gsi: (on: boolean) => void;
  mode: (mode: '3d' | '2d') => void; choose: (found: Found) => void; closeCard: () => void;
  overlayToggle: (id: string) => void; overlayFade: (id: string, opacity: number) => void; overlayMove: (id: string, up: boolean) => void;
  rise: (m: number) => void; measure: () => void; print: () => void;
  zoom: (by: number) => void; north: () => void; tilt: () => void; home: () => void; locate: () => void; fullscreen: () => void; lang: () => void;
};

const ICONS = {
  plus: 'M12 5v14M5 12h14', minus: 'M5 12h14', north: 'M12 3l5 17-5-4-5 4z', tilt: 'M4 17l4-9h8l4 9z', home: 'M4 11l8-7 8 7v9h-5v-6H9v6H4z',
  locate: 'M12 2v4M12 18v4M2 12h4M18 12h4M12 7a5 5 0 1 0 0 10a5 5 0 1 0 0-10', full: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  layers: 'M12 3l9 5-9 5-9-5zM3 12l9 5 9-5M3 16l9 5 9-5', measure: 'M3 17L17 3l4 4L7 21zM8 12l2 2M11 9l2 2M14 6l2 2', print: 'M7 8V3h10v5M7 17H4V8h16v9h-3M7 14h10v7H7z',
  help: 'M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2M12 18v.01'
};
const LAYERS = ['buildings', 'hillshade', 'landuse', 'water', 'road', 'rail', 'district', 'label'];

/** Whom the data are by: what the city says, else Project PLATEAU for a real one. */
function credit(city: City): string {
  const m = city.manifest;
  if (m.attribution) return m.attribution;
  const name = pick({ja: m.name, en: m.name_en || m.name});
  return m.fictional ? name : `${name}・${t('plateau')}`;
}

export class Chrome {
  private body = el('div', {class: 'body'});
  private panel: HTMLElement | null = null;
  private floating = el('div', {class: 'floating'});
  private cardSlot = el('div');
  private legendSlot = el('div');
  private colourSlot = el('div');
  private layerSlot = el('div');
  private overlaySlot = el('div');
  private riseSlot = el('div');
  private placeSlot = el('div');
  private pointSlot = el('div');
  places: CityPlaces | null = null;
  private drawer = el('div', {class: 'drawer', hidden: true});
  private measureBox = el('div', {class: 'measure', role: 'status', hidden: true});
  private overlays: Overlay[] = [];
  private problems: string[] = [];
  private failed = new Set<string>();
  private drawnRise: HTMLElement | null = null;
  private loadingBox = el('div', {class: 'loading', role: 'status'});
  private toastBox: HTMLElement | null = null;
  private help = el('dialog');
  private modeButton = el('button', {type: 'button'});

  constructor(private root: HTMLElement, private city: City, private actions: Actions, private showPanel: boolean) {}

  get hasPanel(): boolean {
    return this.showPanel;
  }

  build(state: State): void {
    this.root.replaceChildren();
    document.documentElement.classList.toggle('nopanel', !this.showPanel);
    const m = this.city.manifest;
    if (this.showPanel) {
      const {form, results} = searchBox(this.city, this.actions.choose);
      const name = state.lang === 'en' && m.name_en ? m.name_en : m.name;
      const panel = el('aside', {class: 'panel peek', 'aria-label': t('app')});
      panel.append(
        el('button', {type: 'button', class: 'handle', 'aria-label': t('panel'), onclick: () => panel.classList.toggle('peek')}),
        el('div', {class: 'title'}, el('h1', {}, name), m.fictional ? el('span', {class: 'badge'}, t('fictional')) : null),
        form, this.body
      );
      this.body.replaceChildren(results, this.placeSlot, this.cardSlot, this.legendSlot, this.pointSlot, this.colourSlot, this.riseSlot, this.overlaySlot, this.layerSlot);
      this.panel = panel;
      this.root.append(panel);
    } else this.root.append(this.floating, this.drawer);
    this.root.append(this.measureBox);
    this.modeButton = el('button', {type: 'button', title: t('mode'), 'aria-label': t('mode'), onclick: () => this.actions.mode(state.mode === '3d' ? '2d' : '3d')});
    this.help.replaceChildren(el('h2', {}, t('help')), el('p', {}, t('help.text')), el('button', {type: 'button', class: 'plain', onclick: () => this.help.close()}, t('close')));
    this.root.append(
      el('div', {class: 'controls'},
        el('div', {class: 'group'}, iconButton(ICONS.plus, t('zoom.in'), () => this.actions.zoom(1)), iconButton(ICONS.minus, t('zoom.out'), () => this.actions.zoom(-1))),
        el('div', {class: 'group'}, this.modeButton, iconButton(ICONS.north, t('north'), this.actions.north), iconButton(ICONS.tilt, t('tilt'), this.actions.tilt)),
        el('div', {class: 'group'}, iconButton(ICONS.home, t('home'), this.actions.home), iconButton(ICONS.locate, t('locate'), this.actions.locate)),
        el('div', {class: 'group'},
          this.showPanel ? null : iconButton(ICONS.layers, t('overlays'), () => this.drawer.toggleAttribute('hidden'), 'layers'),
          el('span', {class: 'wide-only'}, iconButton(ICONS.measure, t('measure'), this.actions.measure, 'measure'), iconButton(ICONS.print, t('print'), this.actions.print, 'print'))),
        el('div', {class: 'group wide-only'},
          iconButton(ICONS.full, t('fullscreen'), this.actions.fullscreen), iconButton(ICONS.help, t('help'), () => this.help.showModal())),
        this.showPanel ? el('div', {class: 'group'}, el('button', {type: 'button', class: 'lang', lang: htmlLang(nextLang(state.lang)), onclick: () => this.actions.lang()}, NAMES[nextLang(state.lang)])) : null
      ),
      this.attribution(state), this.help
    );
    this.render(state);
  }

  private attribution(state: State): HTMLElement {
    const shown = state.overlays.map((x) => this.overlays.find((o) => o.id === x.id)).filter((o) => o !== undefined);
    const box = el('div', {class: 'attribution'}, `${t('attribution')}: ${this.credits(shown)}`);
    if (state.gsi && this.city.manifest.online_base) {
      box.append('・', el('a', {href: 'https://maps.gsi.go.jp/development/ichiran.html', target: '_blank', rel: 'noopener noreferrer'}, t('gsi')));
    }
    return box;
  }

  /** Whose data the map shows: the city's, and those laid over it. */
  credits(shown: Overlay[]): string {
    return [...new Set([credit(this.city), ...shown.map((o) => pick(o.attribution))])].filter(Boolean).join('・');
  }

  /** The legends on the page, for paper. */
  legends(): HTMLElement[] {
    return [...this.root.querySelectorAll<HTMLElement>('section.legend')];
  }

  setOverlays(overlays: Overlay[], problems: string[], state: State): void {
    [this.overlays, this.problems] = [overlays, problems];
    this.render(state);
  }

  /** Say in its own row that a layer cannot be drawn. */
  overlayFailed(id: string, state: State): void {
    if (this.failed.has(id)) return;
    this.failed.add(id);
    this.render(state);
  }

  measure(text: string | null): void {
    this.measureBox.hidden = text === null;
    this.measureBox.textContent = text ?? '';
  }

  private overlayBox(state: State): HTMLElement {
    const open = this.overlaySlot.querySelector('details')?.open ?? state.overlays.length > 0;
    const list = overlayList(this.overlays, state.overlays, this.failed, this.problems, {
      toggle: (id) => {
        this.failed.delete(id);
        this.actions.overlayToggle(id);
      }, fade: this.actions.overlayFade, move: this.actions.overlayMove
    });
    return el('details', {class: 'layers', open}, el('summary', {}, t('overlays')), list);
  }

  /** The slider of higher water, where what is shown can answer. */
  private riseBox(attribute: Attribute | undefined, state: State): HTMLElement | null {
    if (!canRise(attribute)) return null;
    const range = el('input', {type: 'range', min: '0', max: String(HIGHEST_M), step: '0.5', value: String(state.rise), 'aria-label': t('rise'), oninput: () => this.actions.rise(Number(range.value))});
    return el('div', {class: 'rise'}, el('label', {}, el('strong', {}, state.rise ? t('rise.by', {m: state.rise}) : t('rise')), range), state.rise ? el('p', {class: 'small'}, t('rise.note')) : null);
  }

  render(state: State): void {
    const attribute = this.city.attribute(state.colourBy);
    this.modeButton.textContent = state.mode === '3d' ? '2D' : '3D';
    this.modeButton.onclick = () => this.actions.mode(state.mode === '3d' ? '2d' : '3d');
    const legend = legendBox(attribute, state.rules, (k) => attribute && this.actions.toggleEntry(attribute, k));
    const laid = overlayLegends(new Map(this.overlays.map((o) => [o.id, o])), state.overlays);
    const active = document.activeElement;
    const sliding = active instanceof HTMLInputElement && active.type === 'range' && this.root.contains(active) ? active : null;
    if (!sliding?.closest('.rise')) {
      const rise = this.riseBox(attribute, state);
      (this.showPanel ? this.riseSlot : this.floating).replaceChildren(...(rise && this.showPanel ? [rise] : []));
      this.drawnRise = rise;
    } else {
      const words = this.drawnRise?.querySelector('strong');
      if (words) words.textContent = state.rise ? t('rise.by', {m: state.rise}) : t('rise');
    }
    if (this.overlays.length && !sliding?.closest('.overlays')) {
      const [box, where] = [this.overlayBox(state), this.showPanel ? this.overlaySlot : this.drawer];
      where.replaceChildren(box);
    }
    this.root.querySelector('.attribution')?.replaceWith(this.attribution(state));
    if (!this.showPanel) {
      this.floating.replaceChildren(legend, ...laid, ...(this.drawnRise ? [this.drawnRise] : []));
      sliding?.focus();
      return;
    }
    this.legendSlot.replaceChildren(legend, ...laid);
    this.colourSlot.replaceChildren(this.colourSelect(state), this.storeysSelect(state));
    this.layerSlot.replaceChildren(this.layers(state));
    this.renderPlaces(state);
  }

  private colourSelect(state: State): HTMLElement {
    const select = el('select', {'aria-label': t('colour'), onchange: () => this.actions.colourBy(select.value || null)});
    const option = (a: Attribute): HTMLElement => el('option', {value: a.id, selected: a.id === state.colourBy}, pick(a.title));
    const basic = this.city.manifest.attributes.filter((a) => !a.group);
    const exposure = this.city.manifest.attributes.filter((a) => a.group === 'exposure');
    const risk = this.city.manifest.attributes.filter((a) => a.group === 'risk');
    select.append(el('option', {value: ''}, t('colour.none')));
    if (exposure.length) select.append(el('optgroup', {label: t('colour.exposure')}, ...exposure.map(option)));
    select.append(el('optgroup', {label: t('colour.basic')}, ...basic.map(option)));
    if (risk.length) select.append(el('optgroup', {label: t('colour.risk')}, ...risk.map(option)));
    return el('label', {class: 'field'}, t('colour'), select);
  }

  private storeysSelect(state: State): HTMLElement {
    if (!this.city.attribute('storeys_above')) return el('span');
    const rule = state.rules.find((r) => r.id === 'storeys_above' && !r.in);
    const now = rule ? (rule.max !== undefined ? `-${rule.max}` : `${rule.min}`) : '';
    const select = el('select', {'aria-label': t('filter.storeys'), onchange: () => {
      const v = Number(select.value);
      this.actions.storeys(v < 0 ? -v : null, v > 0 ? v : null);
    }});
    const options: [string, string][] = [['', t('filter.any')], ['-1', t('filter.upto', {n: 1})], ['-2', t('filter.upto', {n: 2})], ['3', t('filter.from', {n: 3})], ['6', t('filter.from', {n: 6})]];
    select.append(...options.map(([v, label]) => el('option', {value: v, selected: v === now}, label)));
    const box = el('details', {class: 'filter', open: state.rules.length > 0}, el('summary', {}, t('filter')), el('label', {class: 'field'}, t('filter.storeys'), select));
    if (state.rules.length) box.append(el('p', {}, el('button', {type: 'button', class: 'plain', onclick: () => this.actions.clearRules()}, t('filter.clear'))));
    return box;
  }

  private layers(state: State): HTMLElement {
    const m = this.city.manifest;
    const there = LAYERS.filter((g) => (g === 'hillshade' ? m.hillshade : g === 'buildings' || (m.vector?.layers ?? []).some((l) => l === g || (g === 'label' && l === 'place_label') || (g === 'landuse' && l === 'green'))));
    const rows = there.map((g) => el('label', {}, el('input', {type: 'checkbox', checked: !state.off.includes(g), onchange: () => this.actions.toggleLayer(g)}), t(`layer.${g}`)));
    const range = el('input', {type: 'range', min: '0.1', max: '1', step: '0.1', value: String(state.opacity), 'aria-label': t('opacity'), oninput: () => this.actions.opacity(Number(range.value))});
    rows.push(...(this.places?.groups ?? []).map((g) => el('label', {}, el('input', {type: 'checkbox', checked: !state.off.includes(g), onchange: () => this.actions.toggleLayer(g)}), t(`layer.${g}`))));
    const box = el('details', {class: 'layers', open: this.layerSlot.querySelector('details')?.open ?? false}, el('summary', {}, t('layers')), ...rows, el('label', {}, `${t('layer.buildings')} ${t('opacity')}`, range));
    if (m.online_base) box.append(el('label', {}, el('input', {type: 'checkbox', checked: state.gsi, onchange: () => this.actions.gsi(!state.gsi)}), t('layer.gsi')));
    return box;
  }

  showCard(record: Record<string, unknown> | null): void {
    if (!this.showPanel) return;
    this.cardSlot.replaceChildren(...(record ? [card(this.city, record, this.actions.closeCard)] : []));
    if (record) {
      this.panel?.classList.remove('peek');
      this.body.scrollTop = 0;
    }
  }

  /** What the points mean; a card that is open stays as it was read. */
  renderPlaces(state: State): void {
    this.pointSlot.replaceChildren(...(this.places?.legend(state.off) ?? []));
  }

  showPlace(card: HTMLElement | null): void {
    if (!this.showPanel) return;
    this.placeSlot.replaceChildren(...(card ? [card] : []));
    if (card) {
      this.panel?.classList.remove('peek');
      this.body.scrollTop = 0;
    }
  }

  loading(on: boolean): void {
    if (on && !this.loadingBox.isConnected) {
      this.loadingBox.textContent = t('loading.tiles');
      this.root.append(this.loadingBox);
    } else if (!on) this.loadingBox.remove();
  }

  toast(text: string): void {
    this.toastBox?.remove();
    const box = el('div', {class: 'toast', role: 'alert'}, text);
    this.toastBox = box;
    this.root.append(box);
    setTimeout(() => box.remove(), 6000);
  }

  setPanel(visible: boolean, state: State): void {
    if (visible === this.showPanel) return;
    this.showPanel = visible;
    this.build(state);
  }
}
