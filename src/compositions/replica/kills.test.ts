/** Processes that are killed as they write lose nothing that they acknowledged, in any member. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { KilledWriters, killCycles } from '../../../test/support/killed-writers.ts';
import { file } from '../../drivers/file/index.ts';
import { lmdb } from '../../drivers/lmdb/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { sqlite } from '../../drivers/sqlite/index.ts';
import { json, type Store } from '../../store/index.ts';
import { replica } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-replica-kills-'));
afterAll(() => rmSync(folder, { recursive: true }));
const pathOf = (name: string): string => join(folder, name);
const options = { codec: json<string>(), durability: 'os' } as const;
const text = (value: unknown): string => JSON.stringify(value);

const stateOf = async (store: Store<string>): Promise<Map<string, string>> =>
  new Map(await Array.fromAsync(store.list(), ({ key, value }) => [key, value] as const));

test('with three members on disk, one of them late', { timeout: 600_000 }, async () => {
  const paths = { one: pathOf('one'), two: pathOf('two'), behind: pathOf('behind.db') };
  const writers = new KilledWriters({
    imports: {
      replica: 'compositions/replica/index.ts',
      file: 'drivers/file/index.ts',
      lmdb: 'drivers/lmdb/index.ts',
      sqlite: 'drivers/sqlite/index.ts',
      json: 'store/index.ts',
    },
    open: `
      const options = { codec: json(), durability: 'os' };
      const store = replica({
        sync: [
          lmdb({ path: ${text(paths.one)}, ...options }),
          file({ path: ${text(paths.two)}, ...options }),
        ],
        async: [sqlite({ path: ${text(paths.behind)}, ...options })],
        queueLength: 10,
      });`,
  });
  const members = (): Store<string>[] => [
    lmdb({ path: paths.one, ...options }),
    file({ path: paths.two, ...options }),
    sqlite({ path: paths.behind, ...options }),
  ];
  for (let cycle = 0; cycle < killCycles(12); cycle++) {
    await writers.run(10 + (cycle % 12) * 5);
    const [one, two, behind] = members() as [Store<string>, Store<string>, Store<string>];
    const store = replica<string>({ sync: [one, two], async: [behind], queueLength: 10 });
    const held = await stateOf(store);
    writers.check(held);
    expect(await store.flush({ timeoutMs: 20_000 })).toMatchObject({ behind: [] });
    await store.close();
    for (const member of members()) {
      expect(await stateOf(member)).toEqual(held);
      await member.close();
    }
  }
  expect(writers.keys).toBe(15);
});

test('with a first store in memory, a late mirror and a journal', {
  timeout: 900_000,
}, async () => {
  const paths = { mirror: pathOf('mirror.db'), journal: pathOf('journal') };
  const writers = new KilledWriters({
    imports: {
      replica: 'compositions/replica/index.ts',
      lmdb: 'drivers/lmdb/index.ts',
      memory: 'drivers/memory/index.ts',
      sqlite: 'drivers/sqlite/index.ts',
      'FaultPlan, faulty': 'testing/index.ts',
      json: 'store/index.ts',
    },
    open: `
      const options = { codec: json(), durability: 'os' };
      const late = new FaultPlan().delay('commit', 40);
      const store = replica({
        sync: [memory()],
        async: [faulty(sqlite({ path: ${text(paths.mirror)}, ...options }), late)],
        journal: lmdb({ path: ${text(paths.journal)}, ...options }),
        timeoutMs: 30_000,
      });`,
  });
  let brought = 0;
  // Each opening waits 3 s for the lease of the one that was killed.
  for (let cycle = 0; cycle < killCycles(4); cycle++) {
    await writers.run(25 + (cycle % 4) * 40);
    const mirror = sqlite<string>({ path: paths.mirror, ...options });
    const before = await stateOf(mirror);
    const store = replica<string>({
      sync: [memory()],
      async: [mirror],
      journal: lmdb({ path: paths.journal, ...options }),
      timeoutMs: 30_000,
    });
    const held = await stateOf(store);
    writers.check(held);
    for (const key of new Set([...before.keys(), ...held.keys()]))
      if (before.get(key) !== held.get(key)) brought++;
    expect(await store.flush({ timeoutMs: 20_000 })).toMatchObject({ behind: [] });
    expect(await stateOf(mirror)).toEqual(held);
    await store.close();
  }
  // The kills did come before the mirror had everything.
  expect(brought).toBeGreaterThan(0);
});
