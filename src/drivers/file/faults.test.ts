import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SimulatedDisk } from '../../../test/support/simulated-disk.ts';
import {
  defineStore,
  isStrataError,
  type StoreWithBlocking,
  StrataError,
} from '../../store/index.ts';
import { toPrimitives } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-file-faults-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Shards of three files, on a disk of memory; only the lock lies on the real one. */
function open(disk: SimulatedDisk): StoreWithBlocking<Uint8Array> {
  return defineStore(toPrimitives({ path: folder }, disk, 3));
}

async function close(store: StoreWithBlocking<Uint8Array> | undefined): Promise<void> {
  try {
    await store?.close();
  } catch (error) {
    // The disk that failed under the store may fail its close as well.
    if (!isStrataError(error)) throw error;
  }
}

type State = Map<string, string>;
type Step = readonly [key: string, value: string | undefined];

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
/** Makes shards split, twice, and vanish, with values of every length and a batch of both kinds. */
const STEPS: readonly Step[] = [
  ...['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((key): Step => [key, `${key}1`]),
  ...['b', 'x'.repeat(90), `${'x'.repeat(90)}y`].map((key): Step => [key, 'two'.repeat(9)]),
  ...['d', 'e', 'f', 'g', 'c'].map((key): Step => [key, undefined]),
  ...['d', 'e', 'b'].map((key): Step => [key, 'three']),
];

interface Run {
  readonly acknowledged: State;
  /** The step that ended the run, with which the state may or may not be. */
  readonly last: Step | undefined;
  readonly failure: unknown;
}

const NOTHING: Run = { acknowledged: new Map(), last: undefined, failure: undefined };

/** Runs the steps until one fails; every other one waits for the disk as it comes. */
async function run(store: StoreWithBlocking<Uint8Array>, steps = STEPS): Promise<Run> {
  const acknowledged: State = new Map();
  for (const [n, step] of steps.entries()) {
    const [key, value] = step;
    const view = n % 2 === 0 ? store.blocking : store;
    try {
      if (value === undefined) await view.delete(key);
      else await view.set(key, Buffer.from(value), { meta: { n } });
    } catch (failure) {
      return { acknowledged, last: step, failure };
    }
    if (value === undefined) acknowledged.delete(key);
    else acknowledged.set(key, value);
  }
  return { acknowledged, last: undefined, failure: undefined };
}

/** What a store holds, by list, held against what it gives by key. */
async function stateOf(store: StoreWithBlocking<Uint8Array>): Promise<State> {
  const state: State = new Map();
  for await (const { key, value } of store.list()) state.set(key, text(value));
  for (const [key] of STEPS) {
    const value = await store.get(key);
    expect(value && text(value)).toBe(state.get(key));
  }
  const backwards = [...store.blocking.keys({ reverse: true })];
  expect(backwards.reverse()).toEqual([...state.keys()]);
  return state;
}

function expectState(state: State, { acknowledged, last }: Run, mayBeLast: boolean): void {
  if (last === undefined || !mayBeLast) {
    expect(state).toEqual(acknowledged);
    return;
  }
  const after = new Map(acknowledged);
  if (last[1] === undefined) after.delete(last[0]);
  else after.set(last[0], last[1]);
  expect([acknowledged, after]).toContainEqual(state);
}

/** Opens what is left on a disk and holds it against what was acknowledged. */
async function checkAfter(disk: SimulatedDisk, done: Run, mayBeLast: boolean): Promise<void> {
  const store = open(disk);
  try {
    expectState(await stateOf(store), done, mayBeLast);
    expect(disk.files().filter((path) => path.startsWith(join(folder, 'tmp', '/')))).toEqual([]);
    // It goes on from there.
    const again = await run(store);
    expect(await stateOf(store)).toEqual(again.acknowledged);
  } finally {
    await close(store);
  }
}

/** A generator of doubts, the same in each run. */
function dice(seed: number): () => boolean {
  let state = seed * 2_654_435_761 + 1;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state % 3 === 0;
  };
}

async function callsOf(): Promise<{ opening: number; all: number }> {
  const disk = new SimulatedDisk();
  const store = open(disk);
  const opening = disk.calls;
  expect((await run(store)).failure).toBeUndefined();
  const all = disk.calls;
  await close(store);
  return { opening, all };
}

describe('a loss of power', () => {
  it('at any call of the disk takes nothing acknowledged, whatever else was not flushed', async () => {
    const { all } = await callsOf();
    expect(all).toBeGreaterThan(200);
    for (let at = 1; at <= all; at++) {
      const disk = new SimulatedDisk();
      disk.fault = { at, code: 'EIO', forGood: true };
      let done: Run = NOTHING;
      let store: StoreWithBlocking<Uint8Array> | undefined;
      try {
        store = open(disk);
        done = await run(store);
      } catch (error) {
        expect(error).toBeInstanceOf(StrataError);
      }
      await close(store);
      for (const survives of [() => false, () => true, dice(at), dice(at + 7_919)])
        await checkAfter(disk.afterPowerLoss(survives), done, true);
    }
  }, 120_000);
});

describe('a call of the disk that fails', () => {
  const codes = ['EIO', 'ENOSPC', 'EACCES', 'EMFILE', 'EROFS'];
  const kinds = ['unavailable', 'no-space', 'denied', 'unknown-outcome'];

  it.each(codes)(
    'once or for good, with %s, is a typed error and changes nothing that is not said',
    async (code) => {
      const { opening, all } = await callsOf();
      for (let at = opening + 1; at <= all; at++) {
        for (const forGood of [false, true]) {
          const disk = new SimulatedDisk();
          const store = open(disk);
          disk.fault = { at, code, forGood };
          const done = await run(store);
          disk.fault = undefined;
          if (done.failure !== undefined) {
            const { code: told } = done.failure as StrataError;
            expect(kinds).toContain(told);
            const unsure = told === 'unknown-outcome';
            // Asked at once, and after the store is opened again.
            expectState(await stateOf(store), done, unsure);
            await close(store);
            await checkAfter(disk, done, unsure);
          } else {
            expect(await stateOf(store)).toEqual(done.acknowledged);
            await close(store);
            await checkAfter(disk, done, false);
          }
        }
      }
    },
    120_000,
  );

  it('when it is a flush, is not tried again: the store only reads until it is opened anew', async () => {
    for (const view of ['blocking', 'async'] as const) {
      const disk = new SimulatedDisk();
      const store = open(disk);
      await store.set('a', Buffer.from('1'));
      const write = async (): Promise<unknown> =>
        view === 'blocking'
          ? store.blocking.set('a', Buffer.from('2'))
          : store.set('a', Buffer.from('2'));
      for (let step = 1; ; step++) {
        disk.fault = { at: disk.calls + step, code: 'EIO', forGood: false };
        const failure = await write().then(
          () => undefined,
          (error: Error) => error,
        );
        if (failure?.message.includes('fsync')) break;
        expect(failure).toBeInstanceOf(StrataError);
        await store.set('a', Buffer.from('1'));
      }
      await expect(write()).rejects.toMatchObject({ code: 'unavailable', retryable: false });
      expect(text((await store.get('a')) as Uint8Array)).toBe('1');
      await close(store);
      await using again = open(disk);
      await again.set('a', Buffer.from('3'));
      await close(again);
    }
  });
});

describe('damage', () => {
  it('of any bit, or the loss of any end, is corrupt and never a value', async () => {
    const disk = new SimulatedDisk();
    const store = open(disk);
    await store.set('a', Buffer.from('value'), { meta: { a: 1 }, expiresAt: 4e12 });
    await store.set('b', Buffer.from('other'));
    const path = disk.files().find((one) => one.endsWith('/data/s/61')) as string;
    const bytes = disk.read(path) as Uint8Array;
    const damaged: Uint8Array[] = Array.from({ length: bytes.length }, (_, end) =>
      bytes.slice(0, end),
    );
    damaged.push(
      Buffer.concat([bytes, Buffer.of(0)]),
      disk.read(path.replace('61', '62')) as Uint8Array,
    );
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice();
      (flipped[bit >>> 3] as number) ^= 1 << (bit & 7);
      damaged.push(flipped);
    }
    for (const content of damaged) {
      disk.damage(path, content);
      await expect(store.get('a')).rejects.toMatchObject({ code: 'corrupt', key: 'a' });
      const conditional = store.set('a', Buffer.of(1), { if: 'absent' });
      // Damage of the value alone is nothing to a condition.
      await expect(conditional).rejects.toMatchObject({
        code: expect.stringMatching(/^(corrupt|conflict)$/),
      });
      await expect(Array.fromAsync(store.list())).rejects.toMatchObject({ code: 'corrupt' });
      expect(text((await store.get('b')) as Uint8Array)).toBe('other');
    }
    // What is damaged can be replaced.
    await store.set('a', Buffer.from('new'));
    expect(text((await store.get('a')) as Uint8Array)).toBe('new');
    await close(store);
  });
});

describe('a file system that folds case and normal forms', () => {
  it('keeps keys apart that it would take for one', async () => {
    const disk = new SimulatedDisk({ folding: true });
    const store = open(disk);
    const long = 'ä'.repeat(200);
    const keys = [
      'A',
      'a',
      'CON',
      'con',
      'NUL.txt',
      'é',
      'e\u0301',
      'ß',
      'SS',
      'ſs',
      '.',
      '..',
      '/',
      'a/../b',
      'x ',
      'x',
      'x.',
      `${long}A`,
      `${long}a`,
      `${long}Å`,
      `${long}A\u030a`,
    ];
    for (const key of keys) await store.set(key, Buffer.from(key));
    for (const key of keys) expect(text((await store.get(key)) as Uint8Array)).toBe(key);
    expect(await Array.fromAsync(store.keys())).toHaveLength(keys.length);
    await close(store);
  });
});

describe('a synchronous write beside others', () => {
  it('that empties a shard does not take its folder from under a flush', async () => {
    const disk = new SimulatedDisk();
    const store = open(disk);
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await store.set(key, Buffer.from(key));
    const held: (() => void)[] = [];
    const flush = disk.flushFolderLater.bind(disk);
    disk.flushFolderLater = async (path) => {
      await new Promise<void>((resolve) => held.push(resolve));
      await flush(path);
    };
    const writing = store.set('f', Buffer.from('again'));
    while (held.length === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const key of ['c', 'd', 'e', 'f']) store.blocking.delete(key);
    for (const release of held.splice(0)) release();
    await writing;
    disk.flushFolderLater = flush;
    await store.set('g', Buffer.from('g'));
    expect(await Array.fromAsync(store.keys())).toEqual(['a', 'b', 'g']);
    await close(store);
    await checkAfter(
      disk,
      { ...NOTHING, acknowledged: new Map([...'abg'].map((key) => [key, key])) },
      false,
    );
  });
});

describe('what else lies in the folder', () => {
  it('is left alone, and refused where it is no store', async () => {
    const disk = new SimulatedDisk();
    disk.makeFolder(folder);
    disk.write(`${folder}/report.txt`, [Buffer.from('mine')], true);
    expect(() => open(disk)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(disk.files()).toHaveLength(1);
    expect(() => toPrimitives({ path: folder, readonly: true }, new SimulatedDisk())).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
    const other = new SimulatedDisk();
    const store = open(other);
    for (const key of ['a', 'b', 'c', 'd']) await store.set(key, Buffer.from(key));
    other.write(`${folder}/data/s/.DS_Store`, [Buffer.from('?')], true);
    expect(await Array.fromAsync(store.keys())).toEqual(['a', 'b', 'c', 'd']);
    expect(await store.clear()).toBe(4);
    expect(other.files().some((path) => path.endsWith('.DS_Store'))).toBe(true);
    await close(store);
  });
});
