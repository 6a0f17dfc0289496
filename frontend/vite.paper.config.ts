import {defineConfig} from 'vite';

// Script and style of the printed sheets, which the server draws.
export default defineConfig({
  root: 'paper',
  publicDir: false,
  build: {
    outDir: '../../src/citymap/web/static/paper', emptyOutDir: true, target: 'es2020', assetsInlineLimit: 0,
    lib: {entry: 'main.ts', formats: ['es'], fileName: () => 'sheet.js', cssFileName: 'sheet'}
  }
});
