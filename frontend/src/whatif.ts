/** "What if the water is higher": the columns of exposure as they would be, by the rules of citymap.assess.verdict. */
import type {Attribute, Column} from './manifest';

export const HIGHEST_M = 5;
const NODATA = 255;
const DRY: [number, number][] = [[0.5, 1], [3, 2], [5, 3], [10, 5]]; // below this depth, this floor is dry
const STOREY_M = 3;
const HIGHEST_CLASS = 6;
const LEAVE = 0, STAY = 1; // codes of the verdict column

/** The lowest floor above the water, 1 the ground floor. */
export function lowestDryFloor(depth: number): number {
  for (const [bound, floor] of DRY) if (depth < bound) return floor;
  return Math.floor(depth / STOREY_M) + 2;
}

/** Whether an attribute can answer: a depth, or what follows from one. */
export const canRise = (a: Attribute | undefined): boolean =>
  Boolean(a && (a.quantity === 'depth' || (a.group === 'exposure' && (a.quantity === 'dry_floor' || a.quantity === 'verdict'))));

/**
 * The column of `a` with the water `rise` metres higher where there is water. Buildings outside stay outside:
 * how far more water would spread is not known from a map. What follows from unknown storeys is unknown.
 */
export function raised(a: Attribute, column: Column, rise: number, depth: Column | undefined, storeys: Column | undefined, height: Column | undefined): Column {
  if (a.quantity === 'depth') return Float32Array.from(column, (d) => (d > 0 ? d + rise : d));
  const out = Uint8Array.from(column);
  for (let row = 0; row < out.length; row++) {
    const before = depth?.[row] ?? NaN;
    if (!(before > 0)) continue;
    const after = before + rise;
    const floor = lowestDryFloor(after);
    const has = storeys?.[row] ?? NaN;
    const deep = after >= DRY[DRY.length - 1][0];
    const tall = height?.[row] ?? NaN;
    const unknown = floor > 1 && (Number.isNaN(has) || (deep && Number.isNaN(tall)));
    const none = floor > 1 && (has < floor || (deep && tall < after + STOREY_M));
    if (a.quantity === 'dry_floor') {
      if (column[row] !== NODATA) out[row] = none || unknown ? NODATA : Math.min(floor, HIGHEST_CLASS);
    } else if (column[row] === STAY) out[row] = none ? LEAVE : unknown ? NODATA : STAY;
  }
  return out;
}
