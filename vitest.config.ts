import { availableParallelism } from 'node:os';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { findEngine } from './test/support/find-engine.ts';
import { LongestFirst } from './test/support/longest-first.ts';

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

/**
 * Files often wait for engines, processes and timers: with one worker less than there are cores, as
 * Vitest has it, cores would idle.
 */
const maxWorkers = Math.max(3, availableParallelism());

/** Files whose bounds on real time want the machine for themselves: they run last, one after another. */
const alone = ['src/compositions/tiered/redis-outage.test.ts', 'test/server-under-load.test.ts'];

const node: ViteUserConfig = {
  test: {
    name: 'node',
    include: ['src/**/*.test.{ts,tsx}', 'test/**/*.test.ts'],
    exclude: ['**/*.browser.test.*', ...alone],
    globalSetup: ['test/support/global-setup.ts'],
  },
};

const nodeAlone: ViteUserConfig = {
  test: { ...node.test, name: 'node-alone', include: alone, exclude: [], maxWorkers: 1 },
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
    // Only what hangs should fail by it, also beside other work.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    maxWorkers,
    sequence: { sequencer: LongestFirst },
    setupFiles: ['test/support/repeatable.ts'],
    projects: [
      { extends: true, ...node },
      { extends: true, ...nodeAlone },
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
