import {describe, expect, it} from 'vitest';

import {areaM2, lengthM, sayArea, sayLength, type Point} from '../src/measure';
import {shownFromText, shownToText} from '../src/overlays';
import {roundLength} from '../src/ui/print_sheet';

describe('measuring', () => {
  it('measures a degree of latitude and a small square', () => {
    expect(lengthM([[139, 36], [139, 37]])).toBeCloseTo(111195, -1);
    const d = 100 / 111195;
    const e = d / Math.cos((36 * Math.PI) / 180);
    const square: Point[] = [[139, 36], [139 + e, 36], [139 + e, 36 + d], [139, 36 + d]];
    expect(areaM2(square)).toBeCloseTo(10000, -1);
    expect(areaM2(square.slice(0, 2))).toBe(0);
    expect([sayLength(999.4), sayLength(1234), sayArea(5000), sayArea(25000), sayArea(2.5e6)]).toEqual(['999 m', '1.23 km', '5000 m²', '2.50 ha', '2.50 km²']);
  });

  it('takes a round bar of at most a quarter of the sheet', () => {
    expect([roundLength(1, 1000), roundLength(10, 1000), roundLength(0.3, 900)]).toEqual([200, 2000, 50]);
  });
});

describe('overlays in the URL', () => {
  it('come back as they went, and strange ones are left out', () => {
    const shown = [{id: 'hazard-kinu-L2_depth', opacity: 0.7}, {id: 'own-x', opacity: 1}];
    expect(shownFromText(shownToText(shown))).toEqual(shown);
    expect(shownFromText('a<script>~1!ok-1~0.5!ok-1~0.2!b~7!c')).toEqual([{id: 'ok-1', opacity: 0.5}]);
    expect(shownFromText(null)).toEqual([]);
  });
});
