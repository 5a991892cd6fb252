/** Reads that are given up because another member was quicker: over real connections, nobody gets another's answer. */
import { createClient } from 'redis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../../test/support/engines.ts';
import { TcpProxy } from '../../../test/support/tcp-proxy.ts';
import { memory } from '../../drivers/memory/index.ts';
import { redis } from '../../drivers/redis/index.ts';
import { layoutOf } from '../../drivers/redis/layout.ts';
import { json, type Store } from '../../store/index.ts';
import { FaultPlan, faulty } from '../../testing/index.ts';
import { replica } from './index.ts';

const KEYS = 40;
const ROUNDS = 25;

describeWithEngine('redis', 'reads of a redis member that another one beats', () => {
  const prefix = `given-up-${crypto.randomUUID()}`;
  const admin = createClient({ url: redisUrl() });
  let proxy: TcpProxy;
  beforeAll(async () => {
    await admin.connect();
    proxy = await TcpProxy.start(Number(new URL(redisUrl()).port));
  });
  afterAll(async () => {
    await admin.unlink([...layoutOf(prefix).keys]);
    admin.destroy();
    await proxy.stop();
  });

  it.each(['first', 'hedged'] as const)('read %s', async (read) => {
    const url = new URL(redisUrl());
    url.port = String(proxy.port);
    const plan = new FaultPlan();
    const member: Store<string> = redis({ url: url.href, prefix, codec: json<string>() });
    const store = replica({ sync: [faulty(memory<string>(), plan), member], read });
    const keys = Array.from({ length: KEYS }, (_, n) => `k${n}`);
    await store.setMany(keys.map((key) => [key, `${key} of ${read}`] as const));
    await store.flush();
    // Now one is the quicker, now the other, and some calls are aborted by their caller.
    for (let round = 0; round < ROUNDS; round++) {
      proxy.delayMs = round % 3;
      plan.delay('read', (round * 7) % 4);
      const aborted = AbortSignal.timeout(1 + (round % 3));
      const answers = keys.map(async (key, n) => {
        const signal = (n + round) % 5 === 0 ? { signal: aborted } : {};
        try {
          expect(await store.get(key, signal)).toBe(`${key} of ${read}`);
        } catch (error) {
          if ((error as { code?: string }).code !== 'aborted') throw error;
        }
      });
      await Promise.all(answers);
    }
    proxy.delayMs = 0;
    plan.heal();
    plan.failNext('read', 'unavailable', { times: Number.POSITIVE_INFINITY });
    // The member alone, on the same connections.
    for (const key of keys) expect(await store.get(key)).toBe(`${key} of ${read}`);
    expect(await store.get('none')).toBeUndefined();
    expect(store.status().members).toMatchObject([{ state: 'live' }]);
    await store.close();
  });
});
