import { describe, expect, expectTypeOf, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import { Call } from '../store/call.ts';
import { describeStore, json, primitivesOf, type Store } from '../store/index.ts';
import type { ReadonlyStore, ReadonlyStoreWithBlocking } from '../store/readonly-store.ts';
import { encoded } from './encoded/index.ts';
import { readonly } from './readonly.ts';

const denied = { code: 'denied', retryable: false };

describe('readonly', () => {
  it('reads in every way what is in the store inside, and follows it', async () => {
    const inner = memory<number>();
    const store = readonly(inner);
    const watch = store.watch()[Symbol.asyncIterator]();
    await inner.set('k', 1, { meta: { a: 1 } });
    expect(await store.get('k')).toBe(1);
    expect(await store.getEntry('k')).toEqual(await inner.getEntry('k'));
    expect(await store.hasMany(['k', 'l'])).toEqual(new Set(['k']));
    expect(await Array.fromAsync(store.keys())).toEqual(['k']);
    expect(store.blocking.get('k')).toBe(1);
    expect(await store.cursor()).toBe(await inner.cursor());
    expect((await watch.next()).value?.writes).toMatchObject([{ key: 'k', value: 1 }]);
    expect(store.capabilities).toBe(inner.capabilities);
  });

  it('denies every write, by every door, and changes nothing', async () => {
    const bytes = memory<Uint8Array>();
    const inner = encoded(bytes, { codec: json<number>() });
    await inner.set('k', 1);
    const store = readonly(inner) as unknown as typeof inner;
    const writes: (() => Promise<unknown>)[] = [
      () => store.set('k', 2),
      () => store.delete('k'),
      () => store.setMany([['k', 2]]),
      () => store.deleteMany(['k']),
      () => store.clear(),
      () => store.update('k', () => 2),
      () => store.batch([{ type: 'set', key: 'k', value: 2 }]),
      () => store.getOrSet('l', () => 2),
    ];
    for (const write of writes) await expect(write()).rejects.toMatchObject(denied);
    expect(() => store.blocking.set('k', 2)).toThrow(expect.objectContaining(denied));
    expect(() => store.blocking.clear()).toThrow(expect.objectContaining(denied));
    const { bytes: door, env } = primitivesOf<number>(store);
    const write = { type: 'delete', key: 'k' } as const;
    await expect(door?.commit([write], Call.background(env, 'test'))).rejects.toMatchObject(denied);
    expect(await inner.get('k')).toBe(1);
    expect(await store.getOrSet('k', () => 2)).toBe(1);
  });

  it('has no writes in its type, and takes any store', () => {
    expectTypeOf<ReadonlyStoreWithBlocking<number>>().not.toHaveProperty('set');
    expectTypeOf<ReadonlyStoreWithBlocking<number>['blocking']>().not.toHaveProperty('update');
    expectTypeOf<Store<number>>().toExtend<ReadonlyStore<number>>();
  });

  it('closes the store inside, unless told not to', async () => {
    const inner = memory();
    await readonly(inner, { closeInner: false }).close();
    expect(await inner.get('k')).toBeUndefined();
    await readonly(inner).close();
    await expect(inner.get('k')).rejects.toMatchObject({ code: 'closed' });
  });

  it('refuses what is no store, and unknown options', () => {
    expect(() => readonly({} as never)).toThrow(/^readonly: the store is/);
    expect(() => readonly(memory(), { clsoeInner: true } as never)).toThrow(/clsoeInner/);
    expect(describeStore(readonly(memory()) as unknown as Store<unknown>)).toEqual({
      type: 'readonly',
      parts: { inner: { type: 'memory' } },
    });
  });
});
