import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { json } from '../store/codec.ts';
import { defineStore } from '../store/define-store.ts';
import { primitivesOf } from '../store/internals.ts';
import { withCodec } from '../store/with-codec.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { publish, type RemoteChange, subscribe } from './index.ts';

const env = (): SimulatedEnv => simulatedEnv(3);
const source = (world: SimulatedEnv) => memory<Uint8Array>({ env: world });
const codes = (into: string[]) => (error: Error) =>
  void into.push((error as { code?: string }).code ?? error.message);

const sameBytes = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.compare(a, b) === 0;

describe('a subscription', () => {
  it('copies the whole state, then every change, with everything an entry carries', async () => {
    const world = env();
    const store = source(world);
    await store.set('a', bytes('1'), { meta: { by: 'ada' }, immutable: true });
    const local = source(world);
    const subscription = subscribe(new Line(publish(store)), local);
    await world.advance(1);
    await subscription.ready;
    await store.set('b', bytes('2'), { ttlMs: 60_000 });
    await world.advance(5);
    for (const key of ['a', 'b']) {
      const original = await store.getEntry(key);
      const copy = await local.getEntry(key);
      expect(copy?.origin).toEqual({
        store: subscription.status().sourceId,
        epoch: expect.any(String),
        rev: original?.rev,
        version: original?.version,
      });
      for (const part of ['value', 'meta', 'immutable', 'expiresAt', 'modifiedAt'] as const)
        expect(copy?.[part]).toEqual(original?.[part]);
    }
    await world.advance(60_000);
    expect(await local.has('b')).toBe(false);
    await subscription.close();
    await local.close();
    await store.close();
    expect(world.pendingTimers).toBe(0);
  });

  it('is ready at once on an empty store, and again after it', async () => {
    const world = env();
    const store = source(world);
    const local = source(world);
    const line = new Line(publish(store));
    const first = subscribe(line, local);
    await world.advance(1);
    await first.ready;
    expect(first.status()).toMatchObject({ state: 'live', snapshots: 1, rev: 0 });
    await first.close();
    await store.set('a', bytes('1'));
    const second = subscribe(line, local);
    await world.advance(1);
    await second.ready;
    expect(second.status()).toMatchObject({ state: 'live', resumes: 1, snapshots: 0, rev: 1 });
    expect(await contents(local)).toEqual({ a: '1' });
    await second.close();
  });

  it('resumes from its cursor: 10 changes among 100,000 keys cost under 16 KiB', async () => {
    const world = env();
    const store = source(world);
    for (let i = 0; i < 100; i++)
      await store.setMany(
        Array.from({ length: 1_000 }, (_, j) => [`key:${i * 1_000 + j}`, bytes(`value ${j}`)]),
      );
    const local = source(world);
    const line = new Line(publish(store));
    const first = subscribe(line, local);
    await world.advance(1);
    await first.ready;
    await first.close();
    for (let i = 0; i < 9; i++) await store.set(`key:${i * 11_111}`, bytes(`changed ${i}`));
    await store.delete('key:5');
    const second = subscribe(line, local);
    await world.advance(1);
    await second.ready;
    const { resumes, receivedBytes, sentBytes } = second.status();
    expect(resumes).toBe(1);
    expect(receivedBytes + sentBytes).toBeLessThan(16 * 1024);
    expect(await contents(local)).toEqual(await contents(store));
    await second.close();
  });

  it('applies each group whole: what is written together is never seen apart', async () => {
    const world = env();
    const store = source(world);
    const pair = (n: number): Promise<unknown> =>
      store.setMany([
        ['left', bytes(String(n))],
        ['filler', new Uint8Array(3_000)],
        ['right', bytes(String(n))],
      ]);
    await pair(0);
    const local = source(world);
    const line = new Line(publish(store, { limits: { batchBytes: 1_000, historyBytes: 4_000 } }));
    const subscription = subscribe(line, local, { limits: { creditBytes: 2_000 } });
    await world.advance(1);
    const seen: string[] = [];
    const end = new AbortController();
    const watching = (async () => {
      for await (const { writes } of local.watch({ signal: end.signal })) {
        const keys = writes.map(({ key }) => key);
        expect(keys).toContain('left');
        expect(keys).toContain('right');
        seen.push(words(local.blocking.get('left')) ?? '');
        expect(local.blocking.get('right')).toEqual(local.blocking.get('left'));
      }
    })();
    for (let n = 1; n <= 60; n++) {
      await pair(n);
      if (n % 3 === 0) await world.advance(1);
    }
    await world.advance(50);
    end.abort();
    await expect(watching).rejects.toMatchObject({ code: 'aborted' });
    expect(seen.at(-1)).toBe('60');
    expect(seen.map(Number)).toEqual(seen.map(Number).sort((a, b) => a - b));
    await subscription.close();
  });

  it('starts afresh when its cursor is past the floor, and loses what is gone', async () => {
    const world = env();
    const store = memory<Uint8Array>({ env: world, tombstoneBytes: 1_000, logBytes: 1_000 });
    await store.setMany(Array.from({ length: 300 }, (_, i) => [`key:${i}`, bytes('old')]));
    const local = source(world);
    await local.set('mine', bytes('kept'));
    await local.set('key:1', bytes('mine at first'));
    const line = new Line(publish(store));
    const first = subscribe(line, local);
    await world.advance(1);
    await first.ready;
    expect(words(await local.get('key:1'))).toBe('old');
    await first.close();
    await local.set('key:2', bytes('mine again'));
    await store.deleteMany(Array.from({ length: 200 }, (_, i) => `key:${i}`));
    await store.set('key:299', bytes('new'));
    const before = await local.getEntry('key:250');
    const changes: RemoteChange<Uint8Array>[] = [];
    const second = subscribe(line, local, { onChange: (change) => void changes.push(change) });
    await world.advance(1);
    await second.ready;
    expect(second.status()).toMatchObject({ snapshots: 1, resumes: 0 });
    expect(await contents(local)).toEqual({
      ...(await contents(store)),
      mine: 'kept',
      'key:2': 'mine again',
    });
    // What was the same already was not written again, and only changes are told of.
    expect((await local.getEntry('key:250'))?.version).toBe(before?.version);
    expect(changes.filter(({ deleted }) => deleted)).toHaveLength(199);
    expect(changes.filter(({ deleted }) => !deleted)).toEqual([
      { key: 'key:299', value: bytes('new'), deleted: false },
    ]);
    await second.close();
  });

  it('never removes entries of the application itself, and lets the source replace them', async () => {
    const world = env();
    const store = source(world);
    await store.setMany([
      ['a', bytes('source')],
      ['b', bytes('source')],
    ]);
    const local = source(world);
    const subscription = subscribe(new Line(publish(store)), local);
    await world.advance(1);
    await local.set('a', bytes('mine'));
    await store.delete('a');
    await store.delete('b');
    await world.advance(5);
    expect(await contents(local)).toEqual({ a: 'mine' });
    await store.set('a', bytes('source again'));
    await world.advance(5);
    expect(await contents(local)).toEqual({ a: 'source again' });
    await subscription.close();
  });

  it('refuses a local store that is a copy of another source, and the source itself', async () => {
    const world = env();
    const store = source(world);
    await store.set('a', bytes('1'));
    const local = source(world);
    const first = subscribe(new Line(publish(store)), local);
    await world.advance(1);
    await first.close();
    const other = source(world);
    await other.set('b', bytes('2'));
    for (const prefix of ['', 'b']) {
      const errors: string[] = [];
      const second = subscribe(new Line(publish(other)), local, { prefix, onError: codes(errors) });
      await world.advance(10);
      await expect(second.ready).rejects.toMatchObject({ code: 'conflict' });
      expect(errors).toEqual(['conflict']);
      expect(second.status().state).toBe('closed');
    }
    const itself = subscribe(new Line(publish(store)), store);
    await world.advance(10);
    await expect(itself.ready).rejects.toMatchObject({ code: 'conflict' });
    expect(await contents(local)).toEqual({ a: '1' });
  });

  it('shares a local store with another tab, and neither takes it back in time', async () => {
    const world = env();
    const store = source(world);
    await store.set('n', bytes('0'));
    const local = source(world);
    const publication = publish(store);
    const [quickLine, slowLine] = [new Line(publication), new Line(publication)];
    const quick = subscribe(quickLine, local);
    const slow = subscribe(slowLine, local);
    await world.advance(1);
    await Promise.all([quick.ready, slow.ready]);
    const told: string[] = [];
    slow.onChange('n', ({ value }) => void told.push(words(value) ?? ''));
    slowLine.hold();
    const seen: number[] = [];
    for (let n = 1; n <= 20; n++) {
      await store.set('n', bytes(String(n)));
      await world.advance(2);
      if (n % 4 === 0) slowLine.release(2);
      if (n % 4 === 0) slowLine.hold();
      await world.advance(2);
      seen.push(Number(words(await local.get('n'))));
    }
    slowLine.release();
    await world.advance(10);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    // The tab behind hears of every change too, though the other one applied it.
    expect(told.at(-1)).toBe('20');
    expect(slow.status()).toMatchObject({ state: 'live', lag: 0 });
    await store.set('n', bytes('last'));
    await world.advance(5);
    expect(words(await local.get('n'))).toBe('last');
    await Promise.all([quick.close(), slow.close()]);
  });

  it('moves values of any size, in pieces', async () => {
    const world = env();
    const store = source(world);
    const big = Uint8Array.from({ length: 3_000_001 }, (_, i) => i % 251);
    await store.setMany([
      ['before', bytes('1')],
      ['big', big],
      ['after', bytes('2')],
      ['big too', big.subarray(0, 600_000)],
    ]);
    const local = source(world);
    const line = new Line(publish(store, { authorize: () => ({ read: true, write: true }) }));
    const subscription = subscribe(line, local, { token: 't', limits: { creditBytes: 100_000 } });
    await world.advance(10);
    await subscription.ready;
    expect(sameBytes(local.blocking.get('big'), big)).toBe(true);
    expect(sameBytes(local.blocking.get('big too'), big.subarray(0, 600_000))).toBe(true);
    const written = subscription.remote.set('up', big);
    await world.advance(10);
    await written;
    expect(sameBytes(store.blocking.get('up'), big)).toBe(true);
    expect(sameBytes(local.blocking.get('up'), big)).toBe(true);
    await subscription.close();
  });

  it('carries values by codec, and refuses those that are no bytes without one', async () => {
    const world = env();
    const store = memory<{ n: number }>({ env: world, codec: json() });
    await store.set('a', { n: 1 });
    const local = memory<{ n: number }>({ env: world, codec: json() });
    const coded = defineStore(withCodec(primitivesOf(source(world)), json<{ n: number }>()));
    const line = new Line(publish(store, { authorize: () => ({ read: true, write: true }) }));
    const heard: unknown[] = [];
    const token = 't';
    const first = subscribe(line, local, { token, onChange: (change) => void heard.push(change) });
    const second = subscribe(new Line(publish(store)), coded, {
      onChange: (change) => void heard.push(change),
    });
    await world.advance(1);
    const written = first.remote.update('a', (value) => ({ n: (value?.n ?? 0) + 1 }));
    await world.advance(5);
    expect((await written)?.value).toEqual({ n: 2 });
    expect(await local.get('a')).toEqual({ n: 2 });
    expect(await coded.get('a')).toEqual({ n: 2 });
    expect(await store.get('a')).toEqual({ n: 2 });
    expect(heard).toHaveLength(4);
    expect(heard.at(-1)).toEqual({ key: 'a', value: { n: 2 }, deleted: false });
    await Promise.all([first.close(), second.close()]);

    const bare = memory<{ n: number }>({ env: world });
    await bare.set('a', { n: 1 });
    const third = subscribe(new Line(publish(bare)), source(world));
    await world.advance(1);
    await expect(third.ready).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringContaining('codec'),
    });
    const named = { ...json<{ n: number }>(), name: 'other' };
    const fourth = subscribe(line, memory<{ n: number }>({ env: world, codec: named }), { token });
    await world.advance(1);
    await expect(fourth.ready).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('lets a copy be published again: origins pass through', async () => {
    const world = env();
    const store = source(world);
    await store.setMany([
      ['a', bytes('1')],
      ['b', bytes('2')],
    ]);
    const relay = memory<Uint8Array>({ env: world, tombstoneBytes: 200, logBytes: 100 });
    const local = source(world);
    const up = subscribe(new Line(publish(store)), relay);
    await world.advance(1);
    const line = new Line(publish(relay));
    const first = subscribe(line, local);
    await world.advance(1);
    await first.ready;
    expect((await local.getEntry('a'))?.origin).toEqual((await relay.getEntry('a'))?.origin);
    await store.delete('a');
    await store.set('c', bytes('3'));
    await world.advance(5);
    expect(await contents(local)).toEqual({ b: '2', c: '3' });
    await first.close();
    await store.setMany(Array.from({ length: 50 }, (_, i) => [`x${i}`, bytes('x')]));
    await world.advance(5);
    await store.clear({ prefix: 'x' });
    await store.delete('b');
    await world.advance(5);
    const second = subscribe(line, local);
    await world.advance(5);
    await second.ready;
    expect(second.status().snapshots).toBe(1);
    expect(await contents(local)).toEqual({ c: '3' });
    await Promise.all([second.close(), up.close()]);
  });

  it('tells listeners after the change is durable, and survives what they throw', async () => {
    const world = env();
    const store = source(world);
    const local = source(world);
    const errors: string[] = [];
    const heard: string[] = [];
    const subscription = subscribe(new Line(publish(store)), local, { onError: codes(errors) });
    subscription.onChange('', () => {
      throw new Error('thrown');
    });
    subscription.onChange('', async () => {
      throw new Error('rejected');
    });
    const note = (name: string) => (change: RemoteChange<Uint8Array>) => {
      expect(local.blocking.get(change.key)).toEqual(change.value);
      heard.push(`${name} ${change.key} ${change.deleted ? 'deleted' : words(change.value)}`);
    };
    subscription.onChange('user:', note('prefix'));
    const remove = subscription.onChange({ key: 'user:1' }, note('key'));
    await world.advance(1);
    await store.set('user:1', bytes('a'));
    await store.set('other', bytes('b'));
    await world.advance(5);
    remove();
    await store.delete('user:1');
    await store.set('user:10', bytes('c'));
    await world.advance(5);
    expect(heard).toEqual([
      'prefix user:1 a',
      'key user:1 a',
      'prefix user:1 deleted',
      'prefix user:10 c',
    ]);
    expect(errors.filter((text) => text === 'thrown')).toHaveLength(4);
    expect(errors.filter((text) => text === 'rejected')).toHaveLength(4);
    expect(subscription.status().state).toBe('live');
    await subscription.close();
  });

  it('gives each listener a value of its own', async () => {
    const world = env();
    const store = source(world);
    const local = source(world);
    const subscription = subscribe(new Line(publish(store)), local);
    subscription.onChange('a', ({ value }) => void value?.fill(0));
    await world.advance(1);
    await store.set('a', bytes('kept'));
    await world.advance(5);
    expect(words(await local.get('a'))).toBe('kept');
    await subscription.close();
  });
});
