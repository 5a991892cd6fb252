import * as msgpackr from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import { Call } from './call.ts';
import { type Codec, json, messagePack, raw, text } from './codec.ts';
import { defineStore } from './define-store.ts';
import type { Commit } from './entry.ts';
import { primitivesOf } from './internals.ts';
import type { StoreWithBlocking } from './store.ts';
import { type PrimitivesWithBlocking, withCodec } from './with-codec.ts';

function open<V>(codec: Codec<V>): {
  store: StoreWithBlocking<V>;
  inner: StoreWithBlocking<Uint8Array>;
} {
  const inner = memory<Uint8Array>();
  const bytes = primitivesOf(inner) as PrimitivesWithBlocking<Uint8Array>;
  return { inner, store: defineStore(withCodec(bytes, codec)) };
}

const codecs: readonly [string, Codec<unknown>, unknown][] = [
  ['json', json(), { a: [1, null, 'x'] }],
  ['text', text() as Codec<unknown>, 'grüße \u{10ffff}'],
  ['raw', raw() as Codec<unknown>, new Uint8Array([0, 1, 255])],
  ['messagepack', messagePack(msgpackr), { at: new Date(0), b: new Uint8Array([1]) }],
];

describe.each(codecs)('withCodec(%s)', (_, codec, value) => {
  it('gives the value back by every way of reading', async () => {
    const { store, inner } = open(codec);
    await store.set('k', value, { meta: { m: 1 }, immutable: true });
    expect(await store.get('k')).toEqual(value);
    expect((await store.getMany(['k'])).get('k')).toEqual(value);
    expect(store.blocking.get('k')).toEqual(value);
    expect([...store.blocking.list()].map((entry) => entry.value)).toEqual([value]);
    const [entry] = await Array.fromAsync(store.list());
    const { value: bytes, ...head } = (await inner.getEntry('k')) ?? { value: undefined };
    expect(entry).toEqual({ ...head, value });
    expect(bytes).toBeInstanceOf(Uint8Array);
    for await (const commit of store.watch({ after: 'start' })) {
      expect(commit.writes).toEqual([{ ...entry, type: 'set' }]);
      break;
    }
  });

  it('shows its bytes and its codec at the internal door', async () => {
    const { store, inner } = open(codec);
    const primitives = primitivesOf(store);
    expect(primitives.codec).toBe(codec);
    expect(primitives.bytes).toBe(primitivesOf(inner));
  });
});

describe('withCodec', () => {
  it('refuses what the codec refuses before anything of the batch is applied', async () => {
    const { store, inner } = open(json());
    const writes = [
      { type: 'set', key: 'a', value: 1 },
      { type: 'set', key: 'b', value: 10n },
    ] as const;
    await expect(store.batch(writes)).rejects.toMatchObject({
      code: 'invalid-argument',
      operation: 'batch',
      key: 'b',
    });
    expect(() => store.blocking.set('b', Number.NaN)).toThrow(/codec json cannot encode .*"b"/);
    expect(await inner.has('a')).toBe(false);
  });

  it('says corrupt, and which key, for bytes that the codec cannot read', async () => {
    const { store, inner } = open(json());
    await inner.set('k', new Uint8Array([0xff]));
    const corrupt = { code: 'corrupt', key: 'k' };
    await expect(store.get('k')).rejects.toMatchObject({ ...corrupt, operation: 'get' });
    await expect(store.getMany(['k'])).rejects.toMatchObject(corrupt);
    await expect(Array.fromAsync(store.list())).rejects.toMatchObject(corrupt);
    expect(() => store.blocking.get('k')).toThrow(expect.objectContaining(corrupt));
    expect(await store.delete('k')).toBe(true);
  });

  it('follows its feed past reserved keys that others keep among the bytes', async () => {
    const { store, inner } = open(messagePack(msgpackr));
    const bytes = primitivesOf(inner);
    const note = { type: 'set', key: '\u0000note', value: new Uint8Array([0x7b, 0x7d]) } as const;
    await bytes.commit([note], Call.background(bytes.env, 'test'));
    await store.set('k', 1);
    for await (const { writes } of store.watch({ after: 'start' })) {
      expect(writes).toMatchObject([{ key: 'k', value: 1 }]);
      break;
    }
  });

  it('takes the errors of a codec of any make for a refusal or for damage', async () => {
    const fussy: Codec<number> = {
      name: 'fussy',
      encode: () => {
        throw new RangeError('no');
      },
      decode: () => undefined as unknown as number,
    };
    const { store, inner } = open(fussy);
    await expect(store.set('k', 1)).rejects.toMatchObject({ code: 'invalid-argument', key: 'k' });
    await inner.set('k', new Uint8Array(1));
    await expect(store.get('k')).rejects.toMatchObject({ code: 'corrupt', key: 'k' });
  });

  it('shares nothing with what it was given', async () => {
    const { store } = open(raw());
    const value = new Uint8Array([1, 2, 3]);
    await store.set('k', value);
    value[0] = 9;
    const seen = (await store.get('k')) as Uint8Array;
    seen[1] = 9;
    expect(await store.get('k')).toEqual(new Uint8Array([1, 2, 3]));
  });

  it('counts the encoded bytes against the bound of the store', async () => {
    const bytes = primitivesOf(memory<Uint8Array>());
    const small = { ...bytes, capabilities: { ...bytes.capabilities, maxValueBytes: 4 } };
    const store = defineStore(withCodec(small, text()));
    await store.set('k', 'four');
    await expect(store.set('k', 'éé!')).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  it('keeps updates atomic', async () => {
    const { store } = open(json<number>());
    await Promise.all(Array.from({ length: 20 }, () => store.update('n', (n = 0) => n + 1)));
    expect(await store.get('n')).toBe(20);
    const commits: Commit<number>[] = [];
    for await (const commit of store.watch({ after: 'start' })) {
      commits.push(commit);
      if (commit.to === 20) break;
    }
    expect(commits.at(-1)?.writes[0]).toMatchObject({ key: 'n', value: 20 });
  });
});
