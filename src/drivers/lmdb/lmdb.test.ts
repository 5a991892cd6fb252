import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { describeStore, json, type Store } from '../../store/index.ts';
import { conformance, simulatedEnv } from '../../testing/index.ts';
import { lmdb } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-lmdb-'));
afterAll(() => rmSync(folder, { recursive: true }));

let stores = 0;
const env = simulatedEnv();
const newPath = (): string => join(folder, `${++stores}`);
const pathOf = (store: Store<never> | Store<unknown>): string =>
  String(describeStore(store).details?.path);

conformance({
  name: 'lmdb',
  test: { describe, it },
  factory: {
    create: () => lmdb({ path: newPath(), pollMs: 2 }),
    reopen: async (store) => {
      await store.close();
      return lmdb({ path: pathOf(store), pollMs: 2 });
    },
    second: async (store) => lmdb({ path: pathOf(store), pollMs: 2 }),
    required: requiredCapabilities.lmdb,
  },
});

conformance({
  name: 'lmdb, in simulated time',
  test: { describe, it },
  factory: {
    env,
    create: () => lmdb({ path: newPath(), env }),
    reopen: async (store) => {
      await store.close();
      return lmdb({ path: pathOf(store), env });
    },
  },
});

conformance({
  name: 'lmdb, os',
  test: { describe, it },
  factory: {
    create: () => lmdb({ path: newPath(), durability: 'os', pollMs: 2 }),
    second: async (store) => lmdb({ path: pathOf(store), durability: 'os', pollMs: 2 }),
  },
});

conformance({
  name: 'lmdb, JSON',
  test: { describe, it },
  factory: { env, create: () => lmdb({ path: newPath(), codec: json(), env }) },
});
