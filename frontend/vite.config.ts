import {parse} from 'smol-toml';
import type {Plugin} from 'vite';
import {defineConfig} from 'vitest/config';

/** Reads the message catalogue, which the Python side reads too. */
const toml: Plugin = {
  name: 'toml',
  transform: (source, id) =>
    id.endsWith('.toml')
      ? Object.entries(parse(source))
          .map(([name, table]) => `export const ${name} = ${JSON.stringify(table)};`)
          .join('\n')
      : undefined
};

// Built into the Python package; relative URLs, so that the page works under any path prefix.
export default defineConfig({
  base: './',
  plugins: [toml],
  build: {
    outDir: '../src/citymap/web/static',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1500,
    rollupOptions: {
      output: {
        manualChunks(id) {
          if (id.includes('maplibre-gl')) return 'maplibre';
          if (/@deck\.gl|@luma\.gl|@loaders\.gl|@math\.gl/.test(id)) return 'deck';
          return undefined;
        }
      }
    }
  },
  test: {environment: 'node', include: ['test/**/*.test.ts']}
});
