import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { copied } from '../../test/support/reconcile-world.ts';
import { Peer } from '../../test/support/sync-peer.ts';
import { primitivesOf } from '../store/internals.ts';
import { recordKey } from './cursor-record.ts';
import { channelPair } from './index.ts';
import { encodeRangeMessage } from './range-messages.ts';

describe('a bad subscriber', () => {
  const range = (body: Uint8Array) => ({ type: 'range' as const, body });
  const ask = encodeRangeMessage({
    kind: 'ask',
    ask: { spans: [{ lower: '', upper: undefined }] },
  });

  async function greeted(newestVersion = 2) {
    const it = await copied(2_000);
    const { record } = { record: primitivesOf(it.local).blocking?.readOne(recordKey('')) };
    const { sourceId, scope } = JSON.parse(words(record?.value) ?? '');
    const [here, there] = channelPair();
    const peer = new Peer(here);
    it.publication.accept(there);
    peer.send({
      type: 'hello',
      oldestVersion: 1,
      newestVersion,
      storeId: '',
      token: '',
      prefix: '',
      clientId: 'c',
      sourceId,
      scope,
      cursor: { epoch: 'another', rev: 1, id: 'x' },
      creditBytes: 2 ** 20,
    });
    await it.world.advance(5);
    return { ...it, peer };
  }

  it('of version 1 gets its snapshot', async () => {
    const { peer } = await greeted(1);
    expect(peer.received[0]).toMatchObject({ type: 'ready', version: 1, fresh: true });
    expect(peer.types()).not.toContain('range');
    expect(peer.types()).toContain('batch');
  });

  it.each<[string, readonly Uint8Array[], number]>([
    ['asks twice', [ask, ask], 1002],
    ['sends nonsense', [Uint8Array.of(77)], 1007],
    ['answers', [encodeRangeMessage({ kind: 'answer', answer: { parts: [] } })], 1002],
    ['asks for nothing', [encodeRangeMessage({ kind: 'ask', ask: { spans: [] } })], 1007],
    ['wants a key twice', [Uint8Array.of(3, 1, 2, 0, 1, 97, 1, 0)], 1007],
    ['goes on when it is over', [Uint8Array.of(4), ask], 1002],
  ])('that %s is sent away', async (_, bodies, code) => {
    const { peer, world } = await greeted();
    for (const body of bodies) peer.send(range(body));
    await world.advance(5);
    expect(peer.closed).toBe(code);
  });

  it('learns nothing of keys beside its scope, whatever it wants', async () => {
    const { peer, world, store } = await greeted();
    primitivesOf(store).blocking?.commit(
      [{ type: 'set', key: '\u0000secret', value: bytes('secret') }],
      'set',
    );
    const key = new TextEncoder().encode('\u0000secret');
    peer.send(range(Uint8Array.of(3, 1, 1, 0, key.length, ...key)));
    await world.advance(5);
    const batches = peer.received.filter((message) => message.type === 'batch');
    expect(batches).toHaveLength(1);
    expect(new TextDecoder().decode(batches[0]?.operations)).not.toContain('\u0000secretsecret');
    expect(batches[0]).toMatchObject({ fresh: false });
  });
});
