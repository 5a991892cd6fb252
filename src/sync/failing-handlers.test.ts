/** Functions of the application that throw, or never answer, on the publishing side. */
import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import type { Store } from '../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../testing/index.ts';
import { publish, type Rights, subscribe } from './index.ts';

describe.each<[string, () => void]>([
  [
    'throws',
    () => {
      throw new Error('the log is full');
    },
  ],
  ['gives a promise that rejects', () => Promise.reject(new Error('the log is full'))],
])('an onError that %s', (_, onError) => {
  it('keeps no subscriber from hearing that the store has failed, and from coming back', async () => {
    const world = simulatedEnv(12);
    const store = memory<Uint8Array>({ env: world });
    await store.set('a', bytes('1'));
    const plan = new FaultPlan().failNext('feed', 'unavailable', { after: 1 });
    const publication = publish(faulty(store, plan) as Store<Uint8Array>, { onError });
    const local = memory<Uint8Array>({ env: world });
    const subscription = subscribe(new Line(publication), local);
    await world.advance(5_000);
    expect(publication.stats().endings).toEqual({ failed: 1 });
    expect(await contents(local)).toEqual({ a: '1' });
    await subscription.close();
  });

  it('lets nobody wait whose rights cannot be found out', async () => {
    const world = simulatedEnv(12);
    const publication = publish(memory<Uint8Array>({ env: world }), {
      authorize: () => Promise.reject(new Error('the user store is away')),
      onError,
    });
    const local = memory<Uint8Array>({ env: world });
    const subscription = subscribe(new Line(publication), local, { token: 't' });
    subscription.ready.catch(() => undefined);
    await world.advance(5);
    await expect(subscription.ready).rejects.toMatchObject({ code: 'denied' });
    await subscription.close();
  });
});

describe('an authorize that never answers', () => {
  it('leaves nobody connected by rights of before', async () => {
    const world = simulatedEnv(12);
    const store = memory<Uint8Array>({ env: world });
    let answer: Promise<Rights | false> = Promise.resolve({ read: true, write: true });
    const heard: string[] = [];
    const publication = publish(store, {
      authorize: () => answer,
      limits: { handshakeTimeoutMs: 2_000 },
      onError: ({ code }) => heard.push(code),
    });
    const local = memory<Uint8Array>({ env: world });
    const subscription = subscribe(new Line(publication), local, { token: 't' });
    await world.advance(5);
    answer = new Promise(() => undefined);
    const first = publication.reauthorize();
    await world.advance(5);
    answer = Promise.resolve(false);
    const second = publication.reauthorize();
    await world.advance(2_100);
    expect(publication.stats().subscribers).toEqual([]);
    expect(heard).toEqual(['timeout']);
    // The second question finds it gone.
    expect([await first, await second]).toEqual([1, 0]);
    await store.set('secret', bytes('too late'));
    await world.advance(10_000);
    expect(await contents(local)).toEqual({});
    expect(subscription.status()).toMatchObject({ state: 'closed', lastError: { code: 'denied' } });
    await subscription.close();
  });
});
