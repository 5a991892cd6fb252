import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine, startRedis } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { seal } from '../../layers/sealed/index.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { type ArchiveEvent, type ArchiveWorker, redisKeys } from './index.ts';

/** Machines may be busy. */
const until = <T>(read: () => T) => expect.poll(read, { timeout: 15_000, interval: 10 });
const fast = { idleMs: 5, evictEveryMs: 5 } as const;

describeWithEngine('redis-server', 'a worker of an archive', () => {
  const on = new ArchiveServer();
  const fill = async (count: number, prefix = 'k'): Promise<string[]> => {
    const keys = Array.from({ length: count }, (_, n) => `${prefix}${n}`);
    await on.client.mSet(Object.fromEntries(keys.map((key) => [key, `value of ${key}`])));
    return keys;
  };

  it('freezes what is marked, evicts what is idle, and says so', async () => {
    const { one } = on.world({ evictAfterMs: 1_000 });
    const keys = await fill(100);
    await one.dirty(...keys);
    const events: ArchiveEvent[] = [];
    const monitor = (event: ArchiveEvent): void => {
      events.push(event);
      throw new Error('of no concern to the worker');
    };
    const worker = one.worker({ ...fast, monitor });
    await until(() => worker.stats().frozen).toBe(100);
    expect(worker.stats()).toMatchObject({ state: 'running', evicted: 0, failures: 0 });
    await until(() => worker.stats().evicted).toBe(100);
    await worker.stop();
    expect(worker.stats()).toMatchObject({ state: 'stopped', underWay: 0 });
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 100, frozen: 100 });
    expect(await one.stats()).toMatchObject({ bytes: worker.stats().bytes });
    const types = new Set(events.map(({ type }) => type));
    expect([...types].sort()).toEqual(['evicted', 'frozen', 'started', 'stopped']);
    expect(events.at(0)).toEqual({ type: 'started' });
    expect(events.at(-1)).toEqual({ type: 'stopped' });
    const told = events.flatMap((event) => (event.type === 'frozen' ? [event.bytes] : []));
    expect(Math.min(...told)).toBeGreaterThanOrEqual('value of '.length);
    expect(told.reduce((all, bytes) => all + bytes, 0)).toBe(worker.stats().bytes);
    await one.ensure(...keys);
    expect(await on.client.mGet(keys)).toEqual(keys.map((key) => `value of ${key}`));
  });

  it('begins when it is told to, stops when what is under way is done, and begins again', async () => {
    const { one, plan } = on.world();
    await one.dirty(...(await fill(3)));
    const worker = one.worker({ ...fast, autoStart: false });
    expect(worker.stats().state).toBe('stopped');
    plan.hangNext('commit', { times: 3 });
    worker.start();
    worker.start();
    await until(() => plan.hanging).toBe(3);
    let stopped = false;
    const stopping = worker.stop().then(() => {
      stopped = true;
    });
    await on.client.ping();
    expect(stopped).toBe(false);
    expect(worker.stats().state).toBe('stopping');
    await one.dirty(...(await fill(3, 'later')));
    worker.start();
    plan.release();
    await stopping;
    await until(() => worker.stats().frozen).toBe(6);
    await one.close();
    expect(worker.stats()).toMatchObject({ state: 'stopped', underWay: 0 });
  });

  it('takes nothing more when it is told to stop, neither to freeze nor to evict', async () => {
    const { one, plan } = on.world({ evictAfterMs: 1_000, concurrency: 2 });
    const keys = await fill(60);
    await one.dirty(...keys);
    await one.drain();
    await expect
      .poll(() => on.client.objectIdleTime('k59'), { timeout: 10_000 })
      .toBeGreaterThan(0);
    plan.hangNext('read', { times: 2 });
    const evicting = one.worker(fast);
    await until(() => plan.hanging).toBe(2);
    const evictingStops = evicting.stop();
    plan.release();
    await evictingStops;
    expect(evicting.stats()).toMatchObject({ state: 'stopped', evicted: 2 });
    await one.ensure(...keys);
    await one.dirty(...keys);
    plan.hangNext('commit', { times: 2 });
    const freezing = one.worker({ ...fast, evictEveryMs: 3_600_000 });
    await until(() => [plan.hanging, freezing.stats().underWay]).toEqual([2, 6]);
    const freezingStops = freezing.stop();
    plan.release();
    await freezingStops;
    expect(freezing.stats()).toMatchObject({ state: 'stopped', frozen: 6 });
  });

  it('can stop after every step of a pass, also where a step finds nothing', async () => {
    await fill(5_000);
    const { client } = redisClients['node-redis'](on.url);
    const { side } = redisKeys(client, { prefix: 'none:' });
    await on.client.configResetStat();
    for await (const keys of side.idleKeys('evictIdle', 1)) {
      expect(keys).toEqual([]);
      break;
    }
    expect(await on.client.info('commandstats')).toMatch(/cmdstat_scan:calls=1,/);
    await side.close();
  });

  it('drains also when it does not run', async () => {
    const { one } = on.world();
    await one.dirty(...(await fill(50)));
    const worker = one.worker({ autoStart: false, concurrency: 1 });
    await worker.drain();
    expect(worker.stats()).toMatchObject({ state: 'stopped', frozen: 50 });
    expect((await one.stats()).dirty).toBe(0);
  });

  it('shares the work with workers of other processes', async () => {
    const { one, another } = on.world();
    await one.dirty(...(await fill(1_000)));
    const workers = [one, another(), another()].map((each) =>
      each.worker({ ...fast, concurrency: 4 }),
    );
    await until(async () => (await one.stats()).dirty).toBe(0);
    await Promise.all(workers.map((worker) => worker.stop()));
    const shares = workers.map((worker) => worker.stats().frozen);
    // A lease keeps others from a mark: none was frozen twice.
    expect(shares.reduce((a, b) => a + b)).toBe(1_000);
    expect(Math.min(...shares)).toBeGreaterThan(0);
  });

  it('freezes many keys in the time that the cold store takes for one (A27)', async () => {
    const { one, plan } = on.world();
    await one.dirty(...(await fill(200)));
    plan.delay('commit', 100);
    const startMs = performance.now();
    const worker = one.worker({ ...fast, concurrency: 64 });
    await until(() => worker.stats().frozen).toBe(200);
    // One after another they took 20 s; a worker that does 20 a second, 10 s.
    expect(performance.now() - startMs).toBeLessThan(5_000);
    await worker.stop();
  });

  it('seals the next while the cold store is at work, and puts none whose sealing fails', async () => {
    const plain = seal();
    const sealed: string[] = [];
    const { one, plan, cold } = on.world({
      concurrency: 1,
      seal: {
        thaw: (bytes, place) => plain.thaw(bytes, place),
        freeze: async (bytes, place) => {
          sealed.push(place.key);
          if (place.key.endsWith('k1')) throw new Error('no key to seal with');
          return plain.freeze(bytes, place);
        },
      },
    });
    await one.dirty(...(await fill(3)));
    plan.hangNext('commit');
    const draining = one.drain();
    await until(() => plan.hanging).toBe(1);
    expect(sealed.map((name) => name.slice(-2)).sort()).toEqual(['k0', 'k1', 'k2']);
    plan.release();
    expect(await draining).toMatchObject({ frozen: 2, failed: [{ key: 'k1' }] });
    expect(await one.failed()).toMatchObject([{ key: 'k1', tries: 1 }]);
    expect(await cold.has('strata-archive/k/k1')).toBe(false);
  });

  it('tries again what failed beside a steady stream of new keys, and lists it (A25)', async () => {
    const { one, plan } = on.world({ concurrency: 1 });
    await one.dirty(...(await fill(1, 'failed')));
    plan.failNext('commit', 'no-space');
    const worker = one.worker({ ...fast, retry: { firstMs: 200 }, concurrency: 1 });
    await until(() => worker.stats().failures).toBe(1);
    await until(async () => (await one.failed()).length).toBe(1);
    const [failed] = await one.failed();
    expect(failed).toMatchObject({ key: 'failed0', tries: 1, cause: { code: 'no-space' } });
    expect(failed?.cause.message).toMatch(/planned fault/);
    expect((failed?.nextTryAt ?? 0) - (failed?.markedAt ?? 0)).toBeGreaterThan(50);
    expect(await one.stats()).toMatchObject({ failing: 1, failures: 1 });
    // More is new at every moment than one worker can freeze in the whole.
    let round = 0;
    await until(async () => {
      await one.dirty(...(await fill(200, `new${round++}-`)));
      return (await one.failed()).length;
    }).toBe(0);
    expect((await one.stats()).dirty).toBeGreaterThan(0);
  });

  it('freezes what is new beside any number of keys that fail and take long', async () => {
    const { one } = on.world();
    const bad = await fill(300, 'bad');
    await one.dirty(...bad);
    await on.client.zUnionStore('strata-archive:retry', ['strata-archive:due']);
    await on.client.del('strata-archive:due');
    for (const key of bad) {
      const mark = String(await on.client.hGet('strata-archive:marks', key));
      await on.client.hSet('strata-archive:marks', key, mark.replace(/:0:$/, ':1:unavailable'));
    }
    await one.dirty(...(await fill(1, 'good')));
    const frozen: string[] = [];
    const worker = one.worker({
      ...fast,
      concurrency: 4,
      monitor: (event) => event.type === 'frozen' && frozen.push(event.key),
    });
    await until(() => worker.stats().frozen).toBe(301);
    expect(frozen.indexOf('good0')).toBeLessThan(8);
    expect(await one.failed()).toEqual([]);
  });

  it('leaves alone a cold store that is away for ten minutes, evicts nothing, and catches up (A20)', async () => {
    const env = simulatedEnv();
    const { client } = redisClients['node-redis'](on.url);
    const { one, plan } = on.world({
      hot: redisKeys(client, { env }),
      ...{ leaseMs: 3_600_000, evictAfterMs: 3_600_000 },
    });
    const old = await fill(20, 'old');
    await one.dirty(...old);
    const events: ArchiveEvent[] = [];
    const worker = one.worker({ idleMs: 1_000, monitor: (event) => events.push(event) });
    const passing = new Passing(on, env, worker);
    await passing.of(5_000);
    expect((await one.stats()).dirty).toBe(0);
    plan.failNext('read', 'unavailable', { times: Number.POSITIVE_INFINITY });
    plan.failNext('commit', 'timeout', { times: Number.POSITIVE_INFINITY });
    const keys = await fill(200, 'new');
    await one.dirty(...keys);
    await passing.of(10 * 60_000);
    expect(worker.stats().coldAwayMs).toBeGreaterThan(590_000);
    expect(await one.stats()).toMatchObject({ dirty: 200, evicted: 0, frozen: 20 });
    // Some two tries a pause of ten seconds, where 200 keys would have made thousands.
    expect(worker.stats().failures).toBeLessThan(200);
    for (const key of keys) await on.client.append(key, '!');
    await one.dirty(...keys);
    plan.heal();
    await passing.of(70_000);
    expect(await one.stats()).toMatchObject({ dirty: 0, failing: 0, frozen: 220 });
    expect(worker.stats().coldAwayMs).toBeUndefined();
    const told = events.filter(({ type }) => type.startsWith('cold-')).map(({ type }) => type);
    expect(told).toEqual(['cold-away', 'cold-returned']);
    await Promise.all([worker.stop(), passing.of(1_000)]);
    await one.evict(...keys);
    await one.ensure(...keys);
    expect(await on.client.mGet(keys)).toEqual(keys.map((key) => `value of ${key}!`));
  });

  it('waits for a Redis that is away', { timeout: 60_000 }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'stratakv-archive-worker-'));
    const keeping = ['--appendonly', 'yes', '--appendfsync', 'always'];
    let server = await startRedis({ args: keeping, dir });
    try {
      const { one } = on.world({
        hot: redisKeys(redisClients['node-redis'](server.url).client),
      });
      const own = redisClients.ioredis(server.url);
      const client = own.client as Redis;
      const types: string[] = [];
      const worker = one.worker({
        idleMs: 20,
        monitor: ({ type }) => type.startsWith('hot-') && types.push(type),
      });
      await client.set('k', 'v');
      await one.dirty('k');
      await until(() => worker.stats().frozen).toBe(1);
      await client.set('k', 'new');
      await server.kill('SIGKILL');
      await until(() => types).toEqual(['hot-away']);
      server = await startRedis({ args: keeping, dir, port: server.port });
      await until(() => types).toEqual(['hot-away', 'hot-returned']);
      await one.dirty('k');
      await until(() => worker.stats().frozen).toBe(2);
      await one.close();
      own.end();
    } finally {
      await server.stop();
      rmSync(dir, { recursive: true });
    }
  });

  it('refuses options that make no sense', async () => {
    const { one } = on.world();
    for (const options of [
      { concurrency: 0 },
      { retry: { firstMs: -1 } },
      { retry: { first: 1 } },
      { monitor: 'console' },
      { idleMs: 0 },
      { unknown: 1 },
    ])
      expect(() => one.worker(options as never)).toThrow(/^worker: /);
    await expect(one.failed(0)).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

/** Lets simulated time pass for a worker and, in what they wait for, for the marks in Redis. */
class Passing {
  readonly #on: ArchiveServer;
  readonly #env: ReturnType<typeof simulatedEnv>;
  readonly #worker: ArchiveWorker;

  constructor(on: ArchiveServer, env: ReturnType<typeof simulatedEnv>, worker: ArchiveWorker) {
    this.#on = on;
    this.#env = env;
    this.#worker = worker;
  }

  async of(ms: number): Promise<void> {
    const stepMs = Math.min(5_000, ms);
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
      await this.#rest();
      await this.#on.client.eval(
        `for _, lane in ipairs(KEYS) do
           for _, key in ipairs(redis.call('ZRANGE', lane, 0, -1)) do
             redis.call('ZINCRBY', lane, -ARGV[1], key)
           end
         end
         redis.call('DEL', 'strata-archive:turn:evict')`,
        { keys: ['strata-archive:due', 'strata-archive:retry'], arguments: [String(stepMs)] },
      );
      await this.#env.advance(stepMs);
    }
    await this.#rest();
  }

  /** Nothing is under way but the worker's own waiting. */
  async #rest(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      const { pendingTimers } = this.#env;
      await this.#on.client.ping();
      await new Promise((resolve) => setTimeout(resolve, 1));
      const isQuiet = this.#worker.stats().underWay === 0;
      quiet = isQuiet && pendingTimers === this.#env.pendingTimers ? quiet + 1 : 0;
    }
  }
}
