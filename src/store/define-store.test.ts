import { describe, expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import { FaultPlan, faulty, simulatedEnv } from '../testing/index.ts';
import type { Capabilities } from './capabilities.ts';
import { defineStore } from './define-store.ts';
import { describeStore, primitivesOf } from './internals.ts';
import type { Primitives } from './primitives.ts';
import type { Store } from './store.ts';

/** A store in memory that claims less. */
function lesser(
  less: Partial<Capabilities>,
  more: Partial<Primitives<unknown>> = {},
): Store<unknown> {
  const { feed, blocking: _, ...good } = primitivesOf(memory());
  const capabilities = { ...good.capabilities, blocking: false, ...less };
  return defineStore({
    ...good,
    ...(less.feed !== false && feed && { feed }),
    capabilities: Object.freeze(capabilities),
    ...more,
  });
}

const unsupported = (operation: string): object =>
  expect.objectContaining({ code: 'unsupported', operation });

describe('a defined store', () => {
  it('refuses what its capabilities do not offer, and does the rest', async () => {
    const none = lesser({ conditional: 'none', ttl: false, feed: false });
    const version = { if: { version: 'x' } };
    await expect(none.set('a', 1, { if: 'absent' })).rejects.toThrow(unsupported('set'));
    await expect(none.set('a', 1, version)).rejects.toThrow(unsupported('set'));
    await expect(none.delete('a', version)).rejects.toThrow(unsupported('delete'));
    await expect(none.update('a', () => 1)).rejects.toThrow(unsupported('update'));
    await expect(none.set('a', 1, { ttlMs: 5 })).rejects.toThrow(unsupported('set'));
    await expect(none.cursor()).rejects.toThrow(unsupported('cursor'));
    expect(() => none.watch()).toThrow(unsupported('watch'));
    expect(await none.getOrSet('a', () => 1)).toBe(1);
    expect(await none.get('a')).toBe(1);

    const absent = lesser({ conditional: 'absent' });
    await absent.set('a', 1, { if: 'absent' });
    await expect(absent.set('a', 1, version)).rejects.toThrow(unsupported('set'));

    const set = lesser({ conditional: 'set' });
    const head = await set.set('a', 1);
    await set.set('a', 2, { if: { version: head.version } });
    await expect(set.delete('a', version)).rejects.toThrow(unsupported('delete'));
  });

  it('refuses values that are too large, before the store sees them', async () => {
    const store = lesser({ maxValueBytes: 10 });
    await store.set('a', new Uint8Array(10));
    await expect(store.set('a', new Uint8Array(11))).rejects.toThrow(
      'set: the value has 11 bytes; expected at most 10',
    );
  });

  it('frees the caller of an engine that hangs, and says what became of its write', async () => {
    const env = simulatedEnv();
    const plan = new FaultPlan();
    const store = faulty(memory({ env }), plan);
    plan.hangNext('read', { times: 4 }).hangNext('commit', { times: 2 }).hangNext('scan');
    const calls = {
      get: store.get('a', { timeoutMs: 100 }),
      getMany: store.getMany(['a'], { timeoutMs: 100 }),
      has: store.has('a', { timeoutMs: 100 }),
      getOrSet: store.getOrSet('a', () => 1, { timeoutMs: 100 }),
      set: store.set('a', 1, { timeoutMs: 100 }),
      delete: store.delete('a', { timeoutMs: 100 }),
      list: store.list({ timeoutMs: 100 })[Symbol.asyncIterator]().next(),
    };
    const codes = Object.entries(calls).map(async ([operation, call]) => {
      const error = await call.then(
        () => 'done',
        (error: unknown) => error,
      );
      expect(error, operation).toMatchObject({ code: 'timeout', operation });
    });
    await env.advance(100);
    await Promise.all(codes);
    plan.release();
    await env.advance(0);
    expect(await store.get('a')).toBeUndefined();
    expect(env.pendingTimers).toBe(0);
  });

  it('lets one caller of a load give up, and none of the others', async () => {
    const env = simulatedEnv();
    const store = memory({ env });
    const controller = new AbortController();
    let finish = (_: number): void => {};
    const loaded = new Promise<number>((resolve) => {
      finish = resolve;
    });
    const given = store.getOrSet('a', () => loaded, { signal: controller.signal });
    const other = store.getOrSet('a', () => loaded);
    await env.advance(1);
    controller.abort();
    await expect(given).rejects.toMatchObject({ code: 'aborted', operation: 'getOrSet' });
    finish(5);
    expect(await other).toBe(5);
    expect(await store.get('a')).toBe(5);
  });

  it('gives all callers of a load the value of a writer that came first', async () => {
    const store = memory();
    const got = await store.getOrSet('a', async () => {
      await store.set('a', 'first');
      return 'loaded';
    });
    expect(got).toBe('first');
    expect(store.blocking.getOrSet('b', () => store.blocking.set('b', 1) && 2)).toBe(1);
  });

  it('never gives the value of a reserved key', async () => {
    const store = memory();
    const primitives = primitivesOf(store);
    primitives.blocking?.commit([{ type: 'set', key: '\u0000own', value: 1 }], 'set');
    await expect(store.get('\u0000own')).rejects.toMatchObject({ code: 'invalid-argument' });
    const all: string[] = [];
    for await (const key of store.keys()) all.push(key);
    expect(all).toEqual([]);
  });

  it('can be closed while a close is under way, and closes its engine once', async () => {
    let closes = 0;
    const store = lesser(
      {},
      {
        close: async () => {
          closes++;
        },
      },
    );
    await Promise.all([store.close(), store.close(), store[Symbol.asyncDispose]()]);
    expect(closes).toBe(1);
  });

  it('tells what it is made of, and what is no store', () => {
    expect(describeStore(memory())).toEqual({ type: 'memory' });
    expect(describeStore(faulty(memory({ zeroCopy: true }), new FaultPlan()))).toEqual({
      type: 'faulty',
      parts: { inner: { type: 'memory', details: { zeroCopy: true } } },
    });
    for (const bad of [undefined, null, {}, 'memory:'])
      expect(() => describeStore(bad as unknown as Store<unknown>)).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
  });
});
