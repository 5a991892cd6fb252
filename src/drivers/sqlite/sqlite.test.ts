import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { compareKeys, describeStore, json, type Store } from '../../store/index.ts';
import { conformance, modelTest, simulatedEnv } from '../../testing/index.ts';
import { sqlite } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-sqlite-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
const env = simulatedEnv();
const newPath = (): string => join(folder, `${++files}.db`);
const pathOf = (store: Store<never> | Store<unknown>): string =>
  String(describeStore(store).details?.path);

conformance({
  name: 'sqlite',
  test: { describe, it },
  factory: {
    create: () => sqlite({ path: newPath(), pollMs: 2 }),
    reopen: async (store) => {
      await store.close();
      return sqlite({ path: pathOf(store), pollMs: 2 });
    },
    second: async (store) => sqlite({ path: pathOf(store), pollMs: 2 }),
    required: requiredCapabilities.sqlite,
  },
});

conformance({
  name: 'sqlite, in simulated time',
  test: { describe, it },
  factory: {
    env,
    create: () => sqlite({ path: newPath(), env }),
    reopen: async (store) => {
      await store.close();
      return sqlite({ path: pathOf(store), env });
    },
  },
});

conformance({
  name: 'sqlite, os',
  test: { describe, it },
  factory: {
    create: () => sqlite({ path: newPath(), durability: 'os', pollMs: 2 }),
    second: async (store) => sqlite({ path: pathOf(store), durability: 'os', pollMs: 2 }),
  },
});

conformance({
  name: 'sqlite, in memory, JSON',
  test: { describe, it },
  factory: { env, create: () => sqlite({ path: ':memory:', codec: json(), env }) },
});

modelTest({
  fc,
  name: 'sqlite, model',
  test: { describe, it },
  runs: 40,
  factory: {
    env,
    create: () => sqlite({ path: newPath(), durability: 'os', env }),
    reopen: async (store) => {
      await store.close();
      return sqlite({ path: pathOf(store), durability: 'os', env });
    },
  },
});

modelTest({
  fc,
  name: 'sqlite, model, forgetful',
  test: { describe, it },
  runs: 40,
  forgetful: true,
  factory: {
    env,
    create: () => sqlite({ path: ':memory:', tombstoneBytes: 0, logBytes: 300, env }),
  },
});

describe('the order of keys', () => {
  it('is that of compareKeys, for any keys', async () => {
    const unit = fc.oneof(
      fc.constantFrom('\u0001', 'a', '\u007f', '\u0080', '\u07ff', '\u0800', '\ud7ff', '\ue000'),
      fc.constantFrom('\uffff', '\u{10000}', '\u{10ffff}', '\u0000'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
    );
    const key = fc.array(unit, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(key, { minLength: 2, maxLength: 20 }), async (all) => {
        const keys = all.filter((one) => one.charCodeAt(0) !== 0 && one.isWellFormed());
        await using store = sqlite({ path: ':memory:' });
        await store.setMany(keys.map((one) => [one, new Uint8Array(1)] as const));
        const sorted = keys.toSorted(compareKeys);
        expect(await Array.fromAsync(store.keys())).toEqual(sorted);
        expect([...store.blocking.keys({ reverse: true })]).toEqual(sorted.toReversed());
      }),
      { numRuns: 50 },
    );
  });
});
