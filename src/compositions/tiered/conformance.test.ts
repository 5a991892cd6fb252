/** The whole contract, through tiered stores of every kind. */
import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { lateStore } from '../../../test/support/late-store.ts';
import { memory } from '../../drivers/memory/index.ts';
import type { Store } from '../../store/store.ts';
import { conformance, modelTest, simulatedEnv } from '../../testing/index.ts';
import { type TieredOptions, tiered } from './index.ts';

const env = simulatedEnv();
const mem = () => memory({ env });
const late = (): Store<unknown> => lateStore(memory({ env }));
const { blocking: _, ...unblocking } = requiredCapabilities.memory;

interface Kind {
  readonly create: () => Store<unknown>;
  readonly sharesValues?: boolean;
  readonly late?: boolean;
}

const kind = (
  front: () => Store<unknown>,
  back: () => Store<unknown>,
  options: Partial<TieredOptions<unknown>> = {},
): Kind => ({
  create: () => tiered({ front: front(), back: back(), ...options }),
  late: front === late || back === late,
});

/** For one who writes alone, copies of any age are true. */
const AGING = {
  ttlMs: 20,
  staleWhileRevalidateMs: 1_000,
  graceMs: 5_000,
  negativeTtlMs: 5_000,
  populate: 'await',
} as const;

const kinds: Record<string, Kind> = {
  'memory over memory': kind(mem, mem),
  'memory over a late store': kind(mem, late),
  'a late store over memory': kind(late, mem),
  'a late store over a late store': kind(late, late),
  'memory over tiered': kind(mem, () => tiered({ front: mem(), back: mem() })),
  'tiered over memory': kind(() => tiered({ front: mem(), back: mem() }), mem),
  'tiered over a late store, three parts late': {
    ...kind(() => tiered({ front: late(), back: late() }), late),
    late: true,
  },
  'written around': kind(mem, mem, { write: 'around' }),
  'written around, late': kind(late, late, { write: 'around' }),
  'of copies that age': kind(mem, mem, { ttlMs: 5_000 }),
  'of copies that age and are kept, late': kind(late, late, AGING),
  'of copies that age and are kept': kind(mem, mem, AGING),
  'written around, of copies that age': kind(mem, late, { write: 'around', ...AGING }),
  'written to the front': kind(mem, mem, { write: 'front-only' }),
  'written to the front, late': kind(late, late, { write: 'front-only' }),
  'read from the front': kind(mem, mem, { read: 'front-only' }),
  'read from the front, late': kind(late, late, { read: 'front-only' }),
  'read from and written to the front': kind(mem, mem, { read: 'front-only', write: 'front-only' }),
  following: kind(mem, mem, { follow: true }),
  'following a late store': kind(mem, late, { follow: true }),
  'following, a late store over a late store': kind(late, late, { follow: true }),
  'following, read from the front': kind(mem, mem, { follow: true, read: 'front-only' }),
  'following, read from the front, late': kind(late, late, { follow: true, read: 'front-only' }),
  'written to the front of a tiered store': kind(
    () => tiered({ front: mem(), back: mem() }),
    () => tiered({ front: mem(), back: mem() }),
    { write: 'front-only' },
  ),
};

for (const [name, { create, late: isLate }] of Object.entries(kinds)) {
  const factory = { env, create, required: isLate ? unblocking : requiredCapabilities.memory };
  conformance({ name, test: { describe, it }, factory });
  modelTest({ fc, name, test: { describe, it }, factory, runs: 60 });
}

conformance({
  name: 'by reference',
  test: { describe, it },
  factory: {
    env,
    create: () => tiered({ front: memory({ env, zeroCopy: true }), back: mem() }),
    sharesValues: true,
  },
});
