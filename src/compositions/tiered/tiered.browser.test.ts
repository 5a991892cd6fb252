/** Memory over IndexedDB, as a page keeps its data. */
import fc from 'fast-check';
import { deleteDB } from 'idb';
import { describe, it } from 'vitest';
import { indexeddb } from '../../drivers/indexeddb/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { describeStore } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { conformance, modelTest, type StoreFactory, simulatedEnv } from '../../testing/index.ts';
import { tiered } from './index.ts';

const test = { describe, it };
const env = simulatedEnv();
const nameOf = (store: Store<unknown>): string =>
  String(describeStore(store).parts?.back?.details?.name);

function factory(open: (name: string) => Store<unknown>): StoreFactory<unknown> {
  return {
    create: () => open(`tiered-${crypto.randomUUID()}`),
    reopen: async (store) => {
      await store.close();
      return open(nameOf(store));
    },
    destroy: async (store) => deleteDB(nameOf(store)),
  };
}

const overIndexedDb = factory((name) => tiered({ front: memory(), back: indexeddb({ name }) }));
conformance({ name: 'memory over indexeddb', test, factory: overIndexedDb });

/** Simulated time runs ahead of a real database: it is waited for as long as it takes. */
const backTimeoutMs = Number.POSITIVE_INFINITY;
const simulated = factory((name) =>
  tiered({ front: memory({ env }), back: indexeddb({ name, env }), backTimeoutMs }),
);
modelTest({ name: 'memory over indexeddb', test, fc, factory: { ...simulated, env }, runs: 20 });

const around = factory((name) =>
  tiered({
    front: memory({ env }),
    back: indexeddb({ name, env }),
    write: 'around',
    backTimeoutMs,
  }),
);
modelTest({ name: 'written around', test, fc, factory: { ...around, env }, runs: 10 });
