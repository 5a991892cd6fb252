import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { prefixed } from '../layers/prefixed.ts';
import { defineStore } from '../store/define-store.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Feed } from '../store/primitives.ts';
import type { Store } from '../store/store.ts';
import { simulatedEnv } from '../testing/index.ts';
import { publish, type Rights, subscribe } from './index.ts';
import { scopeOf } from './scope.ts';

/** A store that counts what is read of it, and does something after a page of a scan. */
function watched(inner: Store<Uint8Array>, afterPage: () => Promise<unknown>) {
  const inside = primitivesOf(inner);
  const feed = inside.feed as Feed<Uint8Array>;
  const read = { scanned: [] as string[], fromNothing: 0 };
  const store = defineStore<Uint8Array>({
    ...inside,
    async *scan(range, call) {
      for await (const page of inside.scan(range, call)) {
        read.scanned.push(...page.map(({ key }) => key));
        yield page;
        await afterPage();
      }
    },
    feed: {
      state: (call) => feed.state(call),
      wait: (after, call) => feed.wait(after, call),
      epochOf: (rev) => feed.epochOf(rev),
      read(after, call) {
        if (after === undefined) read.fromNothing++;
        return feed.read(after, call);
      },
    },
  });
  return { store, read };
}

describe('the first copy of a narrow scope', () => {
  it.each<[string, { prefix?: string; rights: Rights }, RegExp]>([
    ['a prefix', { prefix: 'b/', rights: { read: true } }, /^b\//],
    ['rights by prefix', { rights: { read: ['b/', 'd/', 'b/1'] } }, /^[bd]\//],
    ['both', { prefix: 'b/', rights: { read: ['b/1', 'c/', ''] } }, /^b\//],
    ['a prefix and a function', { prefix: 'b', rights: { read: () => true } }, /^b/],
  ])('reads nothing else of the store: %s', async (_, { prefix = '', rights }, own) => {
    const world = simulatedEnv(1);
    const inner = memory<Uint8Array>({ env: world });
    const letters = [...'abcd'].flatMap((letter) => [1, 2, 3].map((n) => `${letter}/${n}`));
    await inner.setMany(letters.map((key) => [key, bytes(key)]));
    let pages = 0;
    const { store, read } = watched(inner, async () => {
      if (pages++ > 0) return;
      // All that can happen to a key while the rest is read.
      await inner.set('b/1', bytes('changed'));
      await inner.delete('b/2');
      await inner.set('b/4', bytes('new'));
      await inner.set('a/4', bytes('hidden'));
    });
    const local = memory<Uint8Array>({ env: world });
    const line = new Line(publish(store, { authorize: () => rights }));
    const subscription = subscribe(line, local, { prefix, token: 't' });
    await world.advance(5);
    await subscription.ready;
    expect(await contents(local)).toEqual(
      Object.fromEntries(Object.entries(await contents(inner)).filter(([key]) => own.test(key))),
    );
    expect(read.fromNothing).toBe(0);
    expect(read.scanned.filter((key) => !own.test(key))).toEqual([]);
    expect(new Set(read.scanned).size).toBe(read.scanned.length);
    await inner.set('b/1', bytes('live'));
    await world.advance(5);
    expect((await contents(local))['b/1']).toBe('live');
    await subscription.close();
  });

  it('is right over a layer that names keys anew', async () => {
    const world = simulatedEnv(1);
    const inner = memory<Uint8Array>({ env: world });
    await inner.setMany(['t/a/1', 't/b/1', 'b/2'].map((key) => [key, bytes(key)]));
    const local = memory<Uint8Array>({ env: world });
    const line = new Line(publish(prefixed(inner, 't/')));
    const subscription = subscribe(line, local, { prefix: 'b/' });
    await world.advance(5);
    expect(await contents(local)).toEqual({ 'b/1': 't/b/1' });
    await subscription.close();
  });

  it('knows the ranges that its keys are in', () => {
    const ranges = (prefix: string, read: Rights['read'] = true): unknown =>
      scopeOf(prefix, { read }, {}).prefixes;
    expect(ranges('')).toBeUndefined();
    expect(ranges('', ['a', ''])).toBeUndefined();
    expect(ranges('a')).toEqual(['a']);
    expect(ranges('a/', ['a', 'a/b', 'c'])).toEqual(['a/']);
    expect(ranges('', ['b', 'a/b', 'a', 'a/'])).toEqual(['a', 'b']);
    expect(ranges('a', ['b'])).toEqual([]);
    expect(ranges('', () => true)).toBeUndefined();
    expect(ranges('', false)).toEqual([]);
    expect(ranges('a\ud800')).toBeUndefined();
  });
});
