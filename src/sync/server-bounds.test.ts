import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { Peer } from '../../test/support/sync-peer.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { channelPair, hub, publish, type Rights, subscribe } from './index.ts';
import { MAX_PIECE_BYTES, type MessageOf } from './protocol.ts';
import { ByteWriter } from './wire.ts';
import { putWrite } from './writes.ts';

const hello: MessageOf<'hello'> = {
  type: 'hello',
  oldestVersion: 1,
  newestVersion: 1,
  storeId: '',
  token: '',
  prefix: '',
  clientId: 'peer',
  sourceId: '',
  scope: '',
  cursor: undefined,
  creditBytes: 1_000,
};

const source = (world: SimulatedEnv) => memory<Uint8Array>({ env: world });

describe('rights', () => {
  it('end when they say, not at the next heartbeat', async () => {
    const world = simulatedEnv(8);
    const store = source(world);
    const publication = publish(store, {
      authorize: () => ({ read: true, expiresAt: world.now() + 15_000 }),
    });
    const local = source(world);
    const subscription = subscribe(new Line(publication), local, { token: 't', reconnect: false });
    await world.advance(15_010);
    await store.set('secret', bytes('too late'));
    await world.advance(10);
    expect(publication.stats().endings).toEqual({ 'rights-expired': 1 });
    expect(await contents(local)).toEqual({});
    await subscription.close();
  });

  for (const wrong of [{ expiresAt: 'tomorrow' }, { expiresAt: Number.NaN }, { scope: 7 }])
    it(`are refused when they are odd: ${JSON.stringify(wrong)}`, async () => {
      const world = simulatedEnv(8);
      const heard: string[] = [];
      const publication = publish(source(world), {
        authorize: () => ({ read: true, ...wrong }) as Rights,
        onError: ({ code }) => heard.push(code),
      });
      const subscription = subscribe(new Line(publication), source(world), { token: 't' });
      await world.advance(10);
      await expect(subscription.ready).rejects.toMatchObject({ code: 'denied' });
      expect(heard).toEqual(['invalid-argument']);
    });
});

describe('a server that closes', () => {
  it('admits nobody whose rights were still being looked up', async () => {
    const world = simulatedEnv(8);
    let answer: ((rights: Rights) => void) | undefined;
    const publication = publish(source(world), {
      authorize: () =>
        new Promise<Rights>((resolve) => {
          answer = resolve;
        }),
    });
    const subscription = subscribe(new Line(publication), source(world), {
      token: 't',
      reconnect: false,
    });
    await world.advance(5);
    await publication.close();
    answer?.({ read: true });
    await world.advance(5);
    expect(publication.stats().subscribers).toEqual([]);
    await expect(subscription.ready).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('sends away those who come late to a hub, and does not tell them to give up', async () => {
    const world = simulatedEnv(8);
    const store = source(world);
    const stores = hub({ env: world });
    stores.register('notes', store);
    await stores.close();
    const line = new Line(stores);
    const subscription = subscribe(line, source(world), { storeId: 'notes' });
    await world.advance(20_000);
    expect(line.connections).toBeGreaterThan(1);
    expect(subscription.status()).toMatchObject({ state: 'connecting' });
    expect(subscription.status().lastError).toMatchObject({ code: 'unavailable' });
    expect(() => stores.register('notes', store)).toThrow(
      expect.objectContaining({ code: 'closed' }),
    );
    await subscription.close();
  });

  it('refuses times that no message can carry', async () => {
    const world = simulatedEnv(8);
    const publication = publish(source(world));
    const stores = hub({ env: world });
    for (const spreadMs of [Number.POSITIVE_INFINITY, -1, Number.NaN])
      for (const closed of [publication.close({ spreadMs }), stores.close({ spreadMs })])
        await expect(closed).rejects.toMatchObject({ code: 'invalid-argument' });
    // The last is as long as a silent subscriber is waited for: every one would be ended by it.
    for (const heartbeatMs of [Number.POSITIVE_INFINITY, 0, 2 ** 40, 30_000])
      expect(() => publish(source(world), { limits: { heartbeatMs } })).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
  });
});

describe('a subscriber that may only read', () => {
  it('has nothing of its writes kept, however large they are', async () => {
    const world = simulatedEnv(8);
    const publication = publish(source(world), { env: world, limits: { writeBytes: 300_000 } });
    const [here, there] = channelPair();
    publication.accept(there);
    const peer = new Peer(here);
    peer.send(hello);
    await world.advance(1);
    const piece = { type: 'piece', bytes: new Uint8Array(MAX_PIECE_BYTES) } as const;
    for (let i = 0; i < 10; i++) peer.send({ ...piece, offset: i * MAX_PIECE_BYTES });
    const into = new ByteWriter();
    putWrite(into, { type: 'set', key: 'a', value: new Uint8Array(0) }, true);
    for (let i = 0; i < 10; i++)
      peer.send({ type: 'write', id: 1, last: i === 9, writes: into.view() });
    await world.advance(1);
    expect(peer.closed).toBeUndefined();
    expect(peer.received.at(-1)).toMatchObject({ type: 'error', id: 1, code: 'denied' });
  });
});

describe('a large write', () => {
  it('may have as many bytes as the limit says, in pieces too', async () => {
    const world = simulatedEnv(8);
    const store = source(world);
    const publication = publish(store, {
      authorize: () => ({ read: true, write: true }),
      limits: { writeBytes: 1_000_000 },
    });
    const subscription = subscribe(new Line(publication), source(world), { token: 't' });
    const written = subscription.remote.set('large', new Uint8Array(990_000));
    written.catch(() => undefined);
    await world.advance(50);
    await written;
    expect((await store.get('large'))?.length).toBe(990_000);
    await subscription.close();
  });
});

describe('a subscriber that never reads', () => {
  it('is cut off before the answers to its writes fill the memory', async () => {
    const world = simulatedEnv(8);
    const publication = publish(source(world), { env: world });
    const [here, there] = channelPair();
    let waiting = 0;
    let peak = 0;
    publication.accept({
      get bufferedBytes() {
        return waiting;
      },
      start: (handlers) => there.start(handlers),
      send: (frame) => {
        waiting += frame.length;
        peak = Math.max(peak, waiting);
        there.send(frame);
      },
      close: (code, reason) => there.close(code, reason),
    });
    const peer = new Peer(here);
    peer.send(hello);
    await world.advance(1);
    for (let id = 1; id <= 100_000 && peer.closed === undefined; id++) {
      peer.send({ type: 'write', id, last: true, writes: new Uint8Array(0) });
      if (id % 1_000 === 0) await world.advance(1);
    }
    expect(peak).toBeLessThan(3 * 1024 * 1024);
    expect(publication.stats().endings).toEqual({ 'no-progress': 1 });
  });
});

describe('many scopes', () => {
  it('share the bytes that are kept for those who are a little behind', async () => {
    const world = simulatedEnv(8);
    const store = source(world);
    const publication = publish(store, {
      authorize: ({ token }) => ({ read: [`${token}/`] }),
      limits: { historyBytes: 100_000 },
    });
    const names = Array.from({ length: 40 }, (_, i) => `user${i}`);
    const all = names.map((token) => subscribe(new Line(publication), source(world), { token }));
    await world.advance(5);
    for (let round = 0; round < 20; round++) {
      for (const name of names) await store.set(`${name}/note`, new Uint8Array(1_000));
      await world.advance(5);
    }
    for (const subscription of all) expect(subscription.status()).toMatchObject({ lag: 0 });
    expect(publication.stats().historyBytes).toBeLessThan(150_000);
    await Promise.all(all.map((subscription) => subscription.close()));
  });
});
