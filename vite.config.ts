import { defineConfig, type UserConfig } from 'vite';

/** The web console: relative addresses, because the server may mount it anywhere. */
const config: UserConfig = defineConfig({
  root: 'src/console',
  base: './',
  publicDir: false,
  build: {
    outDir: '../../dist/console',
    emptyOutDir: true,
    target: 'es2023',
    reportCompressedSize: false,
  },
});

export default config;
