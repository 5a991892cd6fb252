/** Groups of very many keys, and what is left when a process is killed in the middle of one. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { lmdb } from '../src/drivers/lmdb/index.ts';
import { memory } from '../src/drivers/memory/index.ts';
import { publish } from '../src/sync/index.ts';
import { serveWebSocket } from '../src/sync/node.ts';
import { describeWithEngine } from './support/engines.ts';
import { KillableBrowser, servePage } from './support/killable-browser.ts';

const KEYS = Number(process.env.STRATAKV_LARGE_GROUP ?? 20_000);
const TIMEOUT_MS = 60_000 + KEYS;
const VALUE_BYTES = 100;
/** How much of a group has been handed to the database when the browser is killed. */
const SHARES = KEYS > 50_000 ? [0.5] : [0.1, 0.9];
/** How long after a group was written its receiver is killed. */
const DELAYS_MS = [20, 60, 120, 180, 250].map((ms) => (ms * KEYS) / 20_000);

const keyOf = (n: number): string => `key:${String(n).padStart(8, '0')}`;
const allKeys = Array.from({ length: KEYS }, (_, n) => keyOf(n));
/** The first, the last, and some between. */
const SAMPLE = Array.from({ length: 40 }, (_, n) => keyOf(Math.round((n * (KEYS - 1)) / 39)));

const folders: string[] = [];
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'stratakv-large-groups-'));
  folders.push(folder);
  return folder;
};

/** A published store of which every commit writes all keys. */
async function source(): Promise<{
  readonly url: string;
  write(generation: number): Promise<void>;
}> {
  const store = memory<Uint8Array>();
  const service = await serveWebSocket({ publication: publish(store), port: 0 });
  ends.push(() => service.close());
  return {
    url: service.url,
    write: async (generation) => {
      const value = new Uint8Array(VALUE_BYTES).fill(generation);
      await store.setMany(allKeys.map((key) => [key, value]));
    },
  };
}

describeWithEngine('chromium', `a group of ${KEYS} keys in IndexedDB`, () => {
  let page: { readonly url: string; close(): void };
  beforeAll(async () => {
    page = await servePage('test/support/large-group-page.ts');
  });
  afterAll(() => page.close());

  const begin = (tab: Page, url: string): Promise<void> =>
    tab.evaluate(
      ([to, name]) => globalThis.large.copy(to as string, name as string),
      [url, 'copy'],
    );
  const copied = (tab: Page) => tab.evaluate(() => globalThis.large.copied());
  const puts = (tab: Page) => tab.evaluate(() => globalThis.large.puts());
  const seen = (tab: Page) => tab.evaluate(() => globalThis.large.seen());
  const whole = (tab: Page) => tab.evaluate(() => globalThis.large.whole('copy'));

  test('is there whole or not at all when the browser is killed in its middle, to a second tab too', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { url, write } = await source();
    await write(1);
    const profile = newFolder();
    let browser = await KillableBrowser.start(profile);
    ends.push(() => browser.kill());
    let copying = await browser.open(page.url);
    await begin(copying, url);
    await copied(copying);
    for (const [round, share] of SHARES.entries()) {
      const [held, next] = [round + 1, round + 2];
      const reader = await browser.open(page.url);
      await reader.evaluate((keys) => globalThis.large.read('copy', keys), SAMPLE);
      await expect.poll(() => seen(reader)).toEqual([`${held}`]);
      const before = await puts(copying);
      await write(next);
      await expect
        .poll(async () => (await puts(copying)) - before, { timeout: TIMEOUT_MS, interval: 10 })
        .toBeGreaterThan(KEYS * share);
      const meanwhile = await seen(reader);
      await browser.kill();
      expect([`${held}`, `${next}`]).toEqual(expect.arrayContaining([...meanwhile]));
      browser = await KillableBrowser.start(profile);
      copying = await browser.open(page.url);
      const { generations, keys } = await whole(copying);
      expect(keys).toBe(KEYS);
      expect(generations).toHaveLength(1);
      expect([held, next]).toContain(generations[0]);
      await begin(copying, url);
      await copied(copying);
      expect(await whole(copying)).toEqual({ generations: [next], keys: KEYS });
    }
  });
});

describe(`a group of ${KEYS} keys in lmdb`, () => {
  const copy = (url: string, path: string) => {
    const child = fork(new URL('./support/copying-process.ts', import.meta.url), [url, path]);
    const ended = once(child, 'close');
    const kill = async (): Promise<void> => {
      child.kill('SIGKILL');
      await ended;
    };
    ends.push(kill);
    return { copied: once(child, 'message'), kill };
  };

  test('is there whole or not at all when the process is killed in its middle, to a second process too', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { url, write } = await source();
    await write(1);
    const path = newFolder();
    const first = copy(url, path);
    await first.copied;
    await first.kill();
    const reader = lmdb({ path });
    ends.push(() => reader.close());
    const generations = (keys: readonly string[]): Set<number> =>
      new Set(keys.map((key) => reader.blocking.get(key)?.[0] ?? -1));
    for (const [round, delayMs] of DELAYS_MS.entries()) {
      const [held, next] = [round + 1, round + 2];
      const { copied, kill } = copy(url, path);
      await copied;
      await write(next);
      const untilMs = performance.now() + delayMs;
      while (performance.now() < untilMs) {
        const found = await reader.getMany(SAMPLE);
        const seen = new Set(SAMPLE.map((key) => found.get(key)?.[0] ?? -1));
        expect([...seen]).toHaveLength(1);
        expect([held, next]).toContain([...seen][0]);
      }
      await kill();
      const [left, ...others] = generations(allKeys);
      expect(others).toEqual([]);
      expect([held, next]).toContain(left);
    }
    const last = copy(url, path);
    await last.copied;
    expect([...generations(allKeys)]).toEqual([DELAYS_MS.length + 1]);
  });
});
