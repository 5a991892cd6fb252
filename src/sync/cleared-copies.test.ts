import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { simulatedEnv } from '../testing/index.ts';
import { publish, subscribe } from './index.ts';

describe('a copy that was cleared', () => {
  it('is not said to be up before it is filled again, and lets no write end before that', async () => {
    const world = simulatedEnv(31);
    const store = memory<Uint8Array>({ env: world });
    await store.setMany(Array.from({ length: 20 }, (_, i) => [`k${i}`, bytes(`${i}`)] as const));
    const publication = publish(store, { authorize: () => ({ read: true, write: true }) });
    const line = new Line(publication);
    const local = memory<Uint8Array>({ env: world });
    const subscription = subscribe(line, local, { token: 't', reconnect: { baseMs: 1, capMs: 1 } });
    await subscription.ready;
    line.cut();
    await local.clear();
    line.hold();
    await world.advance(100);
    line.release(2);
    line.hold();
    await world.advance(100);
    expect(subscription.status()).toMatchObject({ connected: true, state: 'syncing', rev: 0 });
    let isDone = false;
    const lost = subscription.remote.set('k1', bytes('x'), { if: 'absent' }).catch(() => undefined);
    lost.then(() => {
      isDone = true;
    });
    await world.advance(100);
    expect(isDone).toBe(false);
    line.release();
    await world.advance(100);
    expect(isDone).toBe(true);
    expect(await contents(local)).toEqual(await contents(store));
    expect(subscription.status()).toMatchObject({ state: 'live', lag: 0 });
    await subscription.close();
  });
});
