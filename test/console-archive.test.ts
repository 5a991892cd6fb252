/** The page of an archive in the console, over a real Redis and a store of files. */
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright';
import { createClient, type RedisClientType } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Archive, archive, redisKeys } from '../src/compositions/archive/index.ts';
import { memory } from '../src/drivers/memory/index.ts';
import { runCli } from './support/cli-process.ts';
import { describeWithEngine, freePort, type RedisServer, startRedis } from './support/engines.ts';
import { ServedConsole } from './support/served-console.ts';

vi.setConfig({ testTimeout: 120_000 });

const patience = { timeout: 60_000 };

/** The figure under a label. */
const tile = (page: Page, label: string): Promise<string | null> =>
  page
    .locator('.archive .tile')
    .filter({ has: page.getByText(label, { exact: true }) })
    .locator('dd')
    .textContent();

const plotted = (page: Page, title: string): Promise<string[]> =>
  page
    .locator('.archive .plot')
    .filter({ has: page.getByRole('heading', { name: title, exact: true }) })
    .locator('.plot-now b')
    .allTextContents();

const side = (page: Page, name: string): Promise<string | null> =>
  page.locator('.archive-sides li').filter({ hasText: name }).textContent();

describe('serve with an archive', () => {
  test.each([
    [['--cold', 'memory:'], '--cold goes with --archive'],
    [['--work'], '--work goes with --archive'],
    [['--archive', 'redis://127.0.0.1:1', '--work'], 'needs --cold STORE'],
    [['--archive', 'redis://127.0.0.1:1', '--idle', '1d'], '--idle goes with --work'],
    [['--archive', 'redis://127.0.0.1:1', '--cold', 'cold'], 'the store is "cold"'],
    [['--archive', 'sessions'], 'no strata.config.ts that could name an archive'],
  ])('refuses %j', async (flags, message) => {
    const { code, out, stderr } = await runCli(['serve', 'memory:', ...flags]);
    expect([code, out, stderr]).toEqual([2, '', expect.stringContaining(message)]);
  });
});

const suite = () => {
  const console = new ServedConsole();
  let port: number;
  let server: RedisServer;
  let client: RedisClientType;
  /** Only marks: its cold store is never asked. */
  let marker: Archive;
  beforeAll(async () => {
    port = await freePort();
    server = await startRedis({ port });
    client = createClient({ url: server.url });
    client.on('error', () => undefined);
    await client.connect();
    marker = archive({ hot: redisKeys(client), cold: memory<Uint8Array>() });
  });
  afterEach(() => client.flushAll());
  afterAll(async () => {
    await marker.close();
    client.destroy();
    await server.stop();
  });

  const mark = async (count: number, prefix: string): Promise<void> => {
    const keys = Array.from({ length: count }, (_, n) => `${prefix}:${n}`);
    await client.mSet(Object.fromEntries(keys.map((key) => [key, `value of ${key}`])));
    await marker.dirty(...keys);
  };
  const openArchivePage = async (...flags: string[]): Promise<Page> => {
    const { url } = await console.serve('memory:', '--archive', server.url, ...flags);
    const { page } = await console.openTab(url);
    await page.getByRole('link', { name: 'Archive' }).waitFor();
    await page.keyboard.press('5');
    await page.getByRole('heading', { name: server.url }).waitFor();
    return page;
  };

  test('shows marks, their freezing, and a cold store that fails until it is back', async () => {
    const cold = join(console.dir, 'cold');
    const page = await openArchivePage('--cold', `file:${cold}`, '--work');
    await expect.poll(() => tile(page, 'Dirty'), patience).toBe('0');
    expect(await side(page, 'Hot side')).toBe('Hot side answers');
    expect(await side(page, 'Cold store')).toBe('Cold store answers');
    await mark(40, 'user');
    await expect.poll(() => tile(page, 'Frozen here'), patience).toBe('40');
    await expect.poll(() => plotted(page, 'Dirty'), patience).toEqual(['0']);
    expect(await page.locator('.archive canvas').count()).toBe(4);
    await page.getByText('None. A key that cannot be frozen').waitFor();
    expect(readdirSync(join(cold, 'data')).length).toBeGreaterThan(0);

    renameSync(cold, `${cold}.away`);
    writeFileSync(cold, 'in its place');
    await mark(30, 'late');
    await expect
      .poll(() => side(page, 'Cold store'), patience)
      .toMatch(/^Cold store away for \d+ s$/);
    await expect
      .poll(() => page.locator('.failures tbody tr').count(), patience)
      .toBeGreaterThan(7);
    const row = page.locator('.failures tbody tr').first();
    expect(await row.locator('.failed-key').textContent()).toMatch(/^late:\d+$/);
    expect(await row.locator('.failed-cause').textContent()).toMatch(/^unavailable .*file system/);
    expect(Number(await tile(page, 'Failing'))).toBeGreaterThan(0);
    expect(Number(await tile(page, 'Failed tries here'))).toBeGreaterThan(7);
    expect(await tile(page, 'Dirty')).toBe('30');

    rmSync(cold);
    renameSync(`${cold}.away`, cold);
    await expect.poll(() => tile(page, 'Frozen here'), patience).toBe('70');
    await expect.poll(() => side(page, 'Cold store'), patience).toBe('Cold store answers');
    await expect.poll(() => tile(page, 'Failing'), patience).toBe('0');
    await page.getByText('None. A key that cannot be frozen').waitFor();
  });

  test('only looks unless it is told to work, and outlives a Redis that is away', async () => {
    const cold = join(console.dir, 'of-another');
    const place = [server.url, '--cold', `file:${cold}`];
    await mark(5, 'k');
    await runCli(['archive', 'freeze', ...place, 'k:0', 'k:1']);
    await runCli(['archive', 'evict', ...place, 'k:0']);
    await mark(3, 'new');
    const page = await openArchivePage('--cold', `file:${cold}`);
    await expect.poll(() => tile(page, 'Dirty'), patience).toBe('3');
    expect(await tile(page, 'Evicted')).toBe('1');
    expect(await page.locator('.archive canvas').count()).toBe(3);
    await page.getByText('This server only looks.').waitFor();
    // A store of files has one writer at a time, and this server is none.
    expect(await runCli(['archive', 'freeze', ...place, 'k:1'])).toMatchObject({ code: 0 });
    await expect.poll(() => tile(page, 'Dirty'), patience).toBe('0');
    await server.kill();
    await page.getByRole('alert').waitFor();
    expect(await side(page, 'Hot side')).toMatch(/^Hot side away for \d+ s$/);
    expect(await tile(page, 'Dirty')).toBe('–');
    server = await startRedis({ port });
    await expect.poll(() => side(page, 'Hot side'), patience).toBe('Hot side answers');
    await expect.poll(() => tile(page, 'Dirty'), patience).toBe('0');
    expect(await page.locator('.connection.live').count()).toBe(1);
  });

  test('begins without its Redis, but not with one that could lose keys', async () => {
    const { url } = await console.serve('memory:', '--archive', 'redis://127.0.0.1:1');
    const { page } = await console.openTab(url);
    await page.getByRole('link', { name: 'Archive' }).click();
    await page.getByRole('alert').getByText('Redis cannot be reached').waitFor();
    await client.configSet({ maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' });
    const refused = await runCli(['serve', 'memory:', '--archive', server.url]);
    await client.configSet({ maxmemory: '0', 'maxmemory-policy': 'noeviction' });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('allkeys-lru') });
  });

  test('is not there without an archive', async () => {
    const { url } = await console.serve('memory:');
    const { page } = await console.openTab(url);
    await page.getByText('Server memory').waitFor();
    expect(await page.getByRole('link', { name: 'Archive' }).count()).toBe(0);
    await page.keyboard.press('5');
    await page.getByRole('heading', { name: 'Composition' }).waitFor();
    await page.goto(`${url.replace(/#.*/, '')}#/archive`);
    await page.getByText('This server was given no archive').waitFor();
  });
};

describeWithEngine('redis-server', 'over Redis', () => {
  describeWithEngine('chromium', 'the page of an archive', suite);
});
