import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { Peer } from '../../test/support/sync-peer.ts';
import { contents } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { OperationsWriter } from './batch-operations.ts';
import { channelPair, subscribe } from './index.ts';
import type { MessageOf } from './protocol.ts';

describe('a subscriber and a bad server', () => {
  /** A server that does as it is told; `greet` answers the hello. */
  function played(world: SimulatedEnv, play: (peer: Peer) => void) {
    const peers: Peer[] = [];
    const local = memory<Uint8Array>({ env: world });
    const errors: string[] = [];
    const subscription = subscribe(
      {
        connect: () => {
          const [here, there] = channelPair();
          const peer = new Peer(there);
          peers.push(peer);
          play(peer);
          return here;
        },
      },
      local,
      { onError: (error) => errors.push((error as { code?: string }).code ?? '') },
    );
    return { peers, local, errors, subscription };
  }

  const position = { epoch: 'e', rev: 5, id: 'i' };
  const ready: MessageOf<'ready'> = {
    type: 'ready',
    version: 1,
    sourceId: 'source',
    fresh: true,
    head: position,
    scope: 's',
    codec: 'raw',
    mayWrite: false,
    heartbeatMs: 1_000,
    nowMs: 1,
  };
  const operations = (): Uint8Array => {
    const writer = new OperationsWriter();
    writer.addSet(
      { type: 'set', key: 'a', value: undefined, version: 'v', rev: 1, modifiedAt: 1 },
      bytes('1'),
      'source',
      'e',
    );
    writer.finish();
    const block = new Uint8Array(writer.byteLength);
    writer.writeInto(block, 0);
    return block;
  };
  const batch = (more: Partial<MessageOf<'batch'>> = {}): MessageOf<'batch'> => ({
    type: 'batch',
    fresh: true,
    from: 0,
    part: 0,
    end: position,
    operations: operations(),
    ...more,
  });

  const breaches: Record<string, (peer: Peer) => void> = {
    'sends nonsense': (peer) => peer.raw(Uint8Array.of(99)),
    'sends a batch before ready': (peer) => peer.send(batch()),
    'sends no snapshot when it said so': (peer) => peer.send(ready, batch({ fresh: false })),
    'goes on from nowhere': (peer) => peer.send({ ...ready, fresh: false }),
    'skips a part': (peer) => peer.send(ready, batch({ end: undefined }), batch({ part: 2 })),
    'repeats a part': (peer) =>
      peer.send(
        ready,
        batch({ end: undefined }),
        batch({ part: 1, end: undefined }),
        batch({ part: 1 }),
      ),
    'leaves a gap': (peer) =>
      peer.send(ready, batch(), batch({ fresh: false, from: 6, end: { ...position, rev: 7 } })),
    'changes the epoch': (peer) =>
      peer.send(
        ready,
        batch(),
        batch({ fresh: false, from: 5, end: { epoch: 'x', rev: 7, id: 'i' } }),
      ),
    'sends a damaged batch': (peer) => peer.send(ready, batch({ operations: bytes('damage') })),
    'chooses another version': (peer) => peer.send({ ...ready, version: 7 }),
    'says nothing': () => undefined,
    'falls silent': (peer) => peer.send(ready),
  };

  for (const [what, play] of Object.entries(breaches)) {
    it(`reports it and connects again when it ${what}`, async () => {
      const world = simulatedEnv(4);
      const { peers, local, errors, subscription } = played(world, play);
      await world.advance(30_000);
      expect(peers.length).toBeGreaterThan(1);
      expect(['corrupt', 'unavailable']).toContain(errors[0]);
      const held = await contents(local);
      expect(held).toEqual(
        what.startsWith('leaves') || what.startsWith('changes') ? { a: '1' } : {},
      );
      await subscription.close();
      expect(world.pendingTimers).toBe(0);
    });
  }

  it('takes a group again from its first part, as after a skip', async () => {
    const world = simulatedEnv(4);
    const { local, errors, subscription } = played(world, (peer) =>
      peer.send(ready, batch({ end: undefined }), batch({ end: undefined }), batch({ part: 1 })),
    );
    await world.advance(5);
    expect(errors).toEqual([]);
    expect(await contents(local)).toEqual({ a: '1' });
    await subscription.close();
  });

  it('gives up a group that never ends', async () => {
    const world = simulatedEnv(4);
    const [here, there] = channelPair();
    const peer = new Peer(there);
    const subscription = subscribe(here, memory<Uint8Array>({ env: world }), {
      limits: { groupBytes: 10_000 },
    });
    peer.send(ready);
    for (let part = 0; part < 1_000; part++) peer.send(batch({ part, end: undefined }));
    await world.advance(5);
    await expect(subscription.ready).rejects.toMatchObject({ code: 'overloaded' });
  });
});
