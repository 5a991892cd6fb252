import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { findEngine } from './test/support/find-engine.ts';

const chromium = findEngine('chromium');

const chromiumFlags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const node: ViteUserConfig = {
  test: {
    name: 'node',
    include: ['src/**/*.test.{ts,tsx}', 'test/**/*.test.ts'],
    exclude: ['**/*.browser.test.*'],
    globalSetup: ['test/support/global-setup.ts'],
  },
};

const browser: ViteUserConfig = {
  // Packages met only while tests run would make the pages load anew in the midst of them.
  optimizeDeps: {
    include: ['@ipld/dag-cbor', '@ipld/dag-pb', 'multiformats/cid', 'multiformats/hashes/sha2'],
  },
  test: {
    name: 'browser',
    include: ['src/**/*.browser.test.{ts,tsx}', 'test/**/*.browser.test.ts'],
    globalSetup: ['test/support/sync-browser-server.ts'],
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      instances: [{ browser: 'chromium' }],
      provider: playwright({
        launchOptions: {
          ...('at' in chromium ? { executablePath: chromium.at } : {}),
          args: chromiumFlags,
        },
      }),
    },
  },
};

const config: ViteUserConfig = defineConfig({
  test: {
    testTimeout: 20_000,
    hookTimeout: 20_000,
    setupFiles: ['test/support/repeatable.ts'],
    projects: [
      { extends: true, ...node },
      // Without a Chromium the browser cases are left out here; the test command reports them.
      ...('at' in chromium ? [{ extends: true as const, ...browser }] : []),
    ],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.{ts,tsx}'],
      exclude: ['**/*.test.*', '**/*.d.ts'],
    },
  },
});

export default config;
