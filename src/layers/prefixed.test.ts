import { describe, expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import { Call } from '../store/call.ts';
import { json, primitivesOf, type Store } from '../store/index.ts';
import { encoded } from './encoded/index.ts';
import { prefixed } from './prefixed.ts';

const call = (store: Store<never> | Store<unknown>): Call =>
  Call.background(primitivesOf(store as Store<unknown>).env, 'test');

describe('prefixed', () => {
  it('keeps its keys under the prefix, and sees no others', async () => {
    const inner = memory<number>();
    const store = prefixed(inner, 'b');
    await inner.setMany([
      ['a', 1],
      ['b', 2],
      ['c', 3],
      ['bx', 4],
    ]);
    await store.set('y', 5);
    expect(await Array.fromAsync(inner.keys())).toEqual(['a', 'b', 'bx', 'by', 'c']);
    expect(await Array.fromAsync(store.keys())).toEqual(['x', 'y']);
    expect(await Array.fromAsync(store.keys({ reverse: true, limit: 1 }))).toEqual(['y']);
    expect(await Array.fromAsync(store.keys({ gt: 'x' }))).toEqual(['y']);
    expect(await Array.fromAsync(store.keys({ lt: 'y' }))).toEqual(['x']);
    expect([...store.blocking.keys()]).toEqual(['x', 'y']);
    await expect(store.get('')).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(() => store.blocking.get('')).toThrow(/the key is ""/);
    expect(await store.clear()).toBe(2);
    expect(await Array.fromAsync(inner.keys())).toEqual(['a', 'b', 'c']);
  });

  it.each(['z', '\ud7ff', '\uffff', '\u{10ffff}', 'a\u{10ffff}\u{10ffff}'])(
    'finds the end of its range after %j',
    async (prefix) => {
      const inner = memory<number>();
      const store = prefixed(inner, prefix);
      const keys = ['\u0001', 'k', '\uffff', '\u{10ffff}'];
      for (const key of keys) await store.set(key, 1);
      await inner.set(`${prefix.slice(0, -1)}\u0001`.toWellFormed(), 2);
      expect(await Array.fromAsync(store.keys())).toEqual(keys);
      expect(await Array.fromAsync(store.keys({ reverse: true }))).toEqual(keys.toReversed());
    },
  );

  it('isolates two views of one store, in their feeds too', async () => {
    const inner = memory<number>();
    const [a, b] = [
      prefixed(inner, 'a:', { closeInner: false }),
      prefixed(inner, 'b:', { closeInner: false }),
    ];
    const after = await a.cursor();
    const watching = a.watch({ after })[Symbol.asyncIterator]();
    await b.set('k', 1);
    await inner.batch([
      { type: 'set', key: 'a:k', value: 2 },
      { type: 'set', key: 'b:k', value: 3 },
      { type: 'set', key: 'a:', value: 4 },
    ]);
    const { value: commit } = await watching.next();
    expect(commit).toMatchObject({ from: 0, to: 2, writes: [{ key: 'k', value: 2 }] });
    expect(commit?.writes).toHaveLength(1);
    await a.close();
    expect(await b.get('k')).toBe(3);
    const states = await Promise.all(
      [a, b, inner].map((store) => primitivesOf(store).feed?.state(call(store))),
    );
    expect(new Set(states.map((state) => state?.storeId)).size).toBe(3);
  });

  it('keeps reserved keys of its own within the prefix, and hides those of the store inside', async () => {
    const inner = memory<number>();
    const store = prefixed(inner, 'p/');
    const commit = async (at: Store<number>, key: string): Promise<unknown> =>
      primitivesOf(at).commit([{ type: 'set', key, value: 1 }], call(at));
    await commit(inner, '\u0000inside');
    await commit(store, '\u0000note');
    const door = primitivesOf(store);
    expect(await door.readOne('\u0000note', call(store))).toMatchObject({ key: '\u0000note' });
    expect(await door.readOne('\u0000inside', call(store))).toBeUndefined();
    const everything = { reverse: false, limit: Number.POSITIVE_INFINITY };
    expect((await Array.fromAsync(door.scanKeys(everything, call(store)))).flat()).toEqual([
      '\u0000note',
    ]);
    expect(await Array.fromAsync(store.keys())).toEqual([]);
    expect(await Array.fromAsync(inner.keys())).toEqual(['p/\u0000note']);
    expect(await inner.clear({ prefix: 'p/' })).toBe(1);
    expect(await door.readOne('\u0000note', call(store))).toBeUndefined();
  });

  it('names keys as they are called in the view, in results and errors', async () => {
    const store = prefixed(memory<number>(), 'p"/');
    const head = await store.set('k', 1);
    expect(head.key).toBe('k');
    const { results } = await store.batch([{ type: 'set', key: 'l', value: 2 }]);
    expect(results[0]?.entry?.key).toBe('l');
    const failure = store.set('k', 2, { if: 'absent' });
    await expect(failure).rejects.toMatchObject({
      code: 'conflict',
      key: 'k',
      details: { version: head.version },
      message: expect.stringMatching(/^set: "k" exists/),
    });
    expect(() => store.blocking.delete('k', { if: { version: 'x' } })).toThrow(/^delete: "k" has/);
  });

  it('gives the bytes beneath under the same keys', async () => {
    const inner = memory<Uint8Array>();
    const store = prefixed(encoded(inner, { codec: json() }), 'p/');
    await store.set('k', { a: 1 });
    const { bytes, codec } = primitivesOf(store);
    const entry = await bytes?.readOne('k', call(store));
    expect(codec?.decode(entry?.value as Uint8Array)).toEqual({ a: 1 });
    expect(entry?.key).toBe('k');
  });

  it.each([[''], ['\u0000a'], ['\ud800'], ['x'.repeat(65)], ['ü'.repeat(33)], [1], [undefined]])(
    'refuses the prefix %j',
    (prefix) => {
      expect(() => prefixed(memory(), prefix as string)).toThrow(
        expect.objectContaining({ code: 'invalid-argument', operation: 'prefixed' }),
      );
    },
  );
});
