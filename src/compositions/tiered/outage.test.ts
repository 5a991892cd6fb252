/** A tiered store while parts are slow or away, what its copies carry, and its options. */
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../test/support/late-store.ts';
import { codeOf, tieredWorld as world } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { defineStore, json, type Store } from '../../store/index.ts';
import { primitivesOf } from '../../store/internals.ts';
import { withCodec } from '../../store/with-codec.ts';
import { settled } from '../../testing/settled.ts';
import { tiered } from './index.ts';

/** A store that holds values as JSON, as those on disk do. */
const withJson = (): Store<unknown> =>
  defineStore(withCodec(primitivesOf(memory<Uint8Array>()), json()));

describe('single flight', () => {
  it('a thousand gets of a cold key make one read of the back', async () => {
    const { env, store, inBack, backPlan } = world();
    await inBack.set('k', 1);
    backPlan.delay('read', 10);
    const gets = Array.from({ length: 1_000 }, () => store.get('k'));
    const many = store.getMany(['k']);
    await env.advance(10);
    expect(new Set(await Promise.all(gets))).toEqual(new Set([1]));
    expect((await many).get('k')).toBe(1);
    expect(backPlan.calls('read')).toBe(1);
  });

  it('goes on while the copy is being stored', async () => {
    const { env, store, inBack, backPlan, frontPlan } = world();
    await inBack.set('k', 1);
    frontPlan.delay('commit', 50);
    backPlan.delay('read', 10);
    const first = store.get('k');
    await env.advance(10);
    await first;
    expect(await store.get('k')).toBe(1);
    await env.advance(50);
    expect(await store.get('k')).toBe(1);
    expect(backPlan.calls('read')).toBe(1);
  });

  it('gives nobody what had ended before it was asked for', async () => {
    for (const write of ['through', 'front-only'] as const) {
      const { env, store, inBack, backPlan } = world({ write });
      await inBack.set('k', 'brief', { ttlMs: 50 });
      backPlan.hangNext('read', { applied: true });
      const early = store.get('k');
      await env.advance(50);
      await inBack.set('k', 'next');
      backPlan.delay('read', 10);
      const gets = Array.from({ length: 100 }, () => store.get('k'));
      const before = backPlan.calls('read');
      backPlan.release();
      await env.advance(20);
      await early;
      expect(new Set(await Promise.all(gets))).toEqual(new Set(['next']));
      if (write === 'through') expect(backPlan.calls('read')).toBe(before + 1);
    }
  });

  it('one caller that gives up does not end it for the others', async () => {
    const { env, store, inBack, backPlan } = world();
    await inBack.set('k', 1);
    backPlan.delay('read', 100);
    const impatient = codeOf(store.get('k', { timeoutMs: 10 }));
    const patient = store.get('k');
    await env.advance(100);
    expect(await impatient).toBe('timeout');
    expect(await patient).toBe(1);
  });
});

describe('a back that is away', () => {
  it('costs a bounded wait, then unavailable; hits go on', async () => {
    const { env, store, backPlan } = world({ backTimeoutMs: 200 });
    await store.set('hot', 1);
    backPlan.hangNext('read', { times: Number.POSITIVE_INFINITY });
    backPlan.hangNext('commit', { times: Number.POSITIVE_INFINITY });
    backPlan.hangNext('scan', { times: Number.POSITIVE_INFINITY });
    const failing = [
      store.get('cold'),
      store.getMany(['hot', 'cold']),
      store.set('hot', 2),
      store.delete('hot'),
      store.update('hot', () => 3),
      store.keys()[Symbol.asyncIterator]().next(),
    ].map(codeOf);
    await env.advance(200);
    expect(await Promise.all(failing)).toEqual(Array.from({ length: 6 }, () => 'unavailable'));
    backPlan.heal();
    // It is tried again after a pause.
    await env.advance(500);
    expect(await store.get('hot')).toBe(1);
    expect(await store.get('cold')).toBeUndefined();
  });

  it('is waited for longer by who asks for it', async () => {
    const { env, store, backPlan } = world({ backTimeoutMs: 100 });
    backPlan.delay('commit', 20_000).delay('read', 20_000);
    const writing = store.set('k', 1, { timeoutMs: 30_000 });
    await env.advance(20_000);
    expect((await writing).key).toBe('k');
    const reading = store.get('cold', { timeoutMs: 30_000 });
    await env.advance(20_000);
    expect(await reading).toBeUndefined();
  });

  it('does not keep the store from closing', async () => {
    const { env, store, backPlan } = world();
    backPlan.hangNext('commit');
    const writing = codeOf(store.set('k', 1, { timeoutMs: Number.POSITIVE_INFINITY }));
    let closed = false;
    const closing = store.close().then(() => {
      closed = true;
    });
    await env.advance(1_999);
    expect(closed).toBe(false);
    await env.advance(1);
    await closing;
    backPlan.release();
    await writing;
  });

  it('keeps copies in use when it refuses a write', async () => {
    const { store, backPlan } = world();
    await store.set('hot', 1);
    backPlan.failNext('commit', 'unavailable');
    expect(await codeOf(store.set('hot', 2))).toBe('unavailable');
    backPlan.failNext('read', 'unavailable');
    expect(await store.get('hot')).toBe(1);
  });

  it('a write that may have been applied is looked up again', async () => {
    const { env, store, inFront, backPlan } = world();
    await store.set('k', 'old');
    backPlan.failNext('commit', 'unknown-outcome', { applied: true });
    expect(await codeOf(store.set('k', 'new'))).toBe('unknown-outcome');
    expect(await store.get('k')).toBe('new');
    // It might still land later: no copy is made until it no longer can.
    expect(await inFront.get('k')).toBe('old');
    await env.advance(60_000);
    expect(await inFront.get('k')).toBeUndefined();
    expect(await store.get('k')).toBe('new');
    expect(await inFront.get('k')).toBe('new');
  });

  it('a write whose answer never came is not hidden by a copy when it lands', async () => {
    const { env, store, inBack, backPlan } = world({ backTimeoutMs: 100 });
    await store.set('k', 'old');
    backPlan.hangNext('commit', { applied: true });
    const writing = codeOf(store.set('k', 'new'));
    await env.advance(100);
    expect(await writing).toBe('unknown-outcome');
    expect(await store.get('k')).toBe(await inBack.get('k'));
    await inBack.set('k', 'landed');
    backPlan.release();
    await settled();
    expect(await store.get('k')).toBe('landed');
  });

  it('a conflict drops the copy that led to it', async () => {
    const { store, inBack } = world();
    await store.set('k', 1);
    await inBack.set('k', 2);
    const { version } = (await store.getEntry('k')) as { version: string };
    expect(await codeOf(store.set('k', 3, { if: { version } }))).toBe('conflict');
    expect(await store.get('k')).toBe(2);
  });
});

describe('what a copy carries', () => {
  it('is all that the back knows of the entry', async () => {
    const { env, store, inBack, backPlan } = world();
    const expiresAt = env.now() + 1_000;
    await inBack.set('k', 1, { expiresAt, meta: { a: [1] }, immutable: true });
    const origin = { store: 'far', epoch: 'e', rev: 7, version: 'v' };
    const write = { type: 'set', key: 'copied', value: 2, origin, modifiedAt: 5 } as const;
    primitivesOf(inBack).blocking?.commit([write], 'set');
    for (const key of ['k', 'copied']) {
      const truth = await inBack.getEntry(key);
      expect(await store.getEntry(key)).toEqual(truth);
      expect(await store.getEntry(key)).toEqual(truth);
      expect((await store.getEntries([key])).get(key)).toEqual(truth);
      expect(store.blocking.getEntry(key)).toEqual(truth);
    }
    expect(backPlan.calls('read')).toBe(2);
  });

  it('is what the back makes of a value, from the first hit on', async () => {
    const back = withJson();
    const store = tiered<unknown>({ front: memory(), back });
    await store.set('k', { at: new Date(0), none: undefined });
    expect(await store.get('k')).toEqual(await back.get('k'));
    expect(await store.get('k')).toEqual({ at: '1970-01-01T00:00:00.000Z' });
  });

  it('shares nothing with the value that was written', async () => {
    const front = memory<Uint8Array>({ zeroCopy: true });
    const store = tiered({ front, back: lateStore(memory<Uint8Array>()) });
    const bytes = Uint8Array.of(1, 2, 3);
    const writing = store.set('k', bytes);
    bytes.fill(9);
    await writing;
    expect(await store.get('k')).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('serves in conditional writes that go to the back', async () => {
    const { store } = world();
    await store.set('k', 1);
    const { version } = (await store.getEntry('k')) as { version: string };
    const head = await store.set('k', 2, { if: { version } });
    expect((await store.getEntry('k'))?.version).toBe(head.version);
    expect(await store.delete('k', { if: { version: head.version } })).toBe(true);
    expect(await store.get('k')).toBeUndefined();
  });

  it('never outlives its source', async () => {
    const { env, store, inBack } = world();
    await inBack.set('k', 1, { ttlMs: 100 });
    expect(await store.get('k')).toBe(1);
    await env.advance(99);
    expect(await store.get('k')).toBe(1);
    await env.advance(1);
    expect(await store.get('k')).toBeUndefined();
    expect(store.blocking.get('k')).toBeUndefined();
  });
});

describe('options', () => {
  it('refuses what is no two stores', () => {
    const store = memory();
    const other = memory();
    const make = tiered as (options: unknown) => unknown;
    for (const options of [
      undefined,
      { front: store },
      { front: store, back: store },
      { front: store, back: {} },
      { front: store, back: other, wriet: 'through' },
      { front: store, back: other, read: 'back-first' },
      { front: store, back: other, backTimeoutMs: 0 },
      { front: store, back: other, write: 'behind' },
    ])
      expect(() => make(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });

  it('closes its parts, unless told to leave them', async () => {
    const first = world();
    await first.store.close();
    expect(await codeOf(first.front.get('k'))).toBe('closed');
    expect(await codeOf(first.back.get('k'))).toBe('closed');
    const second = world({ closeParts: false });
    await second.store.close();
    expect(await codeOf(second.store.get('k'))).toBe('closed');
    expect(await second.front.get('k')).toBeUndefined();
  });

  it('leaves no timer behind', async () => {
    const { env, store, backPlan } = world();
    await store.set('k', 1);
    backPlan.failNext('commit', 'unknown-outcome');
    await codeOf(store.set('k', 2));
    await store.get('cold');
    await store.close();
    expect(env.pendingTimers).toBe(0);
  });
});
