/** Replicas over real engines: the contract. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../../test/support/engines.ts';
import { file } from '../../drivers/file/index.ts';
import { lmdb } from '../../drivers/lmdb/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { redis } from '../../drivers/redis/index.ts';
import { layoutOf } from '../../drivers/redis/layout.ts';
import { sqlite } from '../../drivers/sqlite/index.ts';
import { watchable } from '../../layers/watchable/index.ts';
import { describeStore, json, type Store } from '../../store/index.ts';
import { conformance, jsonValues, modelTest, type StoreFactory } from '../../testing/index.ts';
import { tiered } from '../tiered/index.ts';
import { replica } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-replica-'));
// Thousands of files.
afterAll(() => rmSync(folder, { recursive: true }), 60_000);
const test = { describe, it };
const codec = json();

let files = 0;
const newPath = (): string => join(folder, `${++files}.db`);
const pathOf = (store: Store<unknown>, part: string): string =>
  String(describeStore(store).parts?.[part]?.details?.path);

const overLmdb = (path: string): Store<unknown> =>
  replica({ sync: [lmdb({ path, codec, durability: 'os' }), memory()] });
const overTwo = (path: string, behind: string): Store<unknown> =>
  replica({
    sync: [memory(), sqlite({ path, codec, durability: 'os' })],
    async: [lmdb({ path: behind, codec, durability: 'os' })],
  });

const factory: StoreFactory<unknown> = {
  create: () => overLmdb(newPath()),
  reopen: async (store) => {
    await store.close();
    return overLmdb(pathOf(store, 'sync[0]'));
  },
};
conformance({ name: 'lmdb and memory', test, factory });
modelTest({ name: 'lmdb and memory', test, fc, factory, runs: 10 });

const onDisk = { codec, durability: 'os' } as const;
const disks = {
  lmdb: () => lmdb({ path: newPath(), ...onDisk }),
  sqlite: () => sqlite({ path: newPath(), ...onDisk }),
  file: () => file({ path: newPath(), ...onDisk }),
};
/** Thousands of files take their time on a machine with other work. */
const PATIENT = { memberTimeoutMs: 20_000, timeoutMs: 30_000 };
const whole: Record<string, () => Store<unknown>> = {
  'memory, sqlite and file': () =>
    replica({ sync: [memory(), disks.sqlite(), disks.file()], ...PATIENT }),
  'tiered of memory over sqlite, and of memory over lmdb': () =>
    replica({
      sync: [
        tiered({ front: memory(), back: disks.sqlite() }),
        tiered({ front: memory(), back: disks.lmdb() }),
      ],
      ...PATIENT,
    }),
};
for (const [name, create] of Object.entries(whole))
  conformance({ name, test, factory: { create, values: jsonValues } });
const modelled: Record<string, () => Store<unknown>> = {
  'watchable files and sqlite': () => replica({ sync: [watchable(disks.file()), disks.sqlite()] }),
  'sqlite and lmdb, file behind': () =>
    replica({ sync: [disks.sqlite(), disks.lmdb()], async: [disks.file()] }),
};
for (const [name, create] of Object.entries(modelled))
  modelTest({ name, test, fc, factory: { create, values: jsonValues }, runs: 10 });

modelTest({
  name: 'memory and sqlite, lmdb behind',
  test,
  fc,
  factory: { create: () => overTwo(newPath(), newPath()), values: jsonValues },
  runs: 10,
});

describe('a first store that lives in memory', () => {
  it('gets back at the next opening what the others kept', async () => {
    const [path, behind] = [newPath(), newPath()];
    const before = overTwo(path, behind);
    await before.setMany(Array.from({ length: 700 }, (_, n) => [`k${n}`, { n }] as const));
    await before.delete('k3');
    await before.close();
    const after = overTwo(path, behind);
    expect(await after.get('k699')).toEqual({ n: 699 });
    expect(await after.get('k3')).toBeUndefined();
    expect(await Array.fromAsync(after.keys())).toHaveLength(699);
    await after.close();
  });
});

describeWithEngine('redis', 'over redis', () => {
  const prefixes: string[] = [];
  const open = (): Store<unknown> => {
    const prefix = `replica-${crypto.randomUUID()}`;
    prefixes.push(prefix);
    return replica({ sync: [redis({ url: redisUrl(), prefix, codec }), memory()] });
  };
  const admin = createClient({ url: redisUrl() });
  beforeAll(async () => {
    await admin.connect();
  });
  afterAll(async () => {
    for (const prefix of prefixes) await admin.unlink([...layoutOf(prefix).keys]);
    admin.destroy();
  });
  conformance({ name: 'redis and memory', test, factory: open });
});
