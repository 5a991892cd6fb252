import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { SimulatedDisk } from '../../../test/support/simulated-disk.ts';
import {
  type Codec,
  compareKeys,
  defineStore,
  describeStore,
  json,
  type Store,
  type StoreWithBlocking,
} from '../../store/index.ts';
import { withCodec } from '../../store/with-codec.ts';
import { conformance, modelTest, simulatedEnv } from '../../testing/index.ts';
import { type Disk, systemDisk } from './disk.ts';
import { toPrimitives } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-file-'));
afterAll(() => rmSync(folder, { recursive: true }), 60_000);

let stores = 0;
const env = simulatedEnv();
const newPath = (): string => join(folder, `${++stores}`);
const pathOf = (store: Store<never> | Store<unknown>): string =>
  String(describeStore(store).details?.path);

/** The real one, but for the flushes: they take most of the time, and other tests count them. */
const unflushed: Disk = {
  ...systemDisk,
  write: (path, parts) => systemDisk.write(path, parts, false),
  writeLater: (path, parts) => systemDisk.writeLater(path, parts, false),
  flushFolder: () => {},
  flushFolderLater: async () => {},
};
const unflushedStore = (path: string): StoreWithBlocking<Uint8Array> =>
  defineStore(toPrimitives({ path, timeoutMs: 60_000 }, unflushed));

conformance({
  name: 'file',
  test: { describe, it },
  factory: {
    create: () => unflushedStore(newPath()),
    reopen: async (store) => {
      await store.close();
      return unflushedStore(pathOf(store));
    },
    destroy: async (store) => rmSync(pathOf(store), { recursive: true, force: true }),
    required: requiredCapabilities.file,
  },
});

/** Disks of memory by path; only the lock lies on the real one. */
const disks = new Map<string, SimulatedDisk>();
function simulated(path: string, codec: Codec<unknown>): Store<unknown> {
  mkdirSync(path, { recursive: true });
  const disk = disks.get(path) ?? new SimulatedDisk();
  disks.set(path, disk);
  return defineStore(withCodec(toPrimitives({ path, env }, disk), codec));
}

conformance({
  name: 'file, on a simulated disk, in simulated time, JSON',
  test: { describe, it },
  factory: {
    env,
    create: () => simulated(newPath(), json()),
    reopen: async (store) => {
      await store.close();
      return simulated(pathOf(store), json());
    },
  },
});

/** Shards of four files: they split and vanish all the time. */
const small = (path: string): Store<Uint8Array> =>
  defineStore(toPrimitives({ path, durability: 'os', env }, undefined, 4));

modelTest({
  fc,
  name: 'file, model, small shards',
  test: { describe, it },
  runs: 40,
  factory: {
    env,
    create: () => small(newPath()),
    reopen: async (store) => {
      await store.close();
      return small(pathOf(store));
    },
  },
});

describe('the order of keys', () => {
  const unit = fc.oneof(
    fc.constantFrom('\u0001', 'a', 'A', '\u007f', '\u0080', '\u07ff', '\ud7ff', '\ue000', 'é'),
    fc.constantFrom('\uffff', '\u{10000}', '\u{10ffff}', '\u0000', 'e\u0301', 'k'.repeat(79)),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
  );
  const key = fc.array(unit, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));

  it('is that of compareKeys, for any keys, in any range and any shards', async () => {
    const property = fc.asyncProperty(
      fc.uniqueArray(key, { minLength: 2, maxLength: 25 }),
      key,
      async (all, bound) => {
        const keys = all.filter(
          (one) => one.charCodeAt(0) !== 0 && one.isWellFormed() && Buffer.byteLength(one) <= 512,
        );
        await using store = defineStore(
          toPrimitives({ path: newPath(), durability: 'os' }, undefined, 3),
        );
        for (const one of keys) await store.set(one, Buffer.from(one));
        const sorted = keys.toSorted(compareKeys);
        expect(await Array.fromAsync(store.keys())).toEqual(sorted);
        expect([...store.blocking.keys({ reverse: true })]).toEqual(sorted.toReversed());
        if (!bound.isWellFormed()) return;
        for (const range of [{ gt: bound }, { gte: bound }, { lt: bound }, { lte: bound }]) {
          const [[side, at]] = Object.entries(range) as [[string, string]];
          const within = sorted.filter((one) => {
            const order = compareKeys(one, at);
            return (
              (side.startsWith('g') ? order > 0 : order < 0) || (side.endsWith('e') && order === 0)
            );
          });
          expect(await Array.fromAsync(store.keys(range))).toEqual(within);
          const backwards = await Array.fromAsync(store.list({ ...range, reverse: true }));
          expect(backwards.map((entry) => Buffer.from(entry.value).toString())).toEqual(
            within.toReversed(),
          );
        }
        for (const one of keys) await store.delete(one);
        expect(await Array.fromAsync(store.keys())).toEqual([]);
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });
});

describe('synchronous writes beside others', () => {
  it('lose no increment of a counter, and keep every condition', async () => {
    await using store = unflushedStore(newPath());
    const step = (before: Uint8Array | undefined): Uint8Array =>
      Buffer.from(String(Number(Buffer.from(before ?? []).toString()) + 1));
    const waiting: Promise<unknown>[] = [];
    for (let n = 0; n < 60; n++) {
      waiting.push(store.update('count', step));
      // Others are on their way to the disk at this moment.
      await new Promise((resolve) => setImmediate(resolve));
      store.blocking.update('count', step);
    }
    await Promise.all(waiting);
    expect(Buffer.from((await store.get('count')) ?? []).toString()).toBe('120');
    const making = store.set('once', Buffer.of(1), { if: 'absent' });
    await new Promise((resolve) => setImmediate(resolve));
    const made = await making.then(
      () => 1,
      () => 0,
    );
    expect(() => store.blocking.set('once', Buffer.of(2), { if: 'absent' })).toThrow(/exists/);
    expect(made).toBe(1);
  });
});
