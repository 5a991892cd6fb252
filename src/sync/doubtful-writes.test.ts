/** Writes that cannot be checked or passed on as they should: nothing may be said of them that is not sure. */
import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { Peer } from '../../test/support/sync-peer.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import type { Store } from '../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../testing/index.ts';
import { type Forwarder, forwarders } from './forwarding.ts';
import { channelPair, type PublishOptions, publish, subscribe } from './index.ts';
import type { MessageOf } from './protocol.ts';
import { sourceSide } from './sides.ts';
import { ByteWriter } from './wire.ts';
import { forwardTarget } from './write-target.ts';
import { putWrite, type WireWrite } from './writes.ts';

const token = 't';
const authorize = () => ({ read: true, write: true });

const hello: MessageOf<'hello'> = {
  type: 'hello',
  oldestVersion: 1,
  newestVersion: 3,
  storeId: '',
  token,
  prefix: '',
  clientId: 'c',
  sourceId: '',
  scope: '',
  cursor: undefined,
  creditBytes: 1_000_000,
};
const attempt: MessageOf<'attempt'> = {
  type: 'attempt',
  writer: 'w',
  sequence: 1,
  again: false,
  existence: false,
  since: undefined,
};
const again: MessageOf<'attempt'> = { ...attempt, again: true };

function write(id: number, key: string): MessageOf<'write'> {
  const into = new ByteWriter();
  const what: WireWrite = { type: 'set', key, value: bytes('1') };
  putWrite(into, what);
  return { type: 'write', id, last: true, writes: into.view().slice() };
}

/** A server of which the filter and the store may fail. */
async function server(options: PublishOptions<Uint8Array> = {}) {
  const world = simulatedEnv(4);
  const store = memory<Uint8Array>({ env: world });
  const plan = new FaultPlan();
  const publication = publish(faulty(store, plan) as Store<Uint8Array>, {
    authorize,
    ...options,
  });
  const join = async (): Promise<Peer> => {
    const [here, there] = channelPair();
    publication.accept(there);
    const peer = new Peer(here);
    peer.send(hello);
    await world.advance(5);
    return peer;
  };
  return { world, store, plan, join };
}

describe('a write that was asked for before', () => {
  it.each<[string, PublishOptions<Uint8Array>, (plan: FaultPlan) => void]>([
    ['the filter fails', {}, () => undefined],
    ['the store cannot be looked at', {}, (plan) => plan.failNext('scan', 'unavailable')],
  ])('is not said to have failed when %s', async (what, options, fail) => {
    let isBroken = false;
    const filter = (): boolean => {
      if (isBroken) throw new Error('broken');
      return true;
    };
    const { world, plan, store, join } = await server({ ...options, filter });
    const peer = await join();
    peer.send(attempt, write(1, 'a'));
    await world.advance(2_000);
    expect(await contents(store)).toEqual({ a: '1' });
    isBroken = what.includes('filter');
    fail(plan);
    peer.send(again, write(2, 'a'));
    await world.advance(5);
    const answer = peer.received.findLast(({ type }) => type === 'result' || type === 'error');
    // Done, or nobody knows: but never that it was not.
    if (answer?.type === 'error')
      expect(answer).toMatchObject({ id: 2, code: 'unknown-outcome', retryable: true });
    else expect(answer).toMatchObject({ type: 'result', id: 2, rev: 1 });
  });
});

describe('a copy', () => {
  /** A store, a copy of it, and the copy published without `forward`. */
  async function copied() {
    const world = simulatedEnv(5);
    const source = memory<Uint8Array>({ env: world });
    const copy = memory<Uint8Array>({ env: world });
    const upstream = subscribe(new Line(publish(source, { authorize })), copy, { token });
    await world.advance(50);
    const plan = new FaultPlan();
    const publication = publish(faulty(copy, plan) as Store<Uint8Array>, { authorize });
    const join = async (): Promise<Peer> => {
      const [here, there] = channelPair();
      publication.accept(there);
      const peer = new Peer(here);
      peer.send(hello);
      await world.advance(5);
      return peer;
    };
    return { world, copy, plan, join, upstream };
  }

  it('takes no write of its keys while it is being found out that they are copied', async () => {
    const { world, copy, plan, join, upstream } = await copied();
    const [one, two] = [await join(), await join()];
    plan.hangNext('scan');
    one.send(attempt, write(1, 'a'));
    two.send({ ...attempt, writer: 'v' }, write(1, 'b'));
    await world.advance(5);
    plan.release();
    await world.advance(50);
    for (const peer of [one, two])
      expect(peer.received).toContainEqual(
        expect.objectContaining({ type: 'error', id: 1, code: 'unsupported' }),
      );
    expect(await contents(copy)).toEqual({});
    await upstream.close();
  });

  it('takes no write of its keys after that could not be found out', async () => {
    const { world, copy, plan, join, upstream } = await copied();
    const peer = await join();
    plan.failNext('scan', 'unavailable');
    peer.send(attempt, write(1, 'a'), { ...attempt, sequence: 2 }, write(2, 'b'));
    await world.advance(5);
    expect(peer.received.filter(({ type }) => type === 'error')).toMatchObject([
      { id: 1, code: 'unavailable' },
      { id: 2, code: 'unsupported' },
    ]);
    expect(await contents(copy)).toEqual({});
    await upstream.close();
  });
});

describe('a forwarded write', () => {
  it.each([attempt, undefined])(
    'that was done is not said to have failed when the copy cannot be asked where it stands',
    async (numbered) => {
      const world = simulatedEnv(6);
      const source = memory<Uint8Array>({ env: world });
      const relay = memory<Uint8Array>({ env: world });
      const upstream = subscribe(new Line(publish(source, { authorize })), relay, { token });
      await world.advance(50);
      const plan = new FaultPlan();
      const side = sourceSide(faulty(relay, plan) as Store<Uint8Array>, undefined);
      const forwarder = forwarders.get(upstream.remote) as Forwarder;
      const target = forwardTarget(side, world, forwarder);
      plan.failNext('feed', 'unavailable');
      const write = { type: 'set', key: 'a', value: bytes('1') } as const;
      const written = target.apply([write], numbered);
      written.catch(() => undefined);
      await world.advance(50);
      expect(await contents(source)).toEqual({ a: '1' });
      await expect(written).rejects.toMatchObject({
        code: 'unknown-outcome',
        retryable: numbered !== undefined,
      });
      await upstream.close();
    },
  );
});
