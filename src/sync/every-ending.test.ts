import { expect, it } from 'vitest';
import { Peer } from '../../test/support/sync-peer.ts';
import { memory } from '../drivers/memory/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import type { EndReason } from './end-reason.ts';
import { channelPair, type Hub, hub, type Publication } from './index.ts';
import { MAX_HELLO_BYTES, MAX_PIECE_BYTES, type Message, type MessageOf } from './protocol.ts';
import { encodeRangeMessage } from './range-messages.ts';

/*
 * Every way in which a connection ends, with the code that the other side is given and the reason
 * under which it is counted.
 */

const hello: MessageOf<'hello'> = {
  type: 'hello',
  oldestVersion: 1,
  newestVersion: 2,
  storeId: 'notes',
  token: 'good',
  prefix: '',
  clientId: 'peer',
  sourceId: '',
  scope: '',
  cursor: undefined,
  creditBytes: 100_000,
};

const MANY_KEYS = 600;

interface World {
  readonly env: SimulatedEnv;
  readonly stores: Hub;
  readonly publication: Publication;
  readonly store: ReturnType<typeof memory<Uint8Array>>;
  connect(): Peer;
  /** As a subscriber that has greeted; it takes nothing in. */
  greeted(how?: Partial<MessageOf<'hello'>>): Promise<Peer>;
}

async function makeWorld(): Promise<World> {
  const env = simulatedEnv(12);
  const store = memory<Uint8Array>({ env });
  await store.setMany(
    Array.from({ length: MANY_KEYS }, (_, i) => [`key:${i}`, new Uint8Array(1_000)]),
  );
  const stores = hub({ env, limits: { readings: 1, turnTimeoutMs: 8_000 } });
  let asked = 0;
  const publication = stores.register('notes', store, {
    authorize: async ({ token }) => {
      if (token === 'shrinking') return { read: asked++ === 0 ? true : ['key:1'] };
      if (token === 'slow') await new Promise<void>((resolve) => void env.setTimer(resolve, 1e6));
      if (token === 'brief') return { read: true, expiresAt: env.now() + 3_000 };
      return (token === 'good' || token === 'slow') && { read: true, write: true };
    },
    limits: { writeBytes: 300_000, subscribers: 3, comparedKeys: 10 },
  });
  const connect = (): Peer => {
    const [here, there] = channelPair();
    stores.accept(there);
    return new Peer(here);
  };
  return {
    env,
    stores,
    publication,
    store,
    connect,
    greeted: async (how) => {
      const peer = connect();
      peer.send({ ...hello, ...how });
      await env.advance(1);
      return peer;
    },
  };
}

/** Acknowledges heartbeats, and nothing else, for so long. */
async function idle(env: SimulatedEnv, peer: Peer, seconds: number): Promise<void> {
  for (let second = 0; second < seconds && peer.closed === undefined; second++) {
    peer.send({ type: 'ack', rev: 0, bytes: 0 });
    await env.advance(1_000);
  }
}

interface Row {
  readonly what: string;
  readonly code: number;
  /** Plays it; gives the end of the connection that is looked at. */
  play(world: World): Promise<Peer>;
}

const greetedThenSends =
  (...messages: readonly Message[]) =>
  async ({ greeted }: World): Promise<Peer> => {
    const peer = await greeted();
    peer.send(...messages);
    return peer;
  };

const firstSends =
  (...frames: readonly Uint8Array[]) =>
  async ({ connect }: World): Promise<Peer> => {
    const peer = connect();
    for (const frame of frames) peer.raw(frame);
    return peer;
  };

const emptyWrite = (id: number): Message => ({
  type: 'write',
  id,
  last: true,
  writes: new Uint8Array(0),
});
const FORGED = { epoch: 'forged', rev: 1, id: 'x' };
const idleAck: Message = { type: 'ack', rev: 0, bytes: 0 };

const rows: Record<EndReason, readonly Row[]> = {
  'closed-by-subscriber': [
    {
      what: 'closes',
      code: 1000,
      play: async ({ greeted }) => {
        const peer = await greeted();
        peer.close(1000);
        return peer;
      },
    },
  ],
  lost: [
    {
      what: 'is cut off',
      code: 1006,
      play: async ({ greeted }) => {
        const peer = await greeted();
        peer.close(1006);
        return peer;
      },
    },
  ],
  'going-away': [
    {
      what: 'is sent away at the end',
      code: 1001,
      play: async ({ greeted, publication }) => {
        const peer = await greeted();
        await publication.close();
        return peer;
      },
    },
  ],
  'handshake-timeout': [
    { what: 'never says hello', code: 1008, play: async ({ connect }) => connect() },
    {
      what: 'is still being looked up',
      code: 1008,
      play: ({ greeted }) => greeted({ token: 'slow' }),
    },
  ],
  'turned-away': [
    {
      what: 'waits too long for its turn to read',
      code: 1013,
      play: async ({ env, greeted, publication }) => {
        const reader = await greeted({ clientId: 'reader', creditBytes: 1 });
        const peer = await greeted();
        for (let second = 0; second < 9; second += 2) {
          await idle(env, peer, 2);
          // A little at a time, and too much to be stalled.
          const reading = publication.stats().subscribers.find(({ id }) => id === 'reader');
          reader.send({ type: 'ack', rev: 0, bytes: reading?.sentBytes ?? 0 });
        }
        return peer;
      },
    },
  ],
  'no-progress': [
    { what: 'greets and then says nothing', code: 1013, play: ({ greeted }) => greeted() },
    {
      what: 'is silent in a comparison',
      code: 1013,
      play: async ({ greeted }) => {
        const former = await greeted();
        former.close(1000);
        const [ready] = former.received;
        if (ready?.type !== 'ready') throw new Error('it was not greeted');
        const { sourceId, scope } = ready;
        const peer = await greeted({ sourceId, scope, cursor: FORGED });
        // A cursor that the store does not know is never gone on from.
        expect(peer.received[0]).toMatchObject({ type: 'ready', fresh: true });
        expect(peer.types()).toEqual(['ready', 'range']);
        return peer;
      },
    },
    {
      what: 'answers heartbeats and takes nothing in',
      code: 1013,
      play: async ({ env, greeted }) => {
        const peer = await greeted();
        await idle(env, peer, 100);
        return peer;
      },
    },
    {
      what: 'holds up a turn that another waits for',
      code: 1013,
      play: async ({ env, greeted }) => {
        const peer = await greeted({ creditBytes: 1 });
        const other = await greeted({ clientId: 'other' });
        for (let second = 0; second < 7; second++) {
          other.send(idleAck);
          await idle(env, peer, 1);
        }
        return peer;
      },
    },
  ],
  'protocol-error': [
    { what: 'sends no hello first', code: 1002, play: firstSends(Uint8Array.of(5, 0, 0)) },
    { what: 'sends an unknown message', code: 1002, play: firstSends(Uint8Array.of(200)) },
    { what: 'says hello twice', code: 1002, play: greetedThenSends(hello) },
    {
      what: 'takes in what was never sent',
      code: 1002,
      play: greetedThenSends({ type: 'ack', rev: 0, bytes: 1e9 }),
    },
    {
      what: 'repeats the id of a write',
      code: 1002,
      play: greetedThenSends(emptyWrite(2), emptyWrite(2)),
    },
    {
      what: 'compares when nothing is compared',
      code: 1002,
      play: greetedThenSends({ type: 'range', body: encodeRangeMessage({ kind: 'give-up' }) }),
    },
    {
      what: 'repeats the same ack for ever',
      code: 1008,
      play: async ({ greeted }) => {
        const peer = await greeted();
        for (let at = 0; at < 10_100; at++) peer.send(idleAck);
        return peer;
      },
    },
  ],
  malformed: [
    { what: 'sends an empty frame', code: 1007, play: firstSends(new Uint8Array(0)) },
    { what: 'sends half a frame', code: 1007, play: firstSends(Uint8Array.of(1, 1)) },
    {
      what: 'sends damaged writes',
      code: 1007,
      play: greetedThenSends({ ...emptyWrite(1), writes: Uint8Array.of(128, 1) } as Message),
    },
  ],
  'too-large': [
    {
      what: 'greets with a large frame',
      code: 1009,
      play: firstSends(new Uint8Array(MAX_HELLO_BYTES + 1)),
    },
    {
      what: 'sends pieces without end',
      code: 1009,
      play: greetedThenSends(
        ...[0, 1].map((at) => ({
          type: 'piece' as const,
          offset: at * MAX_PIECE_BYTES,
          bytes: new Uint8Array(MAX_PIECE_BYTES),
        })),
      ),
    },
  ],
  denied: [
    { what: 'has no token', code: 1008, play: ({ greeted }) => greeted({ token: '' }) },
    { what: 'has a wrong one', code: 1008, play: ({ greeted }) => greeted({ token: 'bad' }) },
  ],
  'rights-expired': [
    {
      what: 'stays beyond its rights',
      code: 1008,
      play: async ({ env, greeted }) => {
        const peer = await greeted({ token: 'brief' });
        await env.advance(3_000);
        return peer;
      },
    },
  ],
  'rights-changed': [
    {
      what: 'may see less than before',
      code: 1013,
      play: async ({ env, greeted, publication }) => {
        const peer = await greeted({ token: 'shrinking' });
        await Promise.all([publication.reauthorize(), env.advance(5)]);
        return peer;
      },
    },
  ],
  refused: [
    {
      what: 'asks for an unknown store',
      code: 1008,
      play: ({ greeted }) => greeted({ storeId: 'x' }),
    },
    {
      what: 'asks for an endless prefix',
      code: 1008,
      play: ({ greeted }) => greeted({ prefix: 'p'.repeat(513) }),
    },
    {
      what: 'speaks another version',
      code: 1008,
      play: ({ greeted }) => greeted({ oldestVersion: 90, newestVersion: 91 }),
    },
  ],
  overloaded: [
    {
      what: 'is one too many',
      code: 1013,
      play: async ({ greeted }) => {
        for (let at = 0; at < 3; at++) await greeted({ clientId: `${at}` });
        return greeted();
      },
    },
  ],
  failed: [
    {
      what: 'meets a store that is closed',
      code: 1013,
      play: async ({ greeted, store }) => {
        await store.close();
        return greeted();
      },
    },
  ],
};

for (const [reason, cases] of Object.entries(rows))
  it.each(cases)(`counts who $what as '${reason}'`, async ({ code, play }) => {
    const world = await makeWorld();
    const peer = await play(world);
    await world.env.advance(70_000);
    expect(peer.closed).toBe(code);
    expect(world.stores.status().endings[reason as EndReason]).toBeGreaterThan(0);
  });
