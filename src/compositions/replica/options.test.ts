/** What makes no sense is refused before anything is done; what the members can do is what the store can do. */
import { describe, expect, test } from 'vitest';
import { lru } from '../../drivers/lru/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { encoded } from '../../layers/encoded/index.ts';
import type { Capabilities } from '../../store/capabilities.ts';
import { json } from '../../store/codec.ts';
import { defineStore } from '../../store/define-store.ts';
import { describeStore, primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { type ReplicaOptions, replica } from './index.ts';

const mem = (): Store<unknown> => memory();
const able = (capabilities: Partial<Capabilities>): Store<unknown> => {
  const inner = primitivesOf(mem());
  return defineStore({ ...inner, capabilities: { ...inner.capabilities, ...capabilities } });
};

describe('refuses', () => {
  const twice = mem();
  const wrong: Record<string, [unknown, string]> = {
    'no options': [undefined, 'invalid-argument'],
    'no synchronous store': [{ sync: [] }, 'invalid-argument'],
    'what is no store': [{ sync: [{}] }, 'invalid-argument'],
    'a quorum of none': [{ sync: [mem()], write: 0 }, 'invalid-argument'],
    'a quorum of more than there are': [{ sync: [mem()], write: 2 }, 'invalid-argument'],
    'a queue of no length': [{ sync: [mem()], queueLength: 0 }, 'invalid-argument'],
    'a store that is given twice': [{ sync: [twice], async: [twice] }, 'invalid-argument'],
    'an unknown option': [{ sync: [mem()], quorum: 1 }, 'invalid-argument'],
    'a way of reading that there is not': [{ sync: [mem()], read: 'all' }, 'invalid-argument'],
    'pauses that end before they begin': [
      { sync: [mem()], retry: { minMs: 10, maxMs: 5 } },
      'invalid-argument',
    ],
    'a store that keeps no origins': [
      { sync: [mem()], async: [able({ bare: true })] },
      'unsupported',
    ],
    'a store that evicts': [
      { sync: [mem(), memory({ evict: lru({ maxEntries: 5 }) })] },
      'unsupported',
    ],
    'a first store without a feed': [{ sync: [able({ feed: false }), mem()] }, 'unsupported'],
  };
  test.each(Object.entries(wrong))('%s', (_, [options, code]) => {
    expect(() => replica(options as ReplicaOptions<unknown>)).toThrow(
      expect.objectContaining({ code, operation: 'replica' }),
    );
  });

  test('a value that one of the members cannot hold, and changes nothing', async () => {
    const first = mem();
    const second = primitivesOf(memory<Uint8Array>());
    const bytes = defineStore(second) as Store<Uint8Array>;
    await using store = replica<unknown>({ sync: [first, encoded(bytes, { codec: json() })] });
    await store.set('a', { n: 1 });
    await expect(store.set('a', { n: 1n })).rejects.toMatchObject({
      code: 'invalid-argument',
      key: 'a',
    });
    expect(await first.get('a')).toEqual({ n: 1 });
    expect(await store.get('a')).toEqual({ n: 1 });
  });
});

describe('offers', () => {
  const durable = (durability: Capabilities['durability']): Store<unknown> => able({ durability });
  const cases: [Partial<ReplicaOptions<unknown>>, string][] = [
    [{ sync: [durable('memory'), durable('disk')] }, 'disk'],
    [{ sync: [durable('memory'), durable('os'), durable('disk')] }, 'disk'],
    [{ sync: [durable('memory'), durable('os'), durable('disk')], write: 2 }, 'os'],
    [{ sync: [durable('memory'), durable('os'), durable('disk')], write: 1 }, 'memory'],
    [{ sync: [durable('memory')], async: [durable('disk')] }, 'memory'],
  ];
  test.each(cases)('the durability that every write has: %#', async (options, durability) => {
    await using store = replica(options as ReplicaOptions<unknown>);
    expect(store.capabilities.durability).toBe(durability);
  });

  test('the least of what its members take, and says what it is made of', async () => {
    await using store = replica({
      sync: [mem(), able({ ttl: false, maxKeyBytes: 600, maxValueBytes: 10 })],
      async: [mem()],
    });
    expect(store.capabilities).toMatchObject({ ttl: false, maxKeyBytes: 512, maxValueBytes: 10 });
    expect(describeStore(store)).toMatchObject({
      type: 'replica',
      parts: { 'sync[0]': {}, 'sync[1]': {}, 'async[0]': {} },
    });
  });
});
