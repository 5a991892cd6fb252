/** The source, seen through a subscriber, is a store like any other. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import type { Store } from '../store/store.ts';
import { byteValues, conformance, modelTest } from '../testing/index.ts';
import { publish, type Subscription, subscribe } from './index.ts';

const opened = new Map<Store<unknown>, Subscription<Uint8Array>>();

const factory = {
  create: (): Store<unknown> => {
    const publication = publish(memory<Uint8Array>(), {
      authorize: () => ({ read: true, write: true }),
    });
    const local = memory<Uint8Array>();
    const subscription = subscribe(new Line(publication), local, { token: 't' });
    const remote = subscription.remote as Store<unknown>;
    opened.set(remote, subscription);
    return remote;
  },
  destroy: async (store: Store<unknown>): Promise<void> => {
    await opened.get(store)?.close();
    opened.delete(store);
  },
  values: byteValues,
  required: { atomic: 'batch', conditional: 'all', ttl: true } as const,
};

/** The internal door stays shut: a source takes neither reserved keys nor origins from subscribers. */
const groups = (title: string, cases: () => void): void => {
  if (!title.endsWith('internal door')) describe(title, cases);
};

const name = 'the source through a subscriber';
conformance({ name, test: { describe: groups, it }, factory });
modelTest({ fc, name, test: { describe, it }, factory, runs: 30 });
