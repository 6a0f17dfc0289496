import {describe, expect, it} from 'vitest';

import {accepts} from '../src/bridge';

const parent = {};
const good = {origin: 'http://a', source: parent, data: {citymap: 1, type: 'colour'}};

describe('bridge', () => {
  it('takes our own messages from the framing page only', () => {
    expect(accepts(good, 'http://a', parent)).toBe(true);
    expect(accepts({...good, origin: 'http://b'}, 'http://a', parent)).toBe(false);
    expect(accepts({...good, source: {}}, 'http://a', parent)).toBe(false);
    for (const data of [null, 'x', {type: 'colour'}, {citymap: 1}, {citymap: 2, type: 'x'}]) {
      expect(accepts({...good, data}, 'http://a', parent)).toBe(false);
    }
  });
});
