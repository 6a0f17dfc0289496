/** Classes and colours: which legend entry a value belongs to, and the colour of every building. */
import type {Attribute, Column, LegendEntry, Rgb} from './manifest';

export const BUILDING: Rgb = [214, 207, 198]; // warm grey
export const NO_DATA: Rgb = [190, 193, 198];
export const GHOST: Rgb = [238, 238, 236];

export type Rule = {id: string; in?: (number | string)[]; min?: number; max?: number};

const missing = (attribute: Attribute, value: number): boolean =>
  Number.isNaN(value) || (typeof attribute.nodata === 'number' && value === attribute.nodata);

/** Index of the entry that holds a value; −1 for no data or outside. A boundary belongs to the upper class. */
export function classOf(attribute: Attribute, value: number): number {
  if (missing(attribute, value)) return -1;
  return attribute.legend.findIndex((e: LegendEntry) =>
    e.value !== undefined ? e.value === value : value >= (e.min ?? -Infinity) && value < (e.max ?? Infinity)
  );
}

/** Class index of every row; the last index (legend length) is "no data". */
export function classify(attribute: Attribute, column: Column): Uint16Array {
  const out = new Uint16Array(column.length);
  const none = attribute.legend.length;
  const byValue = attribute.legend.every((e) => e.value !== undefined);
  const lookup = new Map(attribute.legend.map((e, i) => [e.value, i]));
  for (let row = 0; row < column.length; row++) {
    const value = column[row];
    let k: number;
    if (byValue) k = missing(attribute, value) ? -1 : (lookup.get(value) ?? -1);
    else k = classOf(attribute, value);
    out[row] = k < 0 ? none : k;
  }
  return out;
}

/** Whether a row passes one rule; no data never passes a range. */
export function passes(attribute: Attribute, rule: Rule, value: number): boolean {
  if (rule.in) {
    const k = classOf(attribute, value);
    const entry = attribute.legend[k];
    return rule.in.some((x) =>
      x === 'nodata' || x === null ? k < 0 : entry !== undefined && (x === entry.value || x === entry.code || x === k)
    );
  }
  if (missing(attribute, value)) return false;
  return value >= (rule.min ?? -Infinity) && value <= (rule.max ?? Infinity);
}

/** RGB of every row, which are hatched for want of data, and how many rows pass the filter. */
export function paint(
  count: number, attribute: Attribute | undefined, column: Column | undefined,
  rules: {rule: Rule; attribute: Attribute; column: Column}[]
): {rgb: Uint8Array; hatched: Uint8Array | null; shown: Uint8Array; matching: number} {
  const rgb = new Uint8Array(count * 3);
  const shown = new Uint8Array(count).fill(1);
  const hatched = attribute ? new Uint8Array(count) : null;
  let matching = 0;
  const classes = attribute && column ? classify(attribute, column) : undefined;
  const palette = attribute ? [...attribute.legend.map((e) => e.colour), NO_DATA] : [BUILDING];
  for (let row = 0; row < count; row++) {
    for (const {rule, attribute: a, column: c} of rules) {
      if (!passes(a, rule, c[row])) {
        shown[row] = 0;
        break;
      }
    }
    matching += shown[row];
    const colour = shown[row] ? palette[classes ? classes[row] : 0] : GHOST;
    rgb.set(colour, row * 3);
    if (hatched && shown[row] && classes?.[row] === attribute?.legend.length) hatched[row] = 1;
  }
  return {rgb, hatched, shown, matching};
}
