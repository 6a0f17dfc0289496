import {readdirSync, readFileSync, statSync} from 'node:fs';
import {join} from 'node:path';

import {describe, expect, it} from 'vitest';

import {map} from '../../src/citymap/i18n/catalogue/map.toml';
import {setLang, setOwnWording, t} from '../src/i18n';
import {depthWords, hoursWords} from '../src/speak';

const sources = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? sources(path) : path.endsWith('.ts') ? [readFileSync(path, 'utf8')] : [];
  });

describe('catalogue', () => {
  it('has every key that the source asks for', () => {
    const asked = sources('src').flatMap((s) => [...s.matchAll(/\bt\('([^']+)'/g)].map((m) => m[1]));
    expect(asked.length).toBeGreaterThan(40);
    for (const key of asked) expect(map, key).toHaveProperty([key]);
  });

  it('says it in the words of the city where it has its own', () => {
    setLang('ja');
    setOwnWording({help: {ja: '使い方'}});
    expect([t('help'), t('close')]).toEqual(['使い方', '閉じる']);
    setLang('en');
    expect(t('help')).toBe('How to use');
    setOwnWording({});
  });
});

describe('numbers as people say them', () => {
  it('says a depth with its storey; a boundary goes up', () => {
    setLang('ja');
    expect(depthWords(0.3)).toBe('約0.3m（床下くらい）');
    expect(depthWords(0.5)).toContain('1階');
    expect(depthWords(3)).toContain('2階');
    expect(depthWords(5)).toContain('3〜4階');
    expect(hoursWords(18)).toBe('約18時間');
    expect(hoursWords(72)).toBe('約3日');
  });
});
