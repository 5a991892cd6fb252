import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Line } from '../../test/support/sync-world.ts';
import { tiered } from '../compositions/tiered/index.ts';
import { lmdb } from '../drivers/lmdb/index.ts';
import { memory } from '../drivers/memory/index.ts';
import { sqlite } from '../drivers/sqlite/index.ts';
import { prefixed } from '../layers/prefixed.ts';
import { json } from '../store/codec.ts';
import type { Store } from '../store/store.ts';
import { FaultPlan, faulty } from '../testing/index.ts';
import { publish, subscribe } from './index.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

type Value = { readonly n: number };

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'stratakv-writes-'));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const codec = json<Value>();
const sources: Record<string, () => Store<Value>> = {
  'values in memory': () => memory<Value>({ codec }),
  'lmdb with a codec': () => lmdb({ path: folder(), codec }),
  'sqlite with a codec': () => sqlite({ path: ':memory:', codec }),
  'a prefix of a store': () => prefixed(memory<Value>({ codec }), 'inner/'),
  'tiered, through': () =>
    tiered({ front: memory<Value>({ codec }), back: lmdb({ path: folder(), codec }) }),
  'tiered, behind': () =>
    tiered({
      front: memory<Value>({ codec }),
      back: memory<Value>({ codec }),
      write: 'behind',
      journal: sqlite({ path: join(folder(), 'journal.db') }),
    }),
};

describe('writes whose answer is lost', () => {
  for (const [title, open] of Object.entries(sources))
    it(`are done once over ${title}`, async () => {
      const plan = new FaultPlan();
      const store = faulty(open(), plan);
      const line = new Line(
        publish(store, { codec, authorize: () => ({ read: true, write: true }) }),
      );
      const subscription = subscribe(line, memory<Value>({ codec }), {
        token: 't',
        reconnect: { baseMs: 5, capMs: 10 },
      });
      cleanups.push(
        () => store.close(),
        () => subscription.close(),
      );
      await subscription.ready;
      const { remote } = subscription;
      const next = (value: Value | undefined): Value => ({ n: (value?.n ?? 0) + 1 });
      await remote.update('n', next);
      for (const applied of [true, false, true]) {
        plan.hangNext('commit', { applied });
        const written = remote.update('n', next);
        await expect.poll(() => plan.hanging).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 5));
        line.cut();
        expect((await written)?.value).toEqual(await store.get('n'));
        plan.release();
      }
      expect(await store.get('n')).toEqual({ n: 4 });
      expect(await remote.delete('n')).toBe(true);
      const keys: string[] = [];
      for await (const key of store.keys()) keys.push(key);
      expect(keys).toEqual([]);
    });
});
