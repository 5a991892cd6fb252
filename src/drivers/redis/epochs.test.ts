import { createClient, type RedisClientType } from 'redis';
import { expect, it } from 'vitest';
import {
  describeWithEngine,
  freePort,
  type RedisServer,
  startRedis,
} from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { Call } from '../../store/call.ts';
import { json } from '../../store/codec.ts';
import type { Cursor } from '../../store/entry.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Feed, FeedState } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { redis } from './index.ts';

const LIBRARIES = ['ioredis', 'node-redis'] as const;

function storeOn(url: string, library: (typeof LIBRARIES)[number] = 'ioredis'): Store<number> {
  return redis({ client: redisClients[library](url).client, codec: json<number>() });
}

function feedOf(store: Store<number>): Feed<number> {
  return primitivesOf(store).feed as Feed<number>;
}

async function stateOf(store: Store<number>): Promise<FeedState> {
  return feedOf(store).state(Call.background(systemEnv, 'test'));
}

async function resume(store: Store<number>, after: Cursor): Promise<unknown> {
  const commits = store.watch({ after, timeoutMs: 1_000 })[Symbol.asyncIterator]();
  return commits.next().then(
    ({ value }) => value,
    (error: { code: string }) => error.code,
  );
}

async function adminOf(server: RedisServer): Promise<RedisClientType> {
  const admin: RedisClientType = createClient({ url: server.url });
  admin.on('error', () => undefined);
  await admin.connect();
  return admin;
}

async function until(what: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('not within 4 s');
}

describeWithEngine('redis-server', 'the epoch', () => {
  it.each(LIBRARIES)('is renewed when the server restarted, with its data: %s', async (library) => {
    const args = ['--appendonly', 'yes', '--appendfsync', 'always'];
    const first = await startRedis({ args });
    const admin = await adminOf(first);
    const dir = (await admin.configGet('dir')).dir as string;
    admin.destroy();
    const store = storeOn(first.url, library);
    const { rev } = await store.set('a', 1);
    const cursor = await store.cursor();
    const before = await stateOf(store);
    await first.kill();
    await using _second = await startRedis({ args, port: first.port, dir });
    expect(await store.get('a')).toBe(1);
    const after = await stateOf(store);
    expect(after.storeId).toBe(before.storeId);
    expect(after.head.epoch).not.toBe(before.head.epoch);
    expect(after.head.rev).toBe(rev);
    expect(await resume(store, cursor)).toBe('cursor-expired');
    const next = await store.set('b', 2);
    expect(next.rev).toBe((rev as number) + 1);
    expect(feedOf(store).epochOf(rev as number)).toBe(before.head.epoch);
    expect(feedOf(store).epochOf(next.rev as number)).toBe(after.head.epoch);
    // What another client knows of it comes from the store itself.
    const other = storeOn(first.url, library);
    await other.get('a');
    expect(feedOf(other).epochOf(rev as number)).toBe(before.head.epoch);
    await other.close();
    await store.close();
    await first.stop();
  });

  it('is renewed when the server came back empty, under the same id', async () => {
    const first = await startRedis();
    const store = storeOn(first.url);
    await store.set('a', 1);
    const cursor = await store.cursor();
    const before = await stateOf(store);
    await first.kill();
    await using _second = await startRedis({ port: first.port });
    expect(await store.get('a')).toBeUndefined();
    expect((await store.set('b', 2)).rev).toBe(1);
    const after = await stateOf(store);
    expect(after.storeId).toBe(before.storeId);
    expect(after.head.epoch).not.toBe(before.head.epoch);
    expect(await resume(store, cursor)).toBe('cursor-expired');
    await store.close();
    await first.stop();
  });

  it('is renewed when the store was flushed under a living connection', async () => {
    await using server = await startRedis();
    const store = storeOn(server.url);
    await store.set('a', 1);
    const before = await stateOf(store);
    const admin = await adminOf(server);
    await admin.flushAll();
    expect((await store.set('b', 2)).rev).toBe(1);
    const after = await stateOf(store);
    expect(after.storeId).toBe(before.storeId);
    expect(after.head.epoch).not.toBe(before.head.epoch);
    admin.destroy();
    await store.close();
  });

  it.each(LIBRARIES)(
    'is renewed when a replica takes over, on connections that stay: %s',
    async (library) => {
      await using master = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] });
      await using replica = await startRedis();
      const [one, two] = [await adminOf(master), await adminOf(replica)];
      const writer = storeOn(master.url, library);
      await writer.set('a', 1);
      await two.sendCommand(['REPLICAOF', '127.0.0.1', String(master.port)]);
      await until(async () => (await two.exists('{strata}:meta')) === 1);
      const onReplica = storeOn(replica.url, library);
      expect(await onReplica.get('a')).toBe(1);
      const cursor = await writer.cursor();
      await until(async () => (await onReplica.cursor()) === cursor);
      // What the master commits from here on is lost.
      await two.sendCommand(['REPLICAOF', '127.0.0.1', String(await freePort())]);
      await writer.set('lost', 1);
      const lost = await writer.cursor();
      await two.sendCommand(['REPLICAOF', 'NO', 'ONE']);
      const watch = onReplica.watch({ after: cursor })[Symbol.asyncIterator]();
      const { rev } = await onReplica.set('b', 2);
      expect(rev).toBe(2);
      await expect(watch.next()).rejects.toMatchObject({ code: 'cursor-expired' });
      for (const old of [cursor, lost]) expect(await resume(onReplica, old)).toBe('cursor-expired');
      expect(feedOf(onReplica).epochOf(2)).toBe((await stateOf(onReplica)).head.epoch);
      one.destroy();
      two.destroy();
      await writer.close();
      await onReplica.close();
    },
  );

  it('stays through closing and opening, and through scripts flushed', async () => {
    await using server = await startRedis();
    const store = storeOn(server.url);
    await store.set('a', 1);
    const cursor = await store.cursor();
    await store.close();
    const again = storeOn(server.url, 'node-redis');
    expect(await again.cursor()).toBe(cursor);
    await again.set('b', 2);
    expect(await resume(again, cursor)).toMatchObject({ from: 1, to: 2, writes: [{ key: 'b' }] });
    await again.close();
  });
});
