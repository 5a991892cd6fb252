import fc from 'fast-check';
import { deleteDB } from 'idb';
import { describe, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { describeStore } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { conformance, modelTest, type StoreFactory, simulatedEnv } from '../../testing/index.ts';
import { type IndexedDbOptions, indexeddb } from './index.ts';

type Options = Omit<IndexedDbOptions, 'name'>;

const test = { describe, it };
const required = requiredCapabilities.indexeddb;

function factory(options: Options): StoreFactory<unknown> {
  const open = (name: string): Store<unknown> => indexeddb({ name, ...options });
  const nameOf = (store: Store<unknown>): string => String(describeStore(store).details?.name);
  return {
    create: () => open(`conformance-${crypto.randomUUID()}`),
    reopen: async (store) => {
      await store.close();
      return open(nameOf(store));
    },
    second: async (store) => open(nameOf(store)),
    destroy: async (store) => deleteDB(nameOf(store)),
  };
}

conformance({
  name: 'indexeddb',
  test,
  factory: { ...factory({}), required: { ...required, durability: 'disk' } },
});

conformance({
  name: 'indexeddb, relaxed',
  test,
  factory: {
    ...factory({ durability: 'os' }),
    required: { ...required, durability: 'os' },
  },
});

const env = simulatedEnv();
const models: Record<string, Options> = {
  'indexeddb, in simulated time': { env },
  'indexeddb, relaxed and forgetful, without a log': {
    env,
    durability: 'os',
    logBytes: 0,
    tombstoneBytes: 300,
  },
};
for (const [name, options] of Object.entries(models))
  modelTest({
    name,
    test,
    fc,
    factory: { ...factory(options), env },
    runs: 40,
    forgetful: options.tombstoneBytes !== undefined,
  });
