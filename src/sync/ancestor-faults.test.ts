import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { everything, join, KEYS, largeWorld, SKEWS } from '../../test/support/large-world.ts';
import { SimulatedLine } from '../../test/support/simulated-line.ts';
import { memory } from '../drivers/memory/index.ts';
import { FaultPlan, faulty } from '../testing/index.ts';
import { channelPair, publish, subscribe } from './index.ts';

/**
 * The faults of older replicators that must never happen here, at the size at which they were
 * measured, with the subscriber's clock an hour off either way.
 */
describe.each(SKEWS)(
  'faults that must never happen, with a clock an hour %s:',
  {
    timeout: 60_000,
  },
  (_, skewMs) => {
    it('A11: ready comes with all 50,000 keys there, not before', async () => {
      const { env, wrongEnv, source, local } = await largeWorld(skewMs);
      let atReady = -1;
      const subscription = join(source, local, {
        env: wrongEnv,
        onReady: () => {
          atReady = [...local.blocking.keys()].length;
        },
      });
      await env.advance(5);
      await subscription.ready;
      expect(atReady).toBe(KEYS);
      expect(everything(local)).toEqual(everything(source));
      await subscription.close();
    });

    it('A12: writes during the initial sync of 50,000 keys are never overwritten by it', async () => {
      const { env, wrongEnv, source, local } = await largeWorld(skewMs);
      const publication = publish(source, { limits: { batchBytes: 4_096 } });
      const line = new SimulatedLine((transport) => publication.accept(transport));
      line.hold('down');
      const subscription = subscribe(line, local, { env: wrongEnv });
      await env.advance(1);
      // The snapshot comes frame by frame, with a write between any two.
      for (let i = 0; i < 200; i++) {
        await source.set(`key:${i * 250}`, bytes(`new ${i}`));
        line.release('down', 1);
        await env.advance(0);
        line.hold('down');
      }
      expect(subscription.status().rev).toBe(0);
      line.release('down');
      await env.advance(100);
      await subscription.ready;
      expect(subscription.status()).toMatchObject({ lag: 0, snapshots: 1 });
      expect(everything(local)).toEqual(everything(source));
      expect(words(await local.get('key:250'))).toBe('new 1');
      await subscription.close();
    });

    it('A13: every newer value of 50,000 keys comes', async () => {
      const { env, wrongEnv, source, local } = await largeWorld(skewMs);
      const subscription = join(source, local, { env: wrongEnv });
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
      expect(everything(local)).toEqual(everything(source));
      await subscription.close();
    });

    it('A13: a life given through a subscriber is counted at the source', async () => {
      const { env, wrongEnv, source, local } = await largeWorld(skewMs, 0);
      const authorize = () => ({ read: true, write: true });
      const subscription = join(source, local, { env: wrongEnv, token: 't' }, { authorize });
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

    it('A14: deletes reach those connected and those who come back, one by one and by the thousand', async () => {
      const { env, wrongEnv, source, local: connected } = await largeWorld(skewMs);
      const away = memory<Uint8Array>({ env: wrongEnv });
      const publication = publish(source);
      const line = new SimulatedLine((transport) => publication.accept(transport));
      const other = new SimulatedLine((transport) => publication.accept(transport));
      const stays = subscribe(line, connected, { env: wrongEnv });
      const leaves = subscribe(other, away, { env: wrongEnv });
      await env.advance(5);
      await Promise.all([stays.ready, leaves.ready]);
      await leaves.close();
      await source.delete('key:1');
      await source.deleteMany(Array.from({ length: 10_000 }, (_, i) => `key:${i * 3}`));
      await source.clear({ prefix: 'key:4' });
      await env.advance(50);
      const returned = subscribe(other, away, { env: wrongEnv });
      await env.advance(50);
      await returned.ready;
      expect(returned.status().resumes).toBe(1);
      const expected = everything(source);
      expect(expected.size).toBeLessThan(KEYS - 10_000);
      expect(everything(connected)).toEqual(expected);
      expect(everything(away)).toEqual(expected);
      await Promise.all([stays.close(), returned.close()]);
    });

    it('A15: a failing local store acknowledges nothing, calls back nothing, and is not ready', async () => {
      const { env, wrongEnv, source, local: inner } = await largeWorld(skewMs);
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
        env: wrongEnv,
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
      const { env, wrongEnv, source, local } = await largeWorld(skewMs, 0);
      const errors: unknown[] = [];
      const subscription = join(source, local, {
        env: wrongEnv,
        storeId: 'no such store',
        onError: (error) => errors.push((error as { code?: string }).code),
      });
      await env.advance(5);
      await expect(subscription.ready).rejects.toMatchObject({ code: 'invalid-argument' });
      expect(errors).toEqual(['invalid-argument']);
      expect(subscription.status().state).toBe('closed');
    });

    it('A17: by default nobody writes to the source, and nothing of a write is applied', async () => {
      const { env, wrongEnv, source, local } = await largeWorld(skewMs);
      const before = everything(source);
      const subscription = join(source, local, { env: wrongEnv });
      await env.advance(5);
      await subscription.ready;
      const denied = { code: 'denied' };
      const { remote } = subscription;
      await expect(remote.set('key:1', bytes('forged'))).rejects.toMatchObject(denied);
      await expect(remote.delete('key:1')).rejects.toMatchObject(denied);
      await expect(remote.batch([{ type: 'delete', key: 'key:1' }])).rejects.toMatchObject(denied);
      await expect(remote.update('key:1', () => bytes('forged'))).rejects.toMatchObject(denied);
      expect(everything(source)).toEqual(before);
      await subscription.close();
    });
  },
);
