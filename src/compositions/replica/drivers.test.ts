/** Replicas over real engines: the contract, and processes that are killed as they write. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import fc from 'fast-check';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../../test/support/engines.ts';
import { lmdb } from '../../drivers/lmdb/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { redis } from '../../drivers/redis/index.ts';
import { layoutOf } from '../../drivers/redis/layout.ts';
import { sqlite } from '../../drivers/sqlite/index.ts';
import { describeStore, json, type Store } from '../../store/index.ts';
import { conformance, jsonValues, modelTest, type StoreFactory } from '../../testing/index.ts';
import { replica } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-replica-'));
afterAll(() => rmSync(folder, { recursive: true }));
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

const module = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

interface Paths {
  readonly one: string;
  readonly two: string;
  readonly behind: string;
}

const opened = ({ one, two, behind }: Paths): ReturnType<typeof replica<number>> => {
  const options = { codec: json<number>(), durability: 'os' } as const;
  return replica<number>({
    sync: [lmdb({ path: one, ...options }), lmdb({ path: two, ...options })],
    async: [sqlite({ path: behind, ...options })],
    queueLength: 10,
  });
};

/** Writes for ever, and says what it begins and what is acknowledged. */
function writer({ one, two, behind }: Paths, from: number): ReturnType<typeof spawn> {
  const script = `
    import { writeSync } from 'node:fs';
    import { replica } from ${module('./index.ts')};
    import { lmdb } from ${module('../../drivers/lmdb/index.ts')};
    import { sqlite } from ${module('../../drivers/sqlite/index.ts')};
    import { json } from ${module('../../store/index.ts')};
    const say = (...words) => writeSync(1, JSON.stringify(words) + '\\n');
    const options = { codec: json(), durability: 'os' };
    const store = replica({
      sync: [
        lmdb({ path: ${JSON.stringify(one)}, ...options }),
        lmdb({ path: ${JSON.stringify(two)}, ...options }),
      ],
      async: [sqlite({ path: ${JSON.stringify(behind)}, ...options })],
      queueLength: 10,
    });
    let n = ${from};
    const write = async (name) => {
      for (let i = 0; ; i++) {
        const key = name + (i % 5);
        const value = i % 4 === 3 ? null : ++n;
        say('try', key, value);
        if (value === null) await store.delete(key);
        else await store.set(key, value);
        say('ack', key, value);
      }
    };
    await Promise.all(['a', 'b', 'c'].map(write));
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

describe('processes that are killed', () => {
  it('lose nothing that they acknowledged, in any member', { timeout: 120_000 }, async () => {
    const paths = { one: newPath(), two: newPath(), behind: newPath() };
    const certain = new Map<string, number | null>();
    let last = 0;
    for (let cycle = 0; cycle < 12; cycle++) {
      const tried = new Map<string, number | null>();
      const child = writer(paths, last);
      const ended = new Promise((resolve) => child.on('close', resolve));
      let acks = 0;
      for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
        const [word, key, value] = JSON.parse(line) as [string, string, number | null];
        last = Math.max(last, value ?? 0);
        if (word === 'try') tried.set(key, value);
        else {
          certain.set(key, value);
          tried.delete(key);
          if (++acks === 10 + cycle * 5) child.kill('SIGKILL');
        }
      }
      await ended;
      await compare(paths, certain, tried);
    }
    expect(certain.size).toBe(15);
  });
});

/** What every member holds is what was acknowledged, or what was under way; and the same in all. */
async function compare(
  paths: Paths,
  certain: Map<string, number | null>,
  tried: ReadonlyMap<string, number | null>,
): Promise<void> {
  const store = opened(paths);
  const held = Object.fromEntries(
    (await Array.fromAsync(store.list())).map(({ key, value }) => [key, value]),
  );
  expect(await store.flush({ timeoutMs: 20_000 })).toMatchObject({ behind: [] });
  await store.close();
  for (const key of new Set([...certain.keys(), ...tried.keys()])) {
    const value = held[key] ?? null;
    const allowed: unknown[] = [certain.get(key) ?? null];
    if (tried.has(key)) allowed.push(tried.get(key));
    expect(allowed, `the value of ${key}`).toContain(value);
    certain.set(key, value);
  }
  const options = { codec: json<number>(), durability: 'os' } as const;
  for (const member of [
    lmdb({ path: paths.one, ...options }),
    lmdb({ path: paths.two, ...options }),
    sqlite({ path: paths.behind, ...options }),
  ]) {
    const state = (await Array.fromAsync(member.list())).map(({ key, value }) => [key, value]);
    expect(Object.fromEntries(state)).toEqual(held);
    await member.close();
  }
}
