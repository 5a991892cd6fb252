import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { Peer } from '../../test/support/sync-peer.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { channelPair, hub, publish, subscribe } from './index.ts';

const source = (world: SimulatedEnv) => memory<Uint8Array>({ env: world });
const nobody = { greeting: 0, waiting: 0, comparing: 0, reading: 0, live: 0, blocked: 0 };

describe('the status of a publication', () => {
  it('counts connections by what they are at, and tells how far the slowest is behind', async () => {
    const world = simulatedEnv(4);
    const store = source(world);
    await store.set('a', new Uint8Array(1_000));
    const publication = publish(store, { limits: { batchBytes: 1_000 } });
    const line = new Line(publication);
    const quick = subscribe(new Line(publication), source(world));
    const slow = subscribe(line, source(world), { limits: { creditBytes: 4_000 } });
    const [here, there] = channelPair();
    publication.accept(there);
    const silent = new Peer(here);
    await world.advance(20);
    expect(publication.status()).toMatchObject({
      state: 'open',
      headRev: 1,
      connections: { ...nobody, greeting: 1, live: 2 },
      lag: { revs: 0, ageMs: 0 },
      bufferedBytes: 0,
      accepted: 2,
      endings: {},
    });
    line.hold();
    for (let round = 0; round < 20; round++) {
      await store.set(`key:${round}`, new Uint8Array(1_000));
      await world.advance(100);
    }
    const { connections, lag, headRev } = publication.status();
    expect(connections).toEqual({ ...nobody, greeting: 1, live: 1, blocked: 1 });
    expect({ headRev, revs: lag.revs }).toEqual({ headRev: 21, revs: 20 });
    expect(lag.ageMs).toBeGreaterThanOrEqual(1_999);
    expect(lag.ageMs).toBeLessThan(2_100);
    const { subscribers } = publication.stats();
    expect(subscribers.map(({ state, lagMs }) => [state, lagMs > 0]).sort()).toEqual([
      ['blocked', true],
      ['live', false],
    ]);
    await world.advance(10_000);
    expect(silent.closed).toBe(1008);
    expect(publication.status().endings).toEqual({ 'handshake-timeout': 1 });
    await Promise.all([quick.close(), slow.close()]);
  });
});

describe('the status of a hub', () => {
  it('adds up its stores, and those who have not asked for any', async () => {
    const world = simulatedEnv(4);
    const stores = hub({ env: world });
    const notes = source(world);
    await notes.set('a', bytes('1'));
    stores.register('notes', notes);
    stores.register('users', source(world));
    const all = ['notes', 'notes', 'users'].map((storeId) =>
      subscribe(new Line(stores), source(world), { storeId }),
    );
    stores.accept(channelPair()[0]);
    await world.advance(20);
    await all[0]?.close();
    await world.advance(5);
    const { stores: each, ...whole } = stores.status();
    expect(whole).toMatchObject({
      state: 'open',
      connections: { ...nobody, greeting: 1, live: 2 },
      accepted: 3,
      endings: { 'closed-by-subscriber': 1 },
    });
    expect(each.get('notes')).toMatchObject({ headRev: 1, connections: { ...nobody, live: 1 } });
    expect(whole.sentBytes).toBe(
      [...each.values()].reduce((sum, { sentBytes }) => sum + sentBytes, 0),
    );
    await stores.close();
    expect(stores.status()).toMatchObject({ state: 'closed', connections: nobody });
    await Promise.all(all.map((subscription) => subscription.close()));
  });
});

describe('a server that drains', () => {
  it('lets those connected get what is written and their answers, and nobody new in', async () => {
    const world = simulatedEnv(4);
    const store = source(world);
    const publication = publish(store, { authorize: () => ({ read: true, write: true }) });
    const [quickLine, slowLine] = [new Line(publication), new Line(publication)];
    const [quickLocal, slowLocal] = [source(world), source(world)];
    const quick = subscribe(quickLine, quickLocal, { token: 't' });
    const slow = subscribe(slowLine, slowLocal, { token: 't' });
    await world.advance(10);
    slowLine.hold();
    await store.set('a', bytes('1'));
    const closed = publication.close({ drainMs: 5_000, spreadMs: 60_000 });
    await world.advance(100);
    expect(publication.status()).toMatchObject({ state: 'draining', connections: { live: 1 } });
    expect(await contents(quickLocal)).toEqual({ a: '1' });
    expect(quick.status().connected).toBe(false);
    const late = subscribe(new Line(publication), source(world), { token: 't', reconnect: false });
    late.ready.catch(() => undefined);
    await world.advance(10);
    await expect(late.ready).rejects.toMatchObject({ code: 'unavailable' });
    slowLine.release();
    await world.advance(100);
    await closed;
    expect(await contents(slowLocal)).toEqual({ a: '1' });
    expect(publication.status()).toMatchObject({
      state: 'closed',
      connections: nobody,
      endings: { 'going-away': 2, refused: 1 },
    });
    await Promise.all([quick, slow].map((subscription) => subscription.close()));
  });

  it('waits for nobody longer than it was told to', async () => {
    const world = simulatedEnv(5);
    const store = source(world);
    const publication = publish(store);
    const line = new Line(publication);
    const subscription = subscribe(line, source(world));
    await world.advance(10);
    line.hold();
    await store.set('a', bytes('1'));
    const closed = publication.close({ drainMs: 2_000 });
    await world.advance(1_990);
    expect(publication.status().connections.live).toBe(1);
    await world.advance(20);
    await closed;
    expect(publication.status().connections).toEqual(nobody);
    await subscription.close();
  });

  it('spreads those who come back', async () => {
    const world = simulatedEnv(5);
    const publication = publish(source(world));
    const lines = Array.from({ length: 50 }, () => new Line(publication));
    const all = lines.map((line) => subscribe(line, source(world)));
    await world.advance(10);
    await publication.close({ drainMs: 2_000, spreadMs: 10_000 });
    const returned: number[] = [];
    for (let second = 0; second < 10; second++) {
      await world.advance(1_000);
      returned.push(lines.filter(({ connections }) => connections > 1).length);
    }
    // Not all at once, and all within the time.
    expect(returned[0]).toBeLessThan(15);
    expect(returned[4]).toBeGreaterThan(10);
    expect(returned[9]).toBe(50);
    await Promise.all(all.map((subscription) => subscription.close()));
  });
});
