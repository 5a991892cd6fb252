import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createClient, type RedisClientType } from 'redis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { flawsOf } from '../../../test/support/redis-integrity.ts';
import { Call } from '../../store/call.ts';
import { json } from '../../store/codec.ts';
import type { Commit } from '../../store/entry.ts';
import { describeStore, primitivesOf } from '../../store/internals.ts';
import type { Feed, Position } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { type RedisOptions, redis } from './index.ts';
import { layoutOf } from './layout.ts';

const LIBRARIES = ['ioredis', 'node-redis'] as const;
const counter = fileURLToPath(new URL('../../../test/support/redis-counter.ts', import.meta.url));

describeWithEngine('redis', 'a store in redis', () => {
  const admin: RedisClientType = createClient({ url: redisUrl() });
  const opened: Store<unknown>[] = [];
  beforeAll(async () => {
    await admin.connect();
  });
  afterEach(async () => {
    const prefixes = opened.map((store) => String(describeStore(store).details?.prefix));
    await Promise.all(opened.splice(0).map((store) => store.close()));
    for (const prefix of prefixes) await admin.unlink([...layoutOf(prefix).keys]);
  });
  afterAll(() => admin.destroy());

  const newPrefix = (): string => `redis-${crypto.randomUUID()}`;
  function open(
    prefix: string,
    options: RedisOptions & { library?: 'ioredis' } = {},
  ): Store<number> {
    const { library = 'node-redis', ...rest } = options;
    const { client } = redisClients[library](redisUrl());
    const store = redis({ client, prefix, codec: json<number>(), ...rest });
    opened.push(store as Store<unknown>);
    return store;
  }

  it('gives commits that travel together their own revisions and outcomes', async () => {
    const store = open(newPrefix());
    await store.set('taken', 0);
    const calls = Array.from({ length: 1_000 }, (_, i) =>
      i % 10 === 3
        ? store.set('taken', i, { if: 'absent' })
        : i % 10 === 7
          ? store.delete(`missing ${i}`)
          : store.set(`key ${i}`, i),
    );
    const results = await Promise.allSettled(calls);
    const revs: number[] = [];
    for (const [i, result] of results.entries()) {
      if (i % 10 === 3)
        expect(result).toMatchObject({ reason: { code: 'conflict', key: 'taken' } });
      else if (i % 10 === 7) expect(result).toMatchObject({ value: false });
      else revs.push((result as { value: { rev: number } }).value.rev);
    }
    // In the order of the calls, without a gap.
    expect(revs).toEqual(Array.from({ length: 800 }, (_, i) => i + 2));
    expect(await store.get('key 999')).toBe(999);
    expect(await store.get('taken')).toBe(0);
  });

  it('applies a batch larger than what a script can take at once', async () => {
    const prefix = newPrefix();
    // It takes seconds on a machine that is busy.
    const store = open(prefix, { timeoutMs: 60_000 });
    const count = 60_000;
    const pairs = Array.from({ length: count }, (_, i) => [`key ${i}`, i] as const);
    expect((await store.setMany(pairs)).rev).toBe(1);
    expect((await store.getMany(pairs.map(([key]) => key))).size).toBe(count);
    expect(await store.deleteMany(pairs.slice(1).map(([key]) => key))).toBe(count - 1);
    const keys: string[] = [];
    for await (const key of store.keys()) keys.push(key);
    expect(keys).toEqual(['key 0']);
    expect(await flawsOf(admin, prefix)).toEqual([]);
  }, 120_000);

  it('loses no update of several processes and libraries', async () => {
    const prefix = newPrefix();
    const store = open(prefix);
    const times = 100;
    const processes = LIBRARIES.map((library) =>
      spawn(process.execPath, [counter, redisUrl(), library, prefix, String(times)], {
        stdio: ['ignore', 'ignore', 'inherit'],
      }),
    );
    const ends = processes.map((child) => once(child, 'exit'));
    for (let i = 0; i < times; i++) await store.update('count', (n = 0) => n + 1);
    for (const end of ends) expect(await end).toEqual([0, null]);
    expect(await store.get('count')).toBe(3 * times);
  });

  it('rings the watchers of other clients at once', async () => {
    const prefix = newPrefix();
    const watching = open(prefix, { library: 'ioredis' });
    const writing = open(prefix);
    const watch = watching.watch({ after: 'start' })[Symbol.asyncIterator]();
    await writing.set('first', 0);
    const seen = new Map<string, number>();
    const collect = ({ writes }: Commit<number>): void => {
      for (const write of writes) if (write.type === 'set') seen.set(write.key, write.value);
    };
    while (!seen.has('first')) collect((await watch.next()).value);
    const began = performance.now();
    for (let i = 1; i <= 20; i++) {
      const next = watch.next();
      // Time to wait: the ring, not the question before it, must bring the commit.
      await new Promise((resolve) => setTimeout(resolve, 10));
      await writing.set('first', i);
      collect((await next).value);
      expect(seen.get('first')).toBe(i);
    }
    // Twenty looks of the safety net would take a minute.
    expect(performance.now() - began).toBeLessThan(2_500);
  });

  it('hears of commits after its subscription was cut', async () => {
    const prefix = newPrefix();
    const name = prefix.slice(0, 20);
    const watching = open(prefix, { client: createClient({ url: redisUrl(), name }) });
    const writing = open(prefix);
    const watch = watching.watch({ after: await watching.cursor() })[Symbol.asyncIterator]();
    const first = watch.next();
    await writing.set('a', 1);
    expect((await first).value.writes).toMatchObject([{ key: 'a' }]);
    const second = watch.next();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const channel = layoutOf(prefix).channel;
    const subscribers = async (): Promise<number> =>
      Number((await admin.pubSubNumSub(channel))[channel]);
    expect(await subscribers()).toBe(1);
    const list = await admin.sendCommand<string>(['CLIENT', 'LIST', 'TYPE', 'pubsub']);
    const line = list.split('\n').find((one) => one.includes(`name=${name} `)) ?? '';
    const id = /id=(\d+)/.exec(line)?.[1] as string;
    await admin.sendCommand(['CLIENT', 'KILL', 'ID', id]);
    await writing.set('b', 2);
    expect((await second).value.writes).toMatchObject([{ key: 'b' }]);
    const third = watch.next();
    for (let tries = 0; tries < 50 && (await subscribers()) === 0; tries++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await subscribers()).toBe(1);
    await writing.set('c', 3);
    expect((await third).value.writes).toMatchObject([{ key: 'c' }]);
  });

  it.each(LIBRARIES)(
    'leaves the client to its user, and no connection behind: %s',
    async (name) => {
      const { client, end } = redisClients[name](redisUrl());
      const tag = `tag${crypto.randomUUID().slice(0, 8)}`;
      const user = client as unknown as { connect(): Promise<unknown>; ping(): Promise<string> };
      await user.connect();
      const named = client.duplicate({
        name: tag,
        connectionName: tag,
        lazyConnect: true,
      }) as never;
      const connections = async (): Promise<number> =>
        (await admin.sendCommand<string>(['CLIENT', 'LIST'])).split(`name=${tag} `).length - 1;
      const store = redis({ client: named, prefix: newPrefix() });
      opened.push(store as Store<unknown>);
      await store.set('a', new Uint8Array(1));
      const watch = store.watch()[Symbol.asyncIterator]();
      const next = watch.next().catch((error: { code: string }) => error.code);
      for (let tries = 0; tries < 50 && (await connections()) < 2; tries++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await connections()).toBe(2);
      await store.close();
      expect(await next).toBe('closed');
      for (let tries = 0; tries < 50 && (await connections()) > 0; tries++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await connections()).toBe(0);
      expect(await user.ping()).toBe('PONG');
      end();
    },
  );

  it('opens an address by whichever library is there', async () => {
    const store = redis({ url: redisUrl(), prefix: newPrefix(), codec: json<number>() });
    opened.push(store as Store<unknown>);
    await store.set('a', 1);
    expect(await store.get('a')).toBe(1);
  });

  it('removes what has expired, in steps, and remembers it as deleted', async () => {
    const prefix = newPrefix();
    const env = simulatedEnv();
    const store = open(prefix, { env });
    await store.set('stays', 0);
    const cursor = await store.cursor();
    const pairs = Array.from({ length: 1_000 }, (_, i) => [`key ${i}`, i] as const);
    await store.setMany(pairs, { ttlMs: 1_000 });
    await env.advance(60_000);
    const left = async (): Promise<number> => admin.zCard(`{${prefix}}:order`);
    for (let tries = 0; tries < 100 && (await left()) > 1; tries++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await left()).toBe(1);
    expect(await admin.hLen(`{${prefix}}:data`)).toBe(2 + pairs.length);
    expect(await flawsOf(admin, prefix)).toEqual([]);
    const commits = store.watch({ after: cursor })[Symbol.asyncIterator]();
    expect((await commits.next()).value.writes).toHaveLength(pairs.length);
    // A week later the deletes are forgotten too, and a reader from before them must begin anew.
    await env.advance(8 * 86_400_000);
    for (let tries = 0; tries < 100 && (await admin.zCard(`{${prefix}}:index`)) > 1; tries++) {
      await env.advance(60_000);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(await admin.hLen(`{${prefix}}:data`)).toBe(2);
    const late = open(prefix, { env }).watch({ after: cursor })[Symbol.asyncIterator]();
    await expect(late.next()).rejects.toMatchObject({ code: 'cursor-expired' });
  });

  it('reads the whole state as it is at one moment, while it changes', async () => {
    const prefix = newPrefix();
    const store = open(prefix);
    const writing = open(prefix, { library: 'ioredis', logBytes: 0 });
    // Every batch moves one from a key to another: at any moment the sum is the same.
    const keys = Array.from({ length: 3_000 }, (_, i) => `key ${i}`);
    await store.setMany(keys.map((key) => [key, 1] as const));
    let stop = false;
    let moves = 0;
    const values = new Map(keys.map((key) => [key, 1]));
    const move = async (): Promise<void> => {
      const i = moves++;
      const [from, to] = [keys[(i * 7) % 3_000] as string, keys[(i * 11 + 1) % 3_000] as string];
      if (from === to) return;
      values.set(from, (values.get(from) ?? 0) - 1);
      values.set(to, (values.get(to) ?? 0) + 1);
      await writing.batch(
        [from, to].map((key) => {
          const value = values.get(key) as number;
          return value === 0 ? { type: 'delete', key } : { type: 'set', key, value };
        }),
      );
    };
    const writer = (async (): Promise<void> => {
      while (!stop) await Promise.all(Array.from({ length: 50 }, move));
    })();
    const feed = primitivesOf(store).feed as Feed<number>;
    const call = Call.background(systemEnv, 'test');
    const copy = new Map<string, number>();
    let position: Position | undefined;
    let pages = 0;
    for (let round = 0; round < 12; round++) {
      // So many that one page does not hold them.
      for (const seen = moves; moves < seen + 1_500; ) await new Promise((r) => setTimeout(r, 1));
      for await (const { changes, end } of feed.read(position, call)) {
        pages++;
        for (const change of changes)
          if (change.type === 'set') copy.set(change.key, change.value);
          else copy.delete(change.key);
        position = end ?? position;
      }
      expect([...copy.values()].reduce((sum, value) => sum + value, 0)).toBe(3_000);
    }
    stop = true;
    await writer;
    expect(pages).toBeGreaterThan(24);
    expect(await flawsOf(admin, prefix)).toEqual([]);
  });
});
