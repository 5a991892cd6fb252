import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { type Publication, publish, subscribe } from './index.ts';

const env = (): SimulatedEnv => simulatedEnv(3);
const source = (world: SimulatedEnv) => memory<Uint8Array>({ env: world });
const codes = (into: string[]) => (error: Error) =>
  void into.push((error as { code?: string }).code ?? error.message);

describe('slow subscribers', () => {
  function setUp(world: SimulatedEnv): {
    store: ReturnType<typeof source>;
    publication: Publication;
  } {
    const store = source(world);
    const limits = {
      historyBytes: 20_000,
      ackTimeoutMs: 3_600_000,
      progressTimeoutMs: 3_600_000,
    };
    return { store, publication: publish(store, { limits }) };
  }

  it('do not hold others back, cost little, and skip ahead', async () => {
    const world = env();
    const { store, publication } = setUp(world);
    const line = new Line(publication);
    const [quickLocal, slowLocal] = [source(world), source(world)];
    const quick = subscribe(new Line(publication), quickLocal);
    const slow = subscribe(line, slowLocal, { limits: { creditBytes: 4_000 } });
    await world.advance(1);
    line.hold();
    for (let round = 0; round < 40; round++) {
      await store.setMany(
        Array.from({ length: 100 }, (_, i) => [`key:${i}`, bytes(`round ${round}`)]),
      );
      await world.advance(2);
      expect(quick.status().lag).toBe(0);
    }
    const { historyBytes, subscribers, headRev } = publication.stats();
    expect(historyBytes).toBeLessThanOrEqual(20_000 + 3_000);
    expect(headRev).toBe(40);
    const stuck = subscribers.find(({ rev }) => rev < 40);
    expect(stuck?.sentBytes).toBeLessThan(4_000 + 3_000);
    line.release();
    await world.advance(20);
    expect(await contents(slowLocal)).toEqual(await contents(quickLocal));
    const caughtUp = publication.stats().subscribers.find(({ id }) => id === stuck?.id);
    // Not all 40 rounds went to it: it read the index, and what it had not got at first.
    expect(caughtUp?.sentOperations).toBeLessThan(1_000);
    await Promise.all([quick.close(), slow.close()]);
  });

  it('are ended only for lack of progress, and come back', async () => {
    const world = env();
    const store = source(world);
    const publication = publish(store, { limits: { heartbeatMs: 1_000, ackTimeoutMs: 5_000 } });
    const line = new Line(publication);
    const local = source(world);
    const errors: string[] = [];
    const subscription = subscribe(line, local, { onError: codes(errors) });
    await world.advance(60_000);
    expect(publication.stats().endings).toEqual({});
    line.hold();
    await store.set('a', bytes('1'));
    await world.advance(20_000);
    expect(errors[0]).toBe('unavailable');
    line.release();
    await world.advance(30_000);
    expect(await contents(local)).toEqual({ a: '1' });
    expect(line.connections).toBeGreaterThan(1);
    await subscription.close();
  });

  it('share one encoding of what is new: one read of the feed serves all', async () => {
    const world = env();
    const store = source(world);
    const publication = publish(store);
    const locals = Array.from({ length: 20 }, () => source(world));
    const all = locals.map((local) => subscribe(new Line(publication), local));
    await world.advance(1);
    await store.setMany(Array.from({ length: 50 }, (_, i) => [`key:${i}`, bytes('x')]));
    await world.advance(5);
    for (const local of locals) expect(Object.keys(await contents(local))).toHaveLength(50);
    const { historyBytes, sentBytes, sentOperations } = publication.stats();
    expect(sentOperations).toBe(20 * 50);
    expect(historyBytes).toBeLessThan(sentBytes / 10);
    await Promise.all(all.map((subscription) => subscription.close()));
    expect(publication.stats().historyBytes).toBe(0);
  });
});
