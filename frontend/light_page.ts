import {createHash} from 'node:crypto';
import {readdirSync, readFileSync, statSync} from 'node:fs';
import {join, relative} from 'node:path';

import {defineConfig} from 'vite';

function files(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : name === 'sw.js' || name.startsWith('.') ? [] : [path];
  });
}

/** A light page without the map renderer, built from folder `root` into static folder `name`; then
 * (mode `sw`) its service worker, which is told the files of the page and their hash. */
export const lightPage = (root: string, name: string) => defineConfig(({mode}) => {
  const out = join(import.meta.dirname, '../src/citymap/web/static', name);
  if (mode !== 'sw') {
    return {
      root,
      base: './',
      build: {outDir: out, emptyOutDir: true, target: 'es2020', assetsInlineLimit: 0, modulePreload: {polyfill: false}}
    };
  }
  const listed = files(out).sort();
  const version = createHash('sha256');
  for (const path of listed) version.update(readFileSync(path));
  return {
    root,
    define: {
      __FILES__: JSON.stringify(listed.map((path) => relative(out, path)).filter((name) => name !== 'index.html')),
      __VERSION__: JSON.stringify(version.digest('hex').slice(0, 12))
    },
    publicDir: false,
    build: {
      outDir: out, emptyOutDir: false, target: 'es2020',
      lib: {entry: 'sw.ts', formats: ['iife'], name: 'sw', fileName: () => 'sw.js'}
    }
  };
});
