import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { memory } from '../drivers/memory/index.ts';
import type { Store } from '../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../testing/index.ts';
import {
  channelPair,
  type PublishOptions,
  publish,
  type SubscribeOptions,
  type Subscription,
  subscribe,
} from './index.ts';

/** The faults of older replicators that must never happen here, at the size at which they were measured. */

const KEYS = 50_000;
const HOUR_MS = 3_600_000;

async function filled(store: Store<Uint8Array>, count = KEYS): Promise<void> {
  for (let from = 0; from < count; from += 5_000)
    await store.setMany(
      Array.from({ length: Math.min(5_000, count - from) }, (_, i) => [
        `key:${from + i}`,
        bytes(`old ${from + i}`),
      ]),
    );
}

async function contents(store: Store<Uint8Array>): Promise<Map<string, string | undefined>> {
  const found = new Map<string, string | undefined>();
  for await (const { key, value } of store.list()) found.set(key, words(value));
  return found;
}

function join(
  source: Store<Uint8Array>,
  local: Store<Uint8Array>,
  options: SubscribeOptions<Uint8Array> = {},
  published: PublishOptions<Uint8Array> = {},
): Subscription<Uint8Array> {
  const [here, there] = channelPair();
  publish(source, published).accept(there);
  return subscribe(here, local, options);
}

/** Until the copy stands at the source's head. */
async function caughtUp(source: Store<Uint8Array>, subscription: Subscription<Uint8Array>) {
  const head = Number.parseInt((await source.cursor()).split('.')[1] as string, 36);
  await expect.poll(() => subscription.status().rev, { timeout: 10_000 }).toBe(head);
}

describe('faults that must never happen', () => {
  it('A11: ready comes with all 50,000 keys there, not before', async () => {
    const source = memory<Uint8Array>();
    await filled(source);
    const local = memory<Uint8Array>();
    let atReady = -1;
    const subscription = join(source, local, {
      onReady: () => {
        atReady = [...local.blocking.keys()].length;
      },
    });
    await subscription.ready;
    expect(atReady).toBe(KEYS);
    expect(await contents(local)).toEqual(await contents(source));
    await subscription.close();
  });

  it('A12: writes during the initial sync of 50,000 keys are never overwritten by it', async () => {
    const source = memory<Uint8Array>();
    await filled(source);
    const local = memory<Uint8Array>();
    // A small credit makes the snapshot take many turns, with a write in each.
    const subscription = join(source, local, { limits: { creditBytes: 32 * 1024 } });
    for (let i = 0; i < 200; i++) {
      await source.set(`key:${i * 250}`, bytes(`new ${i}`));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await subscription.ready;
    await caughtUp(source, subscription);
    expect(await contents(local)).toEqual(await contents(source));
    expect(words(await local.get('key:250'))).toBe('new 1');
    await subscription.close();
  });

  for (const skewMs of [HOUR_MS, -HOUR_MS]) {
    const sense = skewMs > 0 ? 'ahead' : 'behind';
    it(`A13: a subscriber whose clock is an hour ${sense} gets every newer value`, async () => {
      const env = simulatedEnv(13);
      const skewed = { ...bindings(env), now: () => env.now() + skewMs };
      const source = memory<Uint8Array>({ env });
      await filled(source);
      const local = memory<Uint8Array>({ env: skewed });
      const subscription = join(source, local, { env: skewed });
      await env.advance(1);
      await subscription.ready;
      for (let round = 0; round < 3; round++) {
        await source.setMany(
          Array.from({ length: 1_000 }, (_, i) => [`key:${i * 7}`, bytes(`round ${round}`)]),
        );
        await source.delete(`key:${round + 1}`);
        await env.advance(5);
      }
      expect(subscription.status().lag).toBe(0);
      expect(await contents(local)).toEqual(await contents(source));
      await subscription.close();
    });

    it(`A13: a life given through a subscriber an hour ${sense} is counted at the source`, async () => {
      const env = simulatedEnv(14);
      const skewed = { ...bindings(env), now: () => env.now() + skewMs };
      const source = memory<Uint8Array>({ env });
      const local = memory<Uint8Array>({ env: skewed });
      const subscription = join(
        source,
        local,
        { env: skewed, token: 't' },
        { authorize: () => ({ read: true, write: true }) },
      );
      await env.advance(1);
      const written = subscription.remote.set('short', bytes('life'), { ttlMs: 1_000 });
      await env.advance(5);
      const { expiresAt } = await written;
      expect(Math.abs((expiresAt as number) - (env.now() + 1_000))).toBeLessThan(50);
      await env.advance(500);
      expect(words(await source.get('short'))).toBe('life');
      await env.advance(600);
      expect(await source.get('short')).toBeUndefined();
      await subscription.close();
    });
  }

  it('A14: deletes reach those connected and those who come back, one by one and by the thousand', async () => {
    const source = memory<Uint8Array>();
    await filled(source);
    const connected = memory<Uint8Array>();
    const away = memory<Uint8Array>();
    const publication = publish(source);
    const open = (local: Store<Uint8Array>): Subscription<Uint8Array> => {
      const [here, there] = channelPair();
      publication.accept(there);
      return subscribe(here, local);
    };
    const stays = open(connected);
    const leaves = open(away);
    await Promise.all([stays.ready, leaves.ready]);
    await leaves.close();
    await source.delete('key:1');
    await source.deleteMany(Array.from({ length: 10_000 }, (_, i) => `key:${i * 3}`));
    await source.clear({ prefix: 'key:4' });
    await caughtUp(source, stays);
    const returned = open(away);
    await returned.ready;
    expect(returned.status().resumes).toBe(1);
    const expected = await contents(source);
    expect(expected.size).toBeLessThan(KEYS - 10_000);
    expect(await contents(connected)).toEqual(expected);
    expect(await contents(away)).toEqual(expected);
    await Promise.all([stays.close(), returned.close()]);
  });

  it('A15: a failing local store acknowledges nothing, calls back nothing, and is not ready', async () => {
    const env = simulatedEnv(15);
    const source = memory<Uint8Array>({ env });
    await filled(source);
    const inner = memory<Uint8Array>({ env });
    const plan = new FaultPlan();
    const local = faulty(inner, plan);
    plan.failNext('commit', 'no-space', { times: 3 });
    const errors: string[] = [];
    let changes = 0;
    let isReady = false;
    const publication = publish(source);
    const [here, there] = channelPair();
    publication.accept(there);
    const subscription = subscribe(here, local, {
      env,
      onChange: () => {
        changes++;
      },
      onReady: () => {
        isReady = true;
      },
      onError: (error) => errors.push((error as { code?: string }).code ?? ''),
    });
    await env.advance(1);
    expect(errors).toEqual(['no-space']);
    expect(subscription.status()).toMatchObject({ state: 'stalled', rev: 0 });
    expect({ changes, isReady }).toEqual({ changes: 0, isReady: false });
    expect(publication.stats().subscribers[0]).toMatchObject({ rev: 0, trouble: 'no-space' });
    expect([...inner.blocking.keys()]).toEqual([]);
    await env.advance(20_000);
    await subscription.ready;
    expect({ changes, isReady }).toEqual({ changes: KEYS, isReady: true });
    expect(subscription.status().state).toBe('live');
    expect(publication.stats().subscribers[0]).toMatchObject({ lag: 0 });
    expect(publication.stats().subscribers[0]).not.toHaveProperty('trouble');
    await subscription.close();
  });

  it('A15: an unknown store id is an error, not a success', async () => {
    const source = memory<Uint8Array>();
    const local = memory<Uint8Array>();
    const errors: unknown[] = [];
    const subscription = join(source, local, {
      storeId: 'no such store',
      onError: (error) => errors.push((error as { code?: string }).code),
    });
    await expect(subscription.ready).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(errors).toEqual(['invalid-argument']);
    expect(subscription.status().state).toBe('closed');
  });

  it('A17: by default nobody writes to the source, and nothing of a write is applied', async () => {
    const source = memory<Uint8Array>();
    await source.set('key', bytes('kept'));
    const subscription = join(source, memory<Uint8Array>());
    await subscription.ready;
    const denied = { code: 'denied' };
    const { remote } = subscription;
    await expect(remote.set('key', bytes('forged'))).rejects.toMatchObject(denied);
    await expect(remote.delete('key')).rejects.toMatchObject(denied);
    await expect(remote.batch([{ type: 'delete', key: 'key' }])).rejects.toMatchObject(denied);
    await expect(remote.update('key', () => bytes('forged'))).rejects.toMatchObject(denied);
    expect(words(await source.get('key'))).toBe('kept');
    await subscription.close();
  });
});

function bindings(env: ReturnType<typeof simulatedEnv>) {
  return {
    monotonicMs: () => env.monotonicMs(),
    random: () => env.random(),
    randomBytes: (length: number) => env.randomBytes(length),
    setTimer: (fn: () => void, delayMs: number) => env.setTimer(fn, delayMs),
  };
}
