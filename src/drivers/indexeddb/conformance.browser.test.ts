import { deleteDB } from 'idb';
import { describe, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { describeStore } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import type { StoreFactory } from '../../testing/conformance/case.ts';
import { conformance } from '../../testing/conformance.ts';
import { indexeddb } from './index.ts';

function factory(durability: 'strict' | 'relaxed'): StoreFactory<unknown> {
  const nameOf = (store: Store<unknown>): string => String(describeStore(store).details?.name);
  const open = (name: string): Store<unknown> => indexeddb({ name, durability });
  return {
    create: () => open(`conformance-${crypto.randomUUID()}`),
    reopen: async (store) => {
      await store.close();
      return open(nameOf(store));
    },
    second: async (store) => open(nameOf(store)),
    destroy: async (store) => deleteDB(nameOf(store)),
    required: {
      ...requiredCapabilities.indexeddb,
      durability: durability === 'strict' ? 'disk' : 'os',
    },
  };
}

for (const durability of ['strict', 'relaxed'] as const)
  conformance({
    test: { describe, it },
    name: `indexeddb ${durability}`,
    factory: factory(durability),
  });
