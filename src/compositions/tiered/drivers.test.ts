/** Tiered stores over real engines, reopened and read anew. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
import {
  conformance,
  FaultPlan,
  faulty,
  modelTest,
  type StoreFactory,
  simulatedEnv,
} from '../../testing/index.ts';
import { tiered } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-tiered-'));
afterAll(() => rmSync(folder, { recursive: true }));
const test = { describe, it };

let files = 0;
const newPath = (): string => join(folder, `${++files}.db`);
const detail = (store: Store<unknown>, part: 'front' | 'back', name: string): string =>
  String(describeStore(store).parts?.[part]?.details?.[name]);

const env = simulatedEnv();
/** Simulated time runs ahead of a real disk: it is waited for as long as it takes. */
const backTimeoutMs = Number.POSITIVE_INFINITY;
const codec = json();
const kinds: Record<string, (back: string, front: string) => Store<unknown>> = {
  'memory over sqlite': (back) =>
    tiered({ front: memory({ env }), back: sqlite({ path: back, codec, env }), backTimeoutMs }),
  'memory over lmdb': (back) =>
    tiered({ front: memory({ env }), back: lmdb({ path: back, codec, env }), backTimeoutMs }),
  'sqlite over sqlite': (back, front) =>
    tiered({
      front: sqlite({ path: front, codec, durability: 'os' }),
      back: sqlite({ path: back, codec, durability: 'os' }),
    }),
  'an overlay of sqlite over sqlite': (back, front) =>
    tiered({
      front: sqlite({ path: front, codec, env, durability: 'os' }),
      back: sqlite({ path: back, codec, env }),
      write: 'front-only',
      backTimeoutMs,
    }),
};

for (const [name, open] of Object.entries(kinds)) {
  const factory: StoreFactory<unknown> = {
    ...(!name.startsWith('sqlite') && { env }),
    create: () => open(newPath(), newPath()),
    reopen: async (store) => {
      await store.close();
      return open(detail(store, 'back', 'path'), detail(store, 'front', 'path'));
    },
  };
  // Each pair once: the contract where a front outlives the process, else the model, which is quicker.
  if (factory.env === undefined) conformance({ name, test, factory });
  else modelTest({ name, test, fc, factory, runs: 30 });
}

describe('an overlay that is kept', () => {
  it('hides after a restart what it hid before', async () => {
    const [front, back] = [newPath(), newPath()];
    const open = kinds['an overlay of sqlite over sqlite'] as (typeof kinds)[string];
    {
      await using truth = sqlite({ path: back, codec, env });
      await truth.setMany([
        ['hidden', 1],
        ['replaced', 1],
        ['plain', 1],
      ]);
    }
    {
      await using store = open(back, front);
      await store.delete('hidden');
      await store.set('replaced', 2);
      expect(await store.get('plain')).toBe(1);
    }
    await using store = open(back, front);
    const found = await store.getMany(['hidden', 'replaced', 'plain']);
    expect(Object.fromEntries(found)).toEqual({ replaced: 2, plain: 1 });
  });
});

describeWithEngine('redis', 'over redis', () => {
  const admin = createClient({ url: redisUrl() });
  beforeAll(async () => {
    await admin.connect();
  });
  afterAll(() => admin.destroy());

  const open = (prefix: string): Store<unknown> =>
    tiered({ front: memory(), back: redis({ url: redisUrl(), prefix, codec }) });
  const factory: StoreFactory<unknown> = {
    create: () => open(`tiered-${crypto.randomUUID()}`),
    reopen: async (store) => {
      await store.close();
      return open(detail(store, 'back', 'prefix'));
    },
    destroy: async (store) => {
      await admin.unlink([...layoutOf(detail(store, 'back', 'prefix')).keys]);
    },
  };
  conformance({ name: 'memory over redis', test, factory });
  modelTest({ name: 'memory over redis', test, fc, factory, runs: 20 });

  it('a thousand gets of a cold key make one read', async () => {
    const prefix = `tiered-${crypto.randomUUID()}`;
    const writer = redis({ url: redisUrl(), prefix, codec });
    await writer.set('k', { n: 1 });
    const plan = new FaultPlan();
    const back = faulty(redis({ url: redisUrl(), prefix, codec }), plan);
    const store = tiered({ front: memory(), back });
    const gets = Array.from({ length: 1_000 }, () => store.get('k'));
    for (const value of await Promise.all(gets)) expect(value).toEqual({ n: 1 });
    expect(plan.calls('read')).toBe(1);
    await Promise.all([store.close(), writer.close()]);
    await admin.unlink([...layoutOf(prefix).keys]);
  });
});
