import fc from 'fast-check';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { describeWithEngine, redisUrl } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { describeStore } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { conformance, modelTest, type StoreFactory, simulatedEnv } from '../../testing/index.ts';
import { type RedisOptions, redis } from './index.ts';
import { layoutOf } from './layout.ts';

type Options = Omit<RedisOptions, 'client' | 'url' | 'prefix'>;
type Library = keyof typeof redisClients;

const test = { describe, it };

describeWithEngine('redis', 'redis', () => {
  const admin = createClient({ url: redisUrl() });
  beforeAll(async () => {
    await admin.connect();
  });
  afterAll(() => admin.destroy());

  function factory(library: Library, options: Options): StoreFactory<unknown> {
    const { client } = redisClients[library](redisUrl());
    const open = (prefix: string): Store<unknown> =>
      redis({ client, prefix, ...options }) as Store<unknown>;
    const prefixOf = (store: Store<unknown>): string =>
      String(describeStore(store).details?.prefix);
    return {
      create: () => open(`conformance-${crypto.randomUUID()}`),
      reopen: async (store) => {
        await store.close();
        return open(prefixOf(store));
      },
      second: async (store) => open(prefixOf(store)),
      destroy: async (store) => {
        await admin.unlink([...layoutOf(prefixOf(store)).keys]);
      },
      required: requiredCapabilities.redis,
    };
  }

  for (const library of ['ioredis', 'node-redis'] as const)
    conformance({ name: library, test, factory: factory(library, {}) });

  const env = simulatedEnv();
  const models: Record<string, [Library, Options]> = {
    'ioredis, in simulated time': ['ioredis', { env }],
    'node-redis, forgetful, without a log': [
      'node-redis',
      { env, logBytes: 0, tombstoneBytes: 300 },
    ],
    'node-redis, with a short log': ['node-redis', { env, logBytes: 2_000 }],
  };
  for (const [name, [library, options]] of Object.entries(models))
    modelTest({
      name,
      test,
      fc,
      factory: { ...factory(library, options), env },
      runs: 60,
      forgetful: options.tombstoneBytes !== undefined,
    });
});
