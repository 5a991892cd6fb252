import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, createCluster } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type CliResult, runCli, startCli } from '../../../test/support/cli-process.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { startRedisCluster } from '../../../test/support/redis-cluster.ts';
import { type RedisServer, startRedis } from '../../../test/support/redis-server.ts';

vi.setConfig({ testTimeout: 120_000 });

const folder = mkdtempSync(join(tmpdir(), 'stratakv-cli-archive-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('stratakv archive, before anything is opened', () => {
  test('tells what is wrong with the command', async () => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['melt', 'redis://127.0.0.1:1'], /"melt" is no action; expected one of status, freeze/],
      [['verify', 'redis://127.0.0.1:1'], /needs --cold STORE/],
      [['status', 'redis://127.0.0.1:1', 'key', '--cold', 'memory:'], /status takes no KEY/],
      [['status', 'sessions'], /no strata\.config\.ts that could name an archive/],
      [['verify', 'sessions', '--sample', '2'], /--sample is "2"; expected a number above 0/],
      [['verify', 'redis://127.0.0.1:1', '--cold', 'cold'], /cold: is "cold"; expected an address/],
      [['evict', 'redis://127.0.0.1:1', '--cold', 'memory:'], /evict needs a KEY, or --idle TIME/],
    ];
    const results = await Promise.all(
      cases.map(([args]) => runCli(['archive', ...args], { cwd: folder })),
    );
    for (const [at, [args, message]] of cases.entries()) {
      const { code, stderr } = results[at] as CliResult;
      expect([args, code, stderr]).toEqual([args, 2, expect.stringMatching(message)]);
    }
  });

  test('checks the archives of a configuration, each fault with its place', async () => {
    const file = join(folder, 'faulty.json');
    writeFileSync(
      file,
      JSON.stringify({
        archives: {
          both: { redis: 'redis://127.0.0.1', hot: 'memory:', cold: 'memory:' },
          neither: { cold: 'memory:' },
          mistyped: { redis: 'redis://127.0.0.1', cold: 'memory:', evictAfter: 1 },
          secret: { redis: 'redis://127.0.0.1', cold: 'memory:', seal: { keys: { a: 'here' } } },
          nowhere: { redis: 'redis+cluster://127.0.0.1:7000,', cold: 'memory:' },
          cluster: { redis: 'redis+cluster://127.0.0.1:7000,127.0.0.1:7001', cold: 'memory:' },
          right: { redis: { env: 'HOT' }, cold: 'file:./cold', seal: { compress: 'gzip' } },
        },
      }),
    );
    const { code, stderr, out } = await runCli(['config', 'check', file], {
      env: { HOT: 'redis://127.0.0.1:1' },
    });
    expect(code).toBe(2);
    expect(out).toMatch(/^right {2}archive$/m);
    expect(stderr).toMatch(/archives\.both\.hot: is "given beside redis"/);
    expect(stderr).toMatch(/archives\.neither\.redis: is undefined; expected either redis/);
    expect(stderr).toMatch(/archives\.mistyped\.evictAfter: .*did you mean evictAfterMs\?/);
    expect(stderr).toMatch(/archives\.secret\.seal\.keys\.a: stands here itself/);
    expect(stderr).toMatch(/archives\.nowhere\.redis: .*expected .* redis\+cluster:\/\/host/);
    expect(stderr).not.toMatch(/archives\.(right|cluster)/);
  });
});

describeWithEngine('redis-server', 'stratakv archive', () => {
  let server: RedisServer;
  let client: ReturnType<typeof createClient>;
  let place: string[];
  beforeAll(async () => {
    server = await startRedis();
    client = createClient({ url: server.url });
    await client.connect();
  });
  let at = 0;
  beforeEach(() => {
    place = [server.url, '--cold', `file:${join(folder, `cold-${at++}`)}`];
  });
  afterEach(() => client.flushAll());
  afterAll(async () => {
    client.destroy();
    await server.stop();
  });

  const archive = (action: string, ...args: readonly string[]): Promise<CliResult> =>
    runCli(['archive', action, ...place, ...args]);
  const told = async (action: string, ...args: readonly string[]): Promise<unknown> =>
    JSON.parse((await archive(action, ...args, '--json')).out);

  test('freezes, evicts, brings back, and tells how it stands', async () => {
    await client.mSet({ a: 'one', b: 'two' });
    await client.hSet('h', { field: 'value' });
    const frozen = await archive('freeze', 'a', 'b', 'h');
    expect(frozen).toMatchObject({ code: 0, stderr: expect.stringMatching(/froze 3 keys/) });
    expect(await archive('evict', 'a', 'h')).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/evicted 2, kept 0/),
    });
    expect(await client.exists(['a', 'b', 'h'])).toBe(1);
    expect(await told('status')).toMatchObject({ dirty: 0, failing: 0, evicted: 2, failed: [] });
    expect((await archive('status')).out).toMatch(/^dirty {4}0\nfailing {2}0\nevicted {2}2\n$/);
    expect(await archive('ensure', 'a', 'h', 'unknown')).toMatchObject({ code: 0 });
    expect([await client.get('a'), await client.hGetAll('h')]).toEqual(['one', { field: 'value' }]);
    // What has changed without a mark is not evicted.
    await client.set('b', 'three');
    const kept = await archive('evict', 'b');
    expect(kept).toMatchObject({ code: 3, out: 'dirty  b\n' });
    const missing = await archive('freeze', 'absent');
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringMatching(/not in Redis/) });
  });

  test('does the same for a cluster by the addresses of some of its nodes', async () => {
    const cluster = await startRedisCluster();
    const hosts = cluster.nodes.slice(1).map(({ port }) => `127.0.0.1:${port}`);
    place[0] = `redis+cluster://${hosts.join(',')}`;
    const keys = Array.from({ length: 12 }, (_, n) => `k${n}`);
    const app = createCluster({ rootNodes: cluster.urls.map((url) => ({ url })) });
    try {
      await app.connect();
      for (const key of keys) await app.set(key, `value of ${key}`);
      expect((await archive('freeze', ...keys)).stderr).toMatch(/froze 12 keys/);
      expect((await archive('evict', ...keys)).stderr).toMatch(/evicted 12, kept 0/);
      expect(await told('status')).toMatchObject({ dirty: 0, failing: 0, evicted: 12 });
      expect(await archive('verify')).toMatchObject({ code: 0 });
      expect(await archive('ensure', ...keys)).toMatchObject({ code: 0 });
      for (const key of keys) expect(await app.get(key)).toBe(`value of ${key}`);
    } finally {
      app.destroy();
      await cluster.stop();
    }
  });

  test('verifies both sides, and makes the records anew after Redis lost all', async () => {
    const keys = Array.from({ length: 30 }, (_, n) => `k${n}`);
    await client.mSet(Object.fromEntries(keys.map((key) => [key, `value of ${key}`])));
    await archive('freeze', ...keys);
    await archive('evict', ...keys.slice(0, 10));
    const well = await archive('verify');
    expect(well).toMatchObject({ code: 0, out: '' });
    expect(well.stderr).toMatch(/20 equal, 10 evicted, 0 dirty/);
    await client.set('k20', 'changed without a mark');
    expect(await archive('verify')).toMatchObject({ code: 6, out: 'stale  k20\n' });
    await client.flushAll();
    await client.set('other', 'written since');
    expect(await archive('verify')).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/denied: .*before it was emptied.*rebuildIndex/),
    });
    expect(await archive('freeze', 'other')).toMatchObject({ code: 5 });
    expect(await told('rebuild')).toMatchObject({ recorded: 30, restored: 0, failures: 0 });
    expect(await client.get('k5')).toBeNull();
    const restored = await archive('rebuild', '--restore');
    expect(restored).toMatchObject({ code: 0, stderr: expect.stringMatching(/30 restored/) });
    expect(await client.mGet(keys)).toEqual(keys.map((key) => `value of ${key}`));
  });

  test('works in the background until it is interrupted', async () => {
    const keys = Array.from({ length: 50 }, (_, n) => `w${n}`);
    await client.mSet(Object.fromEntries(keys.map((key) => [key, key])));
    const file = join(folder, 'watched.json');
    const cold = { type: 'file', path: './watched' };
    writeFileSync(
      file,
      JSON.stringify({ archives: { keys: { redis: { env: 'HOT' }, cold, prefix: 'w' } } }),
    );
    const named = ['keys', '--config', file];
    const env = { HOT: server.url };
    const worker = startCli(['archive', 'watch', ...named, '--idle', '1s', '--json'], { env });
    const samples = (out: string): { evicted: number; at: number }[] =>
      out
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    // Nothing was marked: idle keys are found by themselves, frozen, and evicted later.
    await worker.until((out) => samples(out).some(({ evicted }) => evicted === 50));
    expect(await client.exists(keys)).toBe(0);
    // The folder is the worker's; who only looks leaves it alone.
    const looked = await runCli(['archive', 'status', ...named, '--json'], { env });
    expect(JSON.parse(looked.out)).toMatchObject({ dirty: 0, evicted: 50 });
    const beside = (...args: readonly string[]): Promise<CliResult> =>
      runCli(['archive', args[0] as string, ...named, ...args.slice(1)], { env });
    expect(await beside('ensure', 'w0')).toMatchObject({ code: 0 });
    expect(await beside('verify')).toMatchObject({ code: 0, out: '' });
    expect(await beside('evict', 'w0')).toMatchObject({ code: 0, out: '' });
    for (const found of await Promise.all([beside('freeze'), beside('rebuild')]))
      expect(found).toMatchObject({
        code: 3,
        stderr: expect.stringMatching(/conflict.* the process \d+ writes to the store/),
      });
    worker.child.kill('SIGINT');
    expect(await worker.ended).toMatchObject({ code: 0 });
    expect(readdirSync(join(folder, 'watched')).length).toBeGreaterThan(0);
    const ended = await runCli(['archive', 'ensure', ...named, ...keys], { env });
    expect(ended).toMatchObject({ code: 0 });
    expect(await client.mGet(keys)).toEqual(keys);
  });

  test('names what it cannot bring back, and what does not answer', async () => {
    const cold = join(folder, 'lost');
    const lost = ['archive', 'evict', server.url, '--cold', `file:${cold}`];
    await client.set('gone', 'value');
    await runCli(['archive', 'freeze', server.url, '--cold', `file:${cold}`, 'gone']);
    await runCli([...lost, 'gone']);
    const ensure = ['archive', 'ensure', server.url, '--cold', `file:${cold}`, 'gone'];
    await runCli(['delete', `file:${cold}`, 'strata-archive/k/gone']);
    expect(await runCli(ensure)).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/^stratakv: data-missing: .*"gone"/),
    });
    rmSync(cold, { recursive: true });
    expect(await runCli(ensure)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/cold: .*there is no store at .*lost/),
    });
    expect(existsSync(cold)).toBe(false);
    const away = ['archive', 'status', 'redis://127.0.0.1:1', '--cold', 'memory:'];
    expect(await runCli([...away, '--timeout', '300ms'])).toMatchObject({ code: 4 });
  });
});
