/** A real Redis beneath a tiered store that stops, is killed and comes back while the store is used. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import {
  describeWithEngine,
  type RedisServer,
  type StartRedisOptions,
  startRedis,
} from '../../../test/support/engines.ts';
import { type LoadPhase, StoreLoad, showPhase } from '../../../test/support/store-load.ts';
import { memory } from '../../drivers/memory/index.ts';
import { redis } from '../../drivers/redis/index.ts';
import { json, type Store, type StoreWithBlocking } from '../../store/index.ts';
import { type TieredEvent, type TieredStore, tiered } from './index.ts';

const BACK_TIMEOUT_MS = 500;
/** What a machine with other work adds to a bound, beyond what its timers showed. */
const NOISE_MS = 250;
const HIT_NOISE_MS = 50;
const HOT_KEYS = Array.from({ length: 50 }, (_, n) => `hot/${n}`);

const folder = mkdtempSync(join(tmpdir(), 'stratakv-outage-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface World {
  readonly front: StoreWithBlocking<unknown>;
  readonly back: Store<unknown>;
  readonly store: TieredStore<unknown>;
  readonly events: TieredEvent[];
}

async function open(url: string, durability: 'memory' | 'disk', follow: boolean): Promise<World> {
  const front = memory();
  const back = redis({ url, codec: json(), durability });
  const events: TieredEvent[] = [];
  const store = tiered<unknown>({
    front,
    back,
    follow,
    backTimeoutMs: BACK_TIMEOUT_MS,
    breaker: { pauseMs: 100, maxPauseMs: 500 },
    onEvent: (event) => events.push(event),
  });
  await back.setMany(HOT_KEYS.map((key) => [key, key] as const));
  if (follow) await expect.poll(() => store.status().follow?.state).toBe('following');
  // A machine that is slow for a moment is not what is tested here.
  const warmed = (): Promise<number> =>
    store.getMany(HOT_KEYS).then(
      ({ size }) => size,
      () => 0,
    );
  await expect.poll(warmed, { timeout: 10_000 }).toBe(HOT_KEYS.length);
  return { front, back, store, events };
}

/** Hits, while the back is away: not one fails, and none waits for anything but this machine. */
function expectHits({ hits, idle, outcomes }: LoadPhase): void {
  expect(outcomes['hit ok']).toBe(hits.count);
  expect(hits.p99Ms).toBeLessThan(5);
  expect(hits.maxMs).toBeLessThan(5 + idle.maxMs + HIT_NOISE_MS);
}

/** No operation waits longer than the back is waited for. */
function expectBounded({ misses, writes, idle }: LoadPhase): void {
  for (const { maxMs } of [misses, writes])
    expect(maxMs).toBeLessThan(BACK_TIMEOUT_MS + idle.maxMs + NOISE_MS);
}

async function recovered({ store }: World): Promise<void> {
  await expect
    .poll(() => store.set('recovered', 1).then(() => store.status().back.state), {
      timeout: 15_000,
    })
    .toBe('up');
}

/** Every copy of the front is the entry of the back. */
async function expectSame({ front, back, store }: World): Promise<void> {
  for (const { key, origin } of front.blocking.list()) {
    if (store.status().fenced > 0) break;
    expect([key, origin?.version]).toEqual([key, (await back.getEntry(key))?.version]);
  }
  for await (const { key, version } of back.list({ limit: 200 }))
    expect((await store.getEntry(key))?.version).toBe(version);
}

/** Which of the acknowledged writes the back has not. */
async function lostOf({ back }: World, load: StoreLoad): Promise<string[]> {
  const lost: string[] = [];
  const { acknowledged } = load;
  for (let at = 0; at < acknowledged.length; at += 500) {
    const some = acknowledged.slice(at, at + 500);
    const found = await back.getMany(some.map(({ key }) => key));
    lost.push(...some.filter(({ key }) => !found.has(key)).map(({ key }) => key));
  }
  for (const { last, number } of acknowledged)
    if (((await back.get(last)) as number) < number) lost.push(last);
  return lost;
}

/** A server that is killed, and one that takes its place: same port, same files. */
async function killAndRestart(
  server: RedisServer,
  options: StartRedisOptions,
  whileAway: () => Promise<unknown>,
): Promise<RedisServer> {
  await server.kill('SIGKILL');
  await whileAway();
  return startRedis({ ...options, port: server.port });
}

describeWithEngine('redis-server', 'a Redis that keeps what it acknowledges', () => {
  const args = ['--appendonly', 'yes', '--appendfsync', 'always'];

  for (const follow of [true, false])
    it(`stops, is killed and comes back under load; the front ${follow ? 'follows' : 'does not follow'}`, async () => {
      const options = { args, dir: join(folder, `kept-${follow}`) };
      mkdirSync(options.dir);
      let server = await startRedis(options);
      const world = await open(server.url, 'disk', follow);
      expect(world.store.capabilities.durability).toBe('disk');
      const load = new StoreLoad({ store: world.store, hotKeys: HOT_KEYS }, 'warming up');
      await load.phase('up', 1_000);
      process.kill(server.pid, 'SIGSTOP');
      await load.phase('stopped', 2_500);
      process.kill(server.pid, 'SIGCONT');
      await recovered(world);
      await load.phase('continued', 1_000);
      server = await killAndRestart(server, options, async () => {
        await load.phase('killed', 2_000);
        await load.phase('returning', 0);
      });
      await recovered(world);
      await load.phase('restarted', 1_000);
      const phases = await load.stop();
      for (const one of phases) console.info(showPhase(one));
      for (const one of phases.slice(1)) {
        expectBounded(one);
        // Another server is another history: a front that follows lets go of its copies then.
        if (!follow || !['returning', 'restarted'].includes(one.name)) expectHits(one);
        if (!['stopped', 'killed'].includes(one.name)) continue;
        expect(one.outcomes['miss unavailable']).toBeGreaterThan(0);
        expect(one.outcomes['write unavailable']).toBeGreaterThan(0);
      }
      expect(world.events.map(({ type }) => type)).toContain('back-returned');
      expect(load.acknowledged.length).toBeGreaterThan(100);
      expect(await lostOf(world, load)).toEqual([]);
      // Copies of keys whose write is in doubt are made when it no longer can land.
      await new Promise((resolve) => setTimeout(resolve, BACK_TIMEOUT_MS));
      await expectSame(world);
      console.info(
        `${load.acknowledged.length} writes acknowledged, none lost; ${load.inDoubt.length} in doubt`,
      );
      await world.store.close();
      await server.stop();
    }, 60_000);
});

describeWithEngine('redis-server', 'a Redis that keeps nothing', () => {
  it('says so, and its loss is told', async () => {
    let server = await startRedis();
    const world = await open(server.url, 'memory', true);
    const { store, front, events } = world;
    expect(store.capabilities.durability).toBe('memory');
    const cursor = await store.cursor();
    const load = new StoreLoad({ store, hotKeys: HOT_KEYS }, 'up');
    await load.phase('up', 500);
    server = await killAndRestart(server, {}, async () => {
      await load.phase('killed', 1_000);
    });
    await load.stop();
    await recovered(world);
    await expect
      .poll(() => events.map(({ type }) => type), { timeout: 10_000 })
      .toEqual(expect.arrayContaining(['feed-lost']));
    await expect
      .poll(() => store.status().follow, { timeout: 10_000 })
      .toEqual({ state: 'following', lagMs: 0 });
    // Commits of the old history that were in hand may come first; then it ends with an error.
    const watching = (async () => {
      for await (const _ of store.watch({ after: cursor }));
    })();
    await expect(watching).rejects.toMatchObject({ code: 'cursor-expired' });
    // Nothing is served that the back no longer has.
    expect(await store.getMany(HOT_KEYS)).toEqual(new Map());
    for (const { key } of front.blocking.list()) expect(key).not.toMatch(/^hot\//);
    expect((await lostOf(world, load)).length).toBeGreaterThan(0);
    await store.close();
    await server.stop();
  }, 60_000);
});
