/** The whole contract, through replicas of every kind. */
import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { lateStore } from '../../../test/support/late-store.ts';
import { memory } from '../../drivers/memory/index.ts';
import type { Store } from '../../store/store.ts';
import { conformance, modelTest, simulatedEnv } from '../../testing/index.ts';
import { tiered } from '../tiered/index.ts';
import { type ReplicaOptions, replica } from './index.ts';

const env = simulatedEnv();
const mem = (): Store<unknown> => memory({ env });
const late = (): Store<unknown> => lateStore(memory({ env }));
const { blocking: _, ...required } = requiredCapabilities.memory;

const kind =
  (
    sync: readonly (() => Store<unknown>)[],
    options: Partial<ReplicaOptions<unknown>> = {},
  ): (() => Store<unknown>) =>
  () =>
    replica({ sync: sync.map((make) => make()), ...options });

const kinds: Record<string, () => Store<unknown>> = {
  'one store': kind([mem]),
  'three stores': kind([mem, mem, mem]),
  'three late stores': kind([late, late, late]),
  'a late first store': kind([late, mem]),
  'a late second store': kind([mem, late]),
  'two of three': kind([late, mem, late], { write: 2 }),
  'one of three': kind([mem, late, late], { write: 1 }),
  'asked one after the other': kind([late, late], { read: 'hedged' }),
  'with a store behind': () => replica({ sync: [late(), mem()], async: [late()] }),
  'with every write behind': () =>
    replica({ sync: [mem()], async: [late()], everyWrite: true, queueLength: 1 }),
  'of replicas': kind([
    () => replica({ sync: [mem(), late()] }),
    () => replica({ sync: [late(), mem()] }),
  ]),
  'of tiered stores': kind([
    () => tiered({ front: mem(), back: late() }),
    () => tiered({ front: mem(), back: mem() }),
  ]),
  'under a tiered store': () => tiered({ front: mem(), back: replica({ sync: [late(), mem()] }) }),
};

for (const [name, create] of Object.entries(kinds)) {
  const factory = { env, create, required };
  conformance({ name, test: { describe, it }, factory });
  modelTest({ fc, name, test: { describe, it }, factory, runs: 40 });
}
