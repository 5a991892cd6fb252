import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { describeStore, json, type Store } from '../../store/index.ts';
import { conformance, simulatedEnv } from '../../testing/index.ts';
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
