/** The whole contract, through tiered stores that are written behind, over journals of every kind. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { requiredCapabilities } from '../../../../test/required-capabilities.ts';
import { lateStore } from '../../../../test/support/late-store.ts';
import { lmdb } from '../../../drivers/lmdb/index.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { sqlite } from '../../../drivers/sqlite/index.ts';
import { json, type Store } from '../../../store/index.ts';
import { conformance, modelTest, type StoreFactory, simulatedEnv } from '../../../testing/index.ts';
import { tiered } from '../index.ts';
import type { TieredOptions } from '../options.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-behind-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const newPath = (): string => join(folder, `${++files}.db`);

const codec = json();
const env = simulatedEnv();
const mem = () => memory({ env });
const late = (): Store<unknown> => lateStore(memory({ env }));
const { blocking: _, ...unblocking } = requiredCapabilities.memory;

/** The blocking view is there once the journal is open. */
async function opened(store: Store<unknown>): Promise<Store<unknown>> {
  await store.has('opened');
  return store;
}

const volatile = (
  front: () => Store<unknown>,
  back: () => Store<unknown>,
  options: Partial<TieredOptions<unknown>> = {},
) => ({
  isLate: front === late || back === late,
  create: () =>
    opened(
      tiered({ front: front(), back: back(), write: 'behind', journal: 'volatile', ...options }),
    ),
});

const kinds = {
  'memory over memory': volatile(mem, mem),
  'memory over a late store': volatile(mem, late),
  'a late store over memory': volatile(late, mem),
  'a late store over a late store': volatile(late, late),
  'read from the front': volatile(mem, mem, { read: 'front-only' }),
  'read from the front, late': volatile(late, late, { read: 'front-only' }),
  'memory over tiered': volatile(mem, () => tiered({ front: mem(), back: mem() })),
  'keeping what others change': volatile(mem, late, { onConflict: 'keep-back' }),
  'behind over behind': volatile(mem, () =>
    tiered({ front: mem(), back: mem(), write: 'behind', journal: 'volatile' }),
  ),
};

for (const [name, { create, isLate }] of Object.entries(kinds)) {
  const blocking = !isLate && !name.startsWith('behind over');
  const required = blocking ? requiredCapabilities.memory : unblocking;
  const factory = { env, create, required };
  conformance({ name, test: { describe, it }, factory });
  modelTest({ fc, name, test: { describe, it }, factory, runs: 60 });
}

/** A cursor of an earlier opening is good only where nothing has been written since. */
const FORGOTTEN = 'goes on from every cursor of an earlier opening, deletes included';
const forgetful = {
  describe,
  it: (name: string, run: () => Promise<void>) => {
    const forgets = name.endsWith(FORGOTTEN);
    const refused = async (): Promise<void> => {
      await expect(run()).rejects.toMatchObject({ code: 'cursor-expired' });
    };
    it(forgets ? `says that it does not: ${name}` : name, forgets ? refused : run);
  },
};

interface Places {
  readonly front: string;
  readonly back: string;
  readonly journal: string;
}
const options = { write: 'behind', leaseMs: 50 } as const;
const durable: Record<string, (places: Places) => Store<unknown>> = {
  'a journal in an lmdb front over lmdb': ({ front, back }) =>
    tiered({
      front: lmdb({ path: front, codec, durability: 'os' }),
      back: lmdb({ path: back, codec, durability: 'os' }),
      ...options,
    }),
  'a journal in sqlite, lmdb over sqlite': ({ front, back, journal }) =>
    tiered({
      front: lmdb({ path: front, codec, durability: 'os' }),
      back: sqlite({ path: back, codec, durability: 'os' }),
      journal: sqlite({ path: journal, durability: 'os' }),
      ...options,
    }),
};

for (const [name, open] of Object.entries(durable)) {
  const placesOf = new WeakMap<object, Places>();
  const made = async (places: Places): Promise<Store<unknown>> => {
    const store = await opened(open(places));
    placesOf.set(store, places);
    return store;
  };
  const factory: StoreFactory<unknown> = {
    required: { ...requiredCapabilities.memory, durability: 'os' },
    create: () => made({ front: newPath(), back: newPath(), journal: newPath() }),
    reopen: async (store) => {
      await store.close();
      return made(placesOf.get(store) as Places);
    },
  };
  conformance({ name, test: forgetful, factory });
  modelTest({ fc, name, test: { describe, it }, factory, runs: 20, forgetful: true });
}
