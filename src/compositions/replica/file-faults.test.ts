/** Replicas over files on a disk that fails: at each call, once or for good, with whatever the system says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { SimulatedDisk } from '../../../test/support/simulated-disk.ts';
import { toPrimitives } from '../../drivers/file/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { watchable } from '../../layers/watchable/index.ts';
import { defineStore, isStrataError, type Store, type StrataError } from '../../store/index.ts';
import { replica } from './index.ts';

type Bytes = Store<Uint8Array>;
type Members = (other: Bytes, files: Bytes) => readonly [Bytes, Bytes];

const folder = mkdtempSync(join(tmpdir(), 'stratakv-replica-faults-'));
afterAll(() => rmSync(folder, { recursive: true }));

const CODES = ['EIO', 'ENOSPC', 'EACCES', 'EMFILE', 'EROFS'];
const TOLD = ['no-space', 'denied', 'unavailable', 'unknown-outcome'];
const STEPS: readonly (readonly [key: string, value: string | undefined])[] = [
  ['a', 'one'],
  ['b', 'two'],
  ['a', 'three'],
  ['c', 'four'],
  ['d', 'five'],
  ['b', undefined],
  ['c', 'six'],
];
const KEYS: readonly string[] = [...new Set(STEPS.map(([key]) => key))];

/** Of each key, what it may hold. */
type Allowed = Map<string, (string | undefined)[]>;

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && Buffer.from(bytes).toString();

/** Shards of two files, on a disk of memory; only the lock lies on the real one. */
const filesOn = (disk: SimulatedDisk): Bytes =>
  defineStore(toPrimitives({ path: folder }, disk, 2));

const opened = (members: readonly Bytes[]): ReturnType<typeof replica<Uint8Array>> =>
  replica({ sync: members, closeParts: false, retry: { minMs: 1, maxMs: 1 }, timeoutMs: 2_000 });

async function failureOf(work: Promise<unknown>): Promise<StrataError | undefined> {
  try {
    await work;
  } catch (error) {
    if (isStrataError(error)) return error;
    throw error;
  }
  return undefined;
}

async function write(store: Bytes): Promise<Allowed> {
  const allowed: Allowed = new Map(KEYS.map((key) => [key, [undefined]]));
  for (const [key, value] of STEPS) {
    const work = value === undefined ? store.delete(key) : store.set(key, Buffer.from(value));
    const failure = await failureOf(work);
    if (failure === undefined) allowed.set(key, [value]);
    else {
      expect(TOLD).toContain(failure.code);
      if (failure.code === 'unknown-outcome') allowed.get(key)?.push(value);
    }
  }
  return allowed;
}

async function check(store: Bytes, allowed: Allowed): Promise<void> {
  for (const [key, values] of allowed) expect(values).toContain(text(await store.get(key)));
}

const stateOf = (store: Bytes): Promise<string[]> =>
  Array.fromAsync(store.list(), ({ key, value }) => `${key}=${text(value)}`);

/** Opens the replica, lets the disk fail, and looks at what is there then, and after another opening. */
async function run(
  members: Members,
  fault: { readonly at: number; readonly code: string; readonly forGood: boolean } | undefined,
): Promise<number> {
  const disk = new SimulatedDisk();
  const other = memory<Uint8Array>();
  const files = filesOn(disk);
  const both = members(other, files);
  const store = opened(both);
  await store.set('begin', Buffer.from('begin'));
  await store.flush();
  const from = disk.calls;
  if (fault !== undefined) disk.fault = { ...fault, at: from + fault.at };
  const allowed = await write(store);
  const calls = disk.calls - from;
  disk.fault = undefined;
  // Asked while a member may be behind or only reads: an error, or the truth.
  for (const [key, values] of allowed) {
    const failure = await failureOf(
      store.get(key).then((value) => expect(values).toContain(text(value))),
    );
    if (failure !== undefined) expect(failure.code).toBe('unavailable');
  }
  await failureOf(store.close({ drainMs: 0 }));
  // What is in memory outlives the opening.
  for (const part of both) if (part !== other) await failureOf(part.close());
  const again = members(other, filesOn(disk));
  const after = opened(again);
  await check(after, allowed);
  expect(await after.flush({ timeoutMs: 5_000 })).toMatchObject({ behind: [] });
  await check(after, allowed);
  expect(await stateOf(again[1])).toEqual(await stateOf(again[0]));
  expect(disk.files().filter((path) => path.startsWith(join(folder, 'tmp', '/')))).toEqual([]);
  await after.close();
  for (const part of again) await part.close();
  return calls;
}

const worlds: Record<string, Members> = {
  'beside a store in memory': (other, files) => [other, files],
  'as the first store': (other, files) => [watchable(files), other],
};

test.each(Object.entries(worlds))('files %s', { timeout: 600_000 }, async (_, members) => {
  const calls = await run(members, undefined);
  expect(calls).toBeGreaterThan(50);
  for (let at = 1; at <= calls; at++) {
    // Each call with one code in turn; all codes with all calls by STRATAKV_FAULTS=all.
    const codes = process.env.STRATAKV_FAULTS === 'all' ? CODES : [CODES[at % CODES.length]];
    for (const code of codes as string[])
      for (const forGood of [false, true]) await run(members, { at, code, forGood });
  }
});
