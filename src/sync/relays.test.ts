import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { describeWithEngine, startRedis } from '../../test/support/engines.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { redis } from '../drivers/redis/index.ts';
import type { Store } from '../store/store.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { type Publication, publish, type Subscription, subscribe } from './index.ts';

const token = 't';
const authorize = () => ({ read: true, write: true });
const reconnect = { baseMs: 10, capMs: 20 };

interface Hop {
  readonly store: Store<Uint8Array>;
  readonly line: Line;
  readonly subscription: Subscription<Uint8Array>;
  readonly publication: Publication;
}

/** A store, and copies of copies of it. */
class Chain {
  readonly env: SimulatedEnv = simulatedEnv(17);
  readonly first = memory<Uint8Array>({ env: this.env });
  readonly origin: Publication = publish(this.first, { authorize });
  readonly hops: Hop[] = [];

  constructor(length: number, forwards = true, timeoutMs = 60_000) {
    for (let i = 0; i < length; i++) {
      const line = new Line(this.hops.at(-1)?.publication ?? this.origin);
      const store = memory<Uint8Array>({ env: this.env });
      const subscription = subscribe(line, store, { token, reconnect, timeoutMs });
      const forward = forwards ? { forward: subscription.remote } : {};
      const publication = publish(store, { authorize, ...forward });
      this.hops.push({ store, line, subscription, publication });
    }
  }

  get last(): Hop {
    return this.hops.at(-1) as Hop;
  }

  async within<T>(promise: Promise<T>, ms = 100): Promise<T> {
    promise.catch(() => undefined);
    await this.env.advance(ms);
    return await promise;
  }

  async close(): Promise<void> {
    for (const { subscription, publication } of this.hops) {
      await subscription.close();
      await publication.close();
    }
  }
}

describe('copies of copies', () => {
  it('have every entry as its source has it: version, times, metadata, immutability', async () => {
    const chain = new Chain(3);
    await chain.env.advance(50);
    const expiresAt = chain.env.now() + 1_000_000;
    await chain.first.batch([
      { type: 'set', key: 'a', value: bytes('1'), meta: { by: 'ada' }, expiresAt },
      { type: 'set', key: 'b', value: bytes('2'), immutable: true },
      { type: 'set', key: 'c', value: bytes('3') },
    ]);
    await chain.first.delete('c');
    await chain.env.advance(50);
    expect(await contents(chain.last.store)).toEqual({ a: '1', b: '2' });
    for (const key of ['a', 'b']) {
      const source = await chain.first.getEntry(key);
      for (const { subscription, store } of chain.hops) {
        const { origin, rev, version, ...copied } = (await store.getEntry(key)) ?? {};
        const { rev: sourceRev, version: sourceVersion, ...original } = source ?? {};
        expect(copied).toEqual(original);
        expect(origin).toMatchObject({ version: sourceVersion, rev: sourceRev });
        // As it is seen through the subscription, whatever the number of hops.
        expect(await subscription.remote.getEntry(key)).toMatchObject({ version: sourceVersion });
      }
    }
    await chain.close();
  });

  it('take writes at the end that are done at the beginning, and answered when they have come', async () => {
    const chain = new Chain(3);
    await chain.env.advance(50);
    const { remote } = chain.last.subscription;
    const entry = await chain.within(remote.set('a', bytes('1'), { meta: { by: 'last' } }));
    const source = await chain.first.getEntry('a');
    expect(entry).toMatchObject({ version: source?.version, rev: source?.rev });
    expect(source).toMatchObject({ meta: { by: 'last' } });
    expect(source?.origin).toBeUndefined();
    for (const { store } of chain.hops) expect(words(await store.get('a'))).toBe('1');
    await chain.within(remote.set('a', bytes('2'), { if: { version: entry.version } }));
    await expect(
      chain.within(remote.set('a', bytes('3'), { if: { version: entry.version } })),
    ).rejects.toMatchObject({ code: 'conflict', key: 'a' });
    expect(await chain.within(remote.delete('a'))).toBe(true);
    expect(await chain.within(remote.delete('a'))).toBe(false);
    expect(await contents(chain.first)).toEqual({});
    await chain.close();
  });

  it('count once through cuts anywhere', async () => {
    const chain = new Chain(3);
    await chain.env.advance(50);
    const { remote } = chain.last.subscription;
    const count = (value: Uint8Array | undefined): Uint8Array =>
      bytes(String(Number(words(value) ?? 0) + 1));
    let isOver = false;
    let counted = 0;
    const counting = (async () => {
      for (; !isOver; counted++) await remote.update('n', count, { timeoutMs: 600_000 });
    })();
    counting.catch(() => undefined);
    for (let i = 0; i < 90; i++) {
      await chain.env.advance(i % 7);
      chain.hops[i % 3]?.line.cut();
    }
    isOver = true;
    await chain.within(counting, 60_000);
    expect(counted).toBeGreaterThan(5);
    expect(words(await chain.first.get('n'))).toBe(String(counted));
    expect(words(await chain.last.store.get('n'))).toBe(String(counted));
    await chain.close();
  });

  it('take writes that wait while the source is away, and say so when it stays away', async () => {
    const chain = new Chain(2);
    await chain.env.advance(50);
    const [relay] = chain.hops;
    const { remote } = chain.last.subscription;
    (relay as Hop).line.down = true;
    (relay as Hop).line.cut();
    const patient = remote.set('a', bytes('1'));
    await chain.env.advance(2_000);
    (relay as Hop).line.down = false;
    await chain.within(patient, 1_000);
    (relay as Hop).line.down = true;
    (relay as Hop).line.cut();
    await expect(
      chain.within(remote.set('b', bytes('1'), { timeoutMs: 1_000 }), 2_000),
    ).rejects.toMatchObject({ code: 'unknown-outcome' });
    await chain.close();
  });

  it('go on with a write that the copies between have given up', async () => {
    const chain = new Chain(2, true, 1_000);
    await chain.env.advance(50);
    const [relay, last] = chain.hops as [Hop, Hop];
    relay.line.hold();
    const written = last.subscription.remote.set('a', bytes('1'), { timeoutMs: 60_000 });
    await chain.env.advance(5_000);
    const { rev } = (await chain.first.getEntry('a')) ?? {};
    expect(rev).toBeGreaterThan(0);
    relay.line.cut();
    relay.line.release();
    expect(await chain.within(written, 5_000)).toMatchObject({ key: 'a', rev });
    expect((await chain.first.getEntry('a'))?.rev).toBe(rev);
    await chain.close();
  });

  it('refuse writes that go nowhere: what is copied is written at its source', async () => {
    const chain = new Chain(1, false);
    await chain.env.advance(50);
    const local = memory<Uint8Array>({ env: chain.env });
    const subscription = subscribe(new Line(chain.last.publication), local, { token });
    await chain.env.advance(50);
    await expect(chain.within(subscription.remote.set('a', bytes('1')))).rejects.toMatchObject({
      code: 'unsupported',
      key: 'a',
    });
    expect(await contents(chain.last.store)).toEqual({});
    expect(() => publish(chain.last.store, { forward: local })).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
    await subscription.close();
    await chain.close();
  });

  it('in a circle are refused as soon as an entry would come back', async () => {
    const chain = new Chain(2);
    await chain.env.advance(50);
    const errors: string[] = [];
    const back = subscribe(new Line(chain.last.publication), chain.first, {
      token,
      onError: (error) => errors.push((error as Error & { code: string }).code),
    });
    await chain.env.advance(50);
    await chain.first.set('a', bytes('1'));
    await chain.env.advance(100);
    expect(errors).toEqual(['conflict']);
    expect(back.status()).toMatchObject({ state: 'closed' });
    expect((await chain.first.getEntry('a'))?.origin).toBeUndefined();
    await chain.first.set('a', bytes('2'));
    await chain.env.advance(100);
    expect(words(await chain.last.store.get('a'))).toBe('2');
    await chain.close();
  });
});

describeWithEngine('redis', 'a chain over Redis', () => {
  it('follows a restore of the first store to the last', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'stratakv-chain-'));
    let server = await startRedis({ dir });
    const { port } = server;
    const client = new Redis(server.url);
    client.on('error', () => undefined);
    const first = redis({ client, prefix: 'chain' });
    const chain: Subscription<Uint8Array>[] = [];
    const stores: Store<Uint8Array>[] = [];
    let publication = publish(first, { authorize });
    for (let i = 0; i < 3; i++) {
      const store = memory<Uint8Array>();
      const subscription = subscribe(new Line(publication), store, { token, reconnect });
      chain.push(subscription);
      stores.push(store);
      publication = publish(store, { authorize, forward: subscription.remote });
    }
    const last = stores.at(-1) as Store<Uint8Array>;
    const { remote } = chain.at(-1) as Subscription<Uint8Array>;
    await remote.set('a', bytes('kept'), { timeoutMs: 20_000 });
    await remote.set('b', bytes('kept'));
    await client.save();
    await remote.set('a', bytes('lost'));
    await remote.delete('b');
    await remote.set('c', bytes('lost'));
    expect(await contents(last)).toEqual({ a: 'lost', c: 'lost' });
    await server.kill();
    server = await startRedis({ dir, port });
    await expect.poll(() => contents(last), { timeout: 20_000 }).toEqual({ a: 'kept', b: 'kept' });
    // The numbers of writers were rewound with the data.
    await remote.set('d', bytes('new'), { timeoutMs: 20_000 });
    expect(await contents(first)).toEqual({ a: 'kept', b: 'kept', d: 'new' });
    expect(await contents(last)).toEqual({ a: 'kept', b: 'kept', d: 'new' });
    for (const subscription of chain) await subscription.close();
    client.disconnect();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }, 60_000);
});
