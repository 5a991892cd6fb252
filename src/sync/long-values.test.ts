import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { publish, subscribe } from './index.ts';

const source = (world: SimulatedEnv) => memory<Uint8Array>({ env: world });

describe('values in pieces', () => {
  it('are forgotten when their group begins anew in the middle of one', async () => {
    const world = simulatedEnv(5);
    const store = memory<Uint8Array>({ env: world, logBytes: 1_000 });
    const publication = publish(store, {
      limits: { historyBytes: 20_000, heartbeatMs: 1_000, ackTimeoutMs: 100_000 },
    });
    const [quickLocal, slowLocal] = [source(world), source(world)];
    const line = new Line(publication);
    const quick = subscribe(new Line(publication), quickLocal);
    const errors: unknown[] = [];
    const slow = subscribe(line, slowLocal, {
      limits: { creditBytes: 300_000 },
      onError: (error) => errors.push(error.message),
    });
    await world.advance(5);
    line.hold();
    await store.set('large', new Uint8Array(3_000_000).fill(1));
    await world.advance(20);
    // The large value is gone before the slow one has all of it.
    await store.set('large', bytes('small now'));
    await store.set('other', bytes('x'));
    await world.advance(20);
    line.release();
    await world.advance(100);
    expect(errors).toEqual([]);
    expect(await slowLocal.get('large')).toEqual(bytes('small now'));
    expect(slow.status()).toMatchObject({ connections: 1, state: 'live', lag: 0 });
    await Promise.all([quick.close(), slow.close()]);
  });

  for (const creditBytes of [64 * 1024, 100_000])
    it(`and long groups get through a server that lets ${creditBytes} bytes be under way`, async () => {
      const world = simulatedEnv(5);
      const store = source(world);
      await store.set('large', new Uint8Array(700_000).fill(1));
      await store.setMany(
        Array.from({ length: 100 }, (_, i) => [`key:${i}`, new Uint8Array(9_000).fill(i)]),
      );
      const local = source(world);
      const publication = publish(store, { limits: { creditBytes, batchBytes: 5_000 } });
      const subscription = subscribe(new Line(publication), local);
      await world.advance(5);
      expect(subscription.status()).toMatchObject({ state: 'live', lag: 0 });
      expect(await local.get('key:99')).toEqual(new Uint8Array(9_000).fill(99));
      await subscription.close();
    });
});
