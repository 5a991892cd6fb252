/** Over IndexedDB, with what every browser has: gzip by its streams, AES by WebCrypto. */
import { deleteDB } from 'idb';
import { describe, expect, it } from 'vitest';
import { indexeddb } from '../../drivers/indexeddb/index.ts';
import { json, type Store } from '../../store/index.ts';
import { describeStore } from '../../store/internals.ts';
import { conformance } from '../../testing/index.ts';
import { encoded } from '../encoded/index.ts';
import { gzip, seal, sealed, sealInfo } from './index.ts';

const secret = seal({ compress: gzip(), keys: { one: new Uint8Array(32).fill(1) } });
const openSealed = (name: string): Store<unknown> => {
  const bytes = indexeddb({ name }) as Store<Uint8Array>;
  return encoded(sealed(bytes, { seal: secret, storeId: 'page' }), { codec: json() });
};
const nameOf = (store: Store<unknown>): string =>
  String(describeStore(store).parts?.inner?.parts?.inner?.details?.name);

conformance({
  name: 'sealed indexeddb',
  test: { describe, it },
  factory: {
    create: () => openSealed(`sealed-${crypto.randomUUID()}`),
    reopen: async (store) => {
      await store.close();
      return openSealed(nameOf(store));
    },
    destroy: async (store) => deleteDB(nameOf(store)),
  },
});

describe('a seal in a browser', () => {
  const place = { key: 'k', storeId: 's' };

  it('compresses, encrypts and opens', async () => {
    const bytes = new TextEncoder().encode('to be or not to be, '.repeat(5_000));
    const frozen = await secret.freeze(bytes, place);
    expect(frozen.length).toBeLessThan(bytes.length / 10);
    expect(sealInfo(frozen)).toEqual({ compression: 'gzip', keyId: 'one', bytes: bytes.length });
    expect(await secret.thaw(frozen, place)).toEqual(bytes);
    await expect(secret.thaw(frozen, { key: 'k' })).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('stops a bomb at the length its header names', async () => {
    const host = gzip();
    const zeros = new Uint8Array(64 * 1024 * 1024);
    const liar = { ...host, compress: () => host.compress(zeros) };
    const bomb = await seal({ compress: liar }).freeze(new Uint8Array(100_000), place);
    await expect(seal().thaw(bomb, place)).rejects.toMatchObject({ code: 'corrupt' });
  });
});
