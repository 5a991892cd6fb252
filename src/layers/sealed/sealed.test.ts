import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { file } from '../../drivers/file/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { describeStore, json, primitivesOf, type Store } from '../../store/index.ts';
import { channelPair, publish, subscribe } from '../../sync/index.ts';
import { conformance, FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { bounded } from '../bounded/index.ts';
import { encoded } from '../encoded/index.ts';
import { prefixed } from '../prefixed.ts';
import { gzip, type Seal, seal, sealed, sealInfo, zstd } from './index.ts';

const test = { describe, it };
const env = simulatedEnv();
const secret = seal({ compress: gzip(zlib), keys: { one: new Uint8Array(32).fill(1) } });
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const required = { ...requiredCapabilities.memory, blocking: false };

conformance({
  name: 'sealed by zstd and AES',
  test,
  factory: {
    env,
    required,
    create: () =>
      sealed(memory<Uint8Array>({ env }), {
        seal: seal({ compress: zstd(zlib), keys: { one: new Uint8Array(32) } }),
        storeId: 'test',
      }),
  },
});

conformance({
  name: 'prefixed, summed only, encoded as JSON',
  test,
  factory: {
    env,
    required,
    create: () => {
      const inside = prefixed(memory<Uint8Array>({ env }), 'p/');
      const outside = sealed(inside, { seal: seal(), storeId: 'test' });
      return encoded(outside, { codec: json() });
    },
  },
});

const folders = new WeakMap<Store<unknown>, string>();
const openFile = (path: string): Store<unknown> => {
  const store = sealed(file({ path, env, durability: 'os' }), { seal: secret, storeId: 'files' });
  folders.set(store as Store<unknown>, path);
  return store as Store<unknown>;
};
const pathOf = (store: Store<unknown>): string => folders.get(store) as string;

conformance({
  name: 'sealed files',
  test,
  factory: {
    env,
    required: { ...requiredCapabilities.file, durability: 'os', blocking: false },
    create: async () => openFile(await mkdtemp(join(tmpdir(), 'sealed-'))),
    reopen: async (store) => {
      await store.close();
      return openFile(pathOf(store));
    },
    destroy: (store) => rm(pathOf(store), { recursive: true, force: true }),
  },
});

function open(sealing: Seal = secret): { inner: Store<Uint8Array>; store: Store<Uint8Array> } {
  const inner = memory<Uint8Array>();
  return { inner, store: sealed(inner, { seal: sealing, storeId: 'users' }) };
}

describe('sealed', () => {
  it('keeps in the store inside nothing that can be read', async () => {
    const { inner, store } = open();
    const text = 'a secret that repeats, '.repeat(100);
    await store.set('a', bytesOf(text), { meta: { by: 'ada' } });
    const kept = (await inner.getEntry('a')) as { value: Uint8Array };
    expect(sealInfo(kept.value)).toEqual({ compression: 'gzip', keyId: 'one', bytes: 2_300 });
    expect(Buffer.from(kept.value).includes('secret')).toBe(false);
    expect(await store.getEntry('a')).toEqual({ ...kept, value: bytesOf(text) });
  });

  it('fails with corrupt, naming the key, wherever a value that does not open is read', async () => {
    const { inner, store } = open();
    await store.set('a', bytesOf('one'));
    // Put under another name by somebody who can write to the store.
    await inner.set('b', (await inner.get('a')) as Uint8Array);
    const corrupt = { code: 'corrupt', key: 'b', message: expect.stringContaining('"b"') };
    await expect(store.get('b')).rejects.toMatchObject({ ...corrupt, operation: 'get' });
    await expect(store.getMany(['a', 'b'])).rejects.toMatchObject(corrupt);
    await expect(Array.fromAsync(store.list())).rejects.toMatchObject(corrupt);
    await expect(store.update('b', () => bytesOf('two'))).rejects.toMatchObject(corrupt);
    const watch = store.watch({ after: 'start' })[Symbol.asyncIterator]();
    await expect(watch.next()).rejects.toMatchObject(corrupt);
    const elsewhere = sealed(inner, { seal: secret, storeId: 'others' });
    await expect(elsewhere.get('a')).rejects.toMatchObject({ code: 'corrupt', key: 'a' });
    expect(await Array.fromAsync(store.keys())).toEqual(['a', 'b']);
    expect(await store.delete('b')).toBe(true);
  });

  it('writes in the order of the calls, and the values as they were at the call', async () => {
    const waits = [20, 0, 10];
    const slow: Seal = {
      async freeze(bytes) {
        await new Promise((resolve) => setTimeout(resolve, waits[bytes[0] as number]));
        return bytes.slice();
      },
      thaw: async (bytes) => bytes.slice(),
    };
    const { store } = open(slow);
    const values = waits.map((_, at) => Uint8Array.of(at));
    const setting = values.map((value) => store.set('k', value));
    for (const value of values) value.fill(9);
    expect((await Promise.all(setting)).map(({ rev }) => rev)).toEqual([1, 2, 3]);
    expect(await store.get('k')).toEqual(Uint8Array.of(2));
  });

  it('knows the repetition of an immutable value by its content', async () => {
    const { inner, store } = open();
    const same = bytesOf('content');
    const first = await store.set('a', same, { immutable: true });
    expect(await store.set('a', same, { immutable: true })).toEqual(first);
    const twice = { type: 'set', key: 'b', value: same, immutable: true } as const;
    await store.batch([twice, twice]);
    await expect(store.set('a', bytesOf('other'), { immutable: true })).rejects.toMatchObject({
      code: 'conflict',
    });
    const racing = Array.from({ length: 5 }, () => store.set('c', same, { immutable: true }));
    expect(new Set((await Promise.all(racing)).map(({ version }) => version)).size).toBe(1);
    // A key that was rotated in between.
    const keys = { one: new Uint8Array(32).fill(1), two: new Uint8Array(32).fill(2) };
    const next = sealed(inner, { seal: seal({ keys, keyId: 'two' }), storeId: 'users' });
    expect(await next.set('a', same, { immutable: true })).toEqual(first);
  });

  it('does not retry a conflict of another key for ever', async () => {
    const { store } = open();
    await store.set('a', bytesOf('content'), { immutable: true });
    await store.set('b', bytesOf('one'));
    const batch = store.batch([
      { type: 'set', key: 'a', value: bytesOf('content'), immutable: true },
      { type: 'set', key: 'b', value: bytesOf('two'), if: 'absent' },
    ]);
    await expect(batch).rejects.toMatchObject({ code: 'conflict', key: 'b' });
  });

  it('refuses what is too large when sealed, before anything of its batch is applied', async () => {
    const inner = bounded(memory<Uint8Array>(), { maxValueBytes: 1_000 });
    const store = sealed(inner, { seal: secret, storeId: 'users' });
    const most = store.capabilities.maxValueBytes as number;
    expect(most).toBe(1_000 - (secret.overheadBytes as number));
    const noise = crypto.getRandomValues(new Uint8Array(1_000));
    await store.set('fits', noise.slice(0, most));
    expect(await store.get('fits')).toEqual(noise.slice(0, most));
    const swelling: Seal = { freeze: async () => noise.slice(), thaw: async (bytes) => bytes };
    const small = bounded(memory<Uint8Array>(), { maxValueBytes: 999 });
    const swollen = sealed(small, { seal: swelling, storeId: 'users' });
    const pair = swollen.setMany([['a', noise.slice(0, 5)]]);
    await expect(pair).rejects.toMatchObject({ code: 'invalid-argument', key: 'a' });
    expect(await Array.fromAsync(small.keys())).toEqual([]);
  });

  it('applies nothing of a write whose time ends while it is sealed', async () => {
    const { inner, store } = open({ freeze: () => new Promise(() => {}), thaw: async (b) => b });
    const setting = store.set('a', bytesOf('one'), { timeoutMs: 20 });
    await expect(setting).rejects.toMatchObject({ code: 'timeout' });
    expect(await inner.has('a')).toBe(false);
  });

  it('passes on what the store inside fails with', async () => {
    const plan = new FaultPlan().failNext('read').failNext('commit');
    const inner = faulty(memory<Uint8Array>(), plan);
    const store = sealed(inner, { seal: secret, storeId: 'users' });
    await expect(store.get('a')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(store.set('a', bytesOf('one'))).rejects.toMatchObject({ code: 'unavailable' });
    await store.set('a', bytesOf('one'));
    expect(await store.get('a')).toEqual(bytesOf('one'));
  });

  it('is replicated opened, to a store that seals for itself', async () => {
    const [from, to] = [open(), open(seal({ keys: { two: new Uint8Array(32).fill(2) } }))];
    await from.store.set('a', bytesOf('one'), { meta: { by: 'ada' } });
    const publication = publish(from.store);
    const [here, there] = channelPair();
    publication.accept(there);
    const subscription = subscribe(here, to.store);
    await subscription.ready;
    await from.store.set('b', bytesOf('two'));
    await expect.poll(() => to.inner.has('b')).toBe(true);
    expect(await to.store.getEntry('a')).toMatchObject({
      value: bytesOf('one'),
      meta: { by: 'ada' },
    });
    expect(sealInfo((await to.inner.get('b')) as Uint8Array).keyId).toBe('two');
    await subscription.close();
    await from.store.close();
    await to.store.close();
  });

  it('closes the store inside, unless told not to', async () => {
    const inner = memory<Uint8Array>();
    await sealed(inner, { seal: secret, storeId: 'users', closeInner: false }).close();
    expect(await inner.get('k')).toBeUndefined();
    await sealed(inner, { seal: secret, storeId: 'users' }).close();
    await expect(inner.get('k')).rejects.toMatchObject({ code: 'closed' });
  });

  it('refuses options that make no sense, and shows its shape without secrets', () => {
    const inner = memory<Uint8Array>();
    const cases: [unknown, RegExp][] = [
      [{ storeId: 'users' }, /seal is missing/],
      [{ seal: secret }, /storeId is missing/],
      [{ seal: { freeze: 1 }, storeId: 'users' }, /the option seal is/],
      [{ seal: secret, storeId: '' }, /the option storeId is ""/],
      [{ seal: secret, storeId: 'a', key: 1 }, /unknown option "key"/],
    ];
    for (const [options, message] of cases)
      expect(() => sealed(inner, options as never)).toThrow(message);
    expect(describeStore(sealed(inner, { seal: secret, storeId: 'users' }) as never)).toEqual({
      type: 'sealed',
      details: { storeId: 'users', seal: 'gzip + aes-256-gcm' },
      parts: { inner: { type: 'memory' } },
    });
    expect(primitivesOf(open().store).bytes).toBeUndefined();
  });
});
