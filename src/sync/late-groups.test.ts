import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { Peer } from '../../test/support/sync-peer.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { FaultPlan, faulty, simulatedEnv } from '../testing/index.ts';
import { OperationsWriter } from './batch-operations.ts';
import { channelPair, publish, subscribe } from './index.ts';
import type { MessageOf } from './protocol.ts';

const at = (rev: number) => ({ epoch: 'e', rev, id: `id${rev}` });
const ready: MessageOf<'ready'> = {
  type: 'ready',
  version: 1,
  sourceId: 'source',
  fresh: true,
  head: at(10),
  scope: 's',
  codec: 'raw',
  mayWrite: false,
  heartbeatMs: 1_000,
  nowMs: 1,
};

/** One group in one frame: of each key the text and the revision. */
function group(
  from: number,
  to: number,
  sets: Record<string, [text: string, rev: number]>,
): MessageOf<'batch'> {
  const writer = new OperationsWriter();
  for (const [key, [text, rev]] of Object.entries(sets))
    writer.addSet(
      { type: 'set', key, value: undefined, version: `v.${rev}`, rev, modifiedAt: 1 },
      bytes(text),
      'source',
      'e',
    );
  writer.finish();
  const operations = new Uint8Array(writer.byteLength);
  writer.writeInto(operations, 0);
  return { type: 'batch', fresh: from === 0, from, part: 0, end: at(to), operations };
}

describe('a group from before what is there', () => {
  const snapshot = group(0, 10, { a: ['new', 9], b: ['new', 9] });
  const older = group(5, 8, { a: ['old', 7] });

  it('changes nothing when it is taken in together with newer ones', async () => {
    const world = simulatedEnv(7);
    const local = memory<Uint8Array>({ env: world });
    const [here, there] = channelPair();
    const peer = new Peer(there);
    const subscription = subscribe(here, local);
    peer.send(ready, snapshot, older);
    await world.advance(1);
    expect(await contents(local)).toEqual({ a: 'new', b: 'new' });
    expect(subscription.status()).toMatchObject({ rev: 10, state: 'live' });
    expect(peer.received.at(-1)).toMatchObject({ type: 'ack', rev: 10 });
    await subscription.close();
  });

  it('nor when it comes later, and nobody hears of it', async () => {
    const world = simulatedEnv(7);
    const local = memory<Uint8Array>({ env: world });
    const [here, there] = channelPair();
    const peer = new Peer(there);
    const heard: string[] = [];
    const subscription = subscribe(here, local, {
      onChange: ({ value }) => void heard.push(new TextDecoder().decode(value)),
    });
    peer.send(ready, snapshot);
    await world.advance(1);
    peer.send(older);
    await world.advance(1);
    expect(await contents(local)).toEqual({ a: 'new', b: 'new' });
    expect(heard).toEqual(['new', 'new']);
    expect(subscription.status().rev).toBe(10);
    const acks = peer.received.filter((message) => message.type === 'ack');
    expect(acks.at(-1)?.bytes).toBeGreaterThan(acks[0]?.bytes ?? 0);
    await subscription.close();
  });
});

describe('a local store that fails as its source is checked', () => {
  it('is asked again, like one that fails at any other time', async () => {
    const world = simulatedEnv(7);
    const store = memory<Uint8Array>({ env: world });
    await store.set('a', bytes('1'));
    const plan = new FaultPlan();
    const local = memory<Uint8Array>({ env: world });
    plan.failNext('scan', 'timeout');
    const subscription = subscribe(new Line(publish(store)), faulty(local, plan));
    await world.advance(1_000);
    expect(subscription.status()).toMatchObject({ state: 'live', lag: 0 });
    expect(await contents(local)).toEqual({ a: '1' });
    await subscription.close();
  });
});
