import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { Peer } from '../../test/support/sync-peer.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { channelPair, type Publication, publish, subscribe } from './index.ts';
import {
  encodeMessage,
  MAX_HELLO_BYTES,
  MAX_PIECE_BYTES,
  type Message,
  type MessageOf,
} from './protocol.ts';
import { ByteWriter } from './wire.ts';
import { putWrite } from './writes.ts';

const hello: MessageOf<'hello'> = {
  type: 'hello',
  oldestVersion: 1,
  newestVersion: 1,
  storeId: '',
  token: 'good',
  prefix: '',
  clientId: 'peer',
  sourceId: '',
  scope: '',
  cursor: undefined,
  creditBytes: 100_000,
};

interface Server {
  readonly world: SimulatedEnv;
  readonly store: ReturnType<typeof memory<Uint8Array>>;
  readonly publication: Publication;
  connect(): Peer;
}

async function server(): Promise<Server> {
  const world = simulatedEnv(9);
  const store = memory<Uint8Array>({ env: world });
  await store.set('secret/1', bytes('hidden'));
  await store.set('open/1', bytes('shown'));
  const publication = publish(store, {
    authorize: ({ token }) => token === 'good' && { read: ['open/'], write: ['open/'] },
    limits: { writeBytes: 1_000_000, pendingWrites: 4 },
  });
  const connect = (): Peer => {
    const [here, there] = channelPair();
    publication.accept(there);
    return new Peer(here);
  };
  return { world, store, publication, connect };
}

const ack = (rev: number, taken: number): Message => ({ type: 'ack', rev, bytes: taken });
const write = (id: number, body: Uint8Array, last = true): Message => ({
  type: 'write',
  id,
  last,
  writes: body,
});

describe('a server and a bad subscriber', () => {
  const breaches: Record<string, { send: (peer: Peer) => void; code: number; greeted?: boolean }> =
    {
      'sends no hello first': { send: (peer) => peer.send(ack(0, 0)), code: 1002 },
      'sends nonsense': { send: (peer) => peer.raw(Uint8Array.of(200, 1, 2)), code: 1002 },
      'sends nothing in a frame': { send: (peer) => peer.raw(new Uint8Array(0)), code: 1007 },
      'sends a large first frame': {
        send: (peer) => peer.raw(new Uint8Array(MAX_HELLO_BYTES + 1)),
        code: 1009,
      },
      'says hello twice': { send: (peer) => peer.send(hello), code: 1002, greeted: true },
      'sends what only a server sends': {
        send: (peer) => peer.send({ type: 'live', rev: 1 }),
        code: 1002,
        greeted: true,
      },
      'acknowledges what was never sent': {
        send: (peer) => peer.send(ack(1, 1e9)),
        code: 1002,
        greeted: true,
      },
      'sends damaged writes': {
        send: (peer) => peer.send(write(1, Uint8Array.of(128, 1, 1))),
        code: 1007,
        greeted: true,
      },
      'repeats the id of a write': {
        send: (peer) => {
          peer.send(write(2, new Uint8Array(0)));
          peer.send(write(1, new Uint8Array(0)));
        },
        code: 1002,
        greeted: true,
      },
      'sends pieces without end': {
        send: (peer) => {
          for (let offset = 0; offset < 5_000_000; offset += MAX_PIECE_BYTES)
            peer.send({ type: 'piece', offset, bytes: new Uint8Array(MAX_PIECE_BYTES) });
        },
        code: 1009,
        greeted: true,
      },
      'sends pieces out of order': {
        send: (peer) => peer.send({ type: 'piece', offset: 5, bytes: new Uint8Array(5) }),
        code: 1002,
        greeted: true,
      },
      'sends a write without end': {
        send: (peer) => {
          const into = new ByteWriter();
          putWrite(into, { type: 'set', key: 'a', value: new Uint8Array(200_000) });
          for (let i = 0; i < 10; i++) peer.send(write(1, into.view(), false));
        },
        code: 1009,
        greeted: true,
      },
    };

  for (const [what, { send, code, greeted }] of Object.entries(breaches)) {
    it(`closes with ${code} when it ${what}, and serves the others`, async () => {
      const { world, store, publication, connect } = await server();
      const good = new Line(publication);
      const local = memory<Uint8Array>({ env: world });
      const subscription = subscribe(good, local, { token: 'good' });
      const peer = connect();
      if (greeted) {
        peer.send(hello);
        await world.advance(1);
        expect(peer.types()[0]).toBe('ready');
      }
      send(peer);
      await world.advance(10);
      expect(peer.closed).toBe(code);
      const reasons: Record<number, string> = { 1007: 'malformed', 1009: 'too-large' };
      expect(publication.stats().endings).toEqual({ [reasons[code] ?? 'protocol-error']: 1 });
      await store.set('open/2', bytes('still served'));
      await world.advance(10);
      expect(await contents(local)).toEqual({ 'open/1': 'shown', 'open/2': 'still served' });
      await subscription.close();
    });
  }

  it('ends who says nothing: before the hello, and after it', async () => {
    const { world, publication, connect } = await server();
    const silent = connect();
    await world.advance(9_999);
    expect(silent.closed).toBeUndefined();
    await world.advance(2);
    expect(silent.closed).toBe(1008);
    const mute = connect();
    mute.send(hello);
    await world.advance(60_000);
    expect(mute.closed).toBe(1013);
    expect(publication.stats().endings).toEqual({ 'handshake-timeout': 1, 'no-progress': 1 });
  });

  it('sends no more than the credit, and nothing that the rights leave out', async () => {
    const { world, store, connect } = await server();
    await store.setMany(
      Array.from({ length: 500 }, (_, i) => [`open/x${i}`, new Uint8Array(1_000)]),
    );
    const peer = connect();
    peer.send(hello);
    await world.advance(10);
    const batches = peer.received.filter((message) => message.type === 'batch');
    const sent = batches.reduce((sum, { operations }) => sum + operations.length, 0);
    expect(sent).toBeGreaterThan(50_000);
    expect(sent).toBeLessThan(100_000 + 70_000);
    const everything = batches.map(({ operations }) => new TextDecoder().decode(operations)).join();
    expect(everything).toContain('open/1');
    expect(everything).not.toContain('secret');
    expect(everything).not.toContain('hidden');
    await store.set('secret/2', bytes('later'));
    await world.advance(10);
    expect(peer.types().filter((type) => type === 'ready')).toHaveLength(1);
  });

  it('refuses a missing, a wrong and a refused token alike, and tells no more', async () => {
    const { world, publication, connect } = await server();
    const texts = new Set<string>();
    for (const token of ['', 'bad']) {
      const peer = connect();
      peer.send({ ...hello, token });
      await world.advance(5);
      expect(peer.closed).toBe(1008);
      expect(peer.received).toMatchObject([{ type: 'error', id: 0, code: 'denied' }]);
      for (const message of peer.received) if (message.type === 'error') texts.add(message.message);
    }
    expect([...texts].join()).not.toMatch(/good|secret/);
    expect(publication.stats().endings).toEqual({ denied: 2 });
  });

  it('takes what authorize throws, or gives by mistake, as a refusal', async () => {
    const world = simulatedEnv(2);
    const store = memory<Uint8Array>({ env: world });
    const answers: (() => unknown)[] = [
      () => {
        throw new Error('database away');
      },
      () => ({ read: 'everything' }),
      () => ({}),
      () => undefined,
      async () => Promise.reject(new Error('later')),
    ];
    for (const answer of answers) {
      const line = new Line(publish(store, { authorize: answer as never }));
      const subscription = subscribe(line, memory<Uint8Array>({ env: world }), { token: 'x' });
      await world.advance(5);
      await expect(subscription.ready).rejects.toMatchObject({ code: 'denied' });
      expect(line.connections).toBe(1);
    }
  });

  it('asks again with a fresh token when the rights end', async () => {
    const world = simulatedEnv(2);
    const store = memory<Uint8Array>({ env: world });
    let tokens = 0;
    const seen: string[] = [];
    const publication = publish(store, {
      authorize: ({ token }) => {
        seen.push(token);
        return { read: true, expiresAt: world.now() + 5_000 };
      },
    });
    const line = new Line(publication);
    const local = memory<Uint8Array>({ env: world });
    const subscription = subscribe(line, local, { token: async () => `token ${++tokens}` });
    await world.advance(12_000);
    expect(seen).toEqual(['token 1', 'token 2', 'token 3']);
    expect(publication.stats().endings).toEqual({ 'rights-expired': 2 });
    await store.set('a', bytes('1'));
    await world.advance(100);
    expect(await contents(local)).toEqual({ a: '1' });
    await subscription.close();
  });

  it('speaks with no version but its own', async () => {
    const { world, connect } = await server();
    const future = connect();
    future.send({ ...hello, oldestVersion: 4, newestVersion: 9 });
    const newer = connect();
    newer.send({ ...hello, newestVersion: 9 });
    await world.advance(5);
    expect(future.received).toMatchObject([{ type: 'error', code: 'unsupported' }]);
    expect(newer.received[0]).toMatchObject({ type: 'ready', version: 3 });
  });

  it('lives through any frames', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.uint8Array({ maxLength: 40 }),
            fc
              .record({ type: fc.constant('ack' as const), rev: fc.nat(), bytes: fc.nat(300) })
              .map(encodeMessage),
            fc
              .record({
                type: fc.constant('write' as const),
                id: fc.nat(3),
                last: fc.boolean(),
                writes: fc.uint8Array({ maxLength: 30 }),
              })
              .map(encodeMessage),
          ),
          { maxLength: 12 },
        ),
        async (frames) => {
          const { world, store, publication, connect } = await server();
          const peer = connect();
          peer.send(hello);
          await world.advance(1);
          for (const frame of frames) peer.raw(frame);
          await world.advance(40_000);
          expect(publication.stats().subscribers.length + (peer.closed === undefined ? 0 : 1)).toBe(
            1,
          );
          expect(await store.has('secret/1')).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });
});
