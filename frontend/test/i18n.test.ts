import {readdirSync, readFileSync, statSync} from 'node:fs';
import {join} from 'node:path';

import {describe, expect, it} from 'vitest';

import en from '../src/i18n/en.json';
import ja from '../src/i18n/ja.json';
import {setLang} from '../src/i18n';
import {depthWords, hoursWords} from '../src/speak';

const sources = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? sources(path) : path.endsWith('.ts') ? [readFileSync(path, 'utf8')] : [];
  });

describe('catalogue', () => {
  it('has the same keys and placeholders in both languages', () => {
    expect(Object.keys(en).sort()).toEqual(Object.keys(ja).sort());
    const names = (s: string): string[] => (s.match(/\{\w+\}/g) ?? []).sort();
    for (const [key, text] of Object.entries(ja)) expect(names((en as Record<string, string>)[key]), key).toEqual(names(text));
  });

  it('has every key that the source asks for', () => {
    const asked = sources('src').flatMap((s) => [...s.matchAll(/\bt\('([^']+)'/g)].map((m) => m[1]));
    expect(asked.length).toBeGreaterThan(40);
    for (const key of asked) expect(ja, key).toHaveProperty([key]);
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
