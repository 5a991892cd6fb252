/** A journal brings what a lost first store had, and the asynchronous members had not. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { losable } from '../../../test/support/losable.ts';
import { memory } from '../../drivers/memory/index.ts';
import { sqlite } from '../../drivers/sqlite/index.ts';
import { json } from '../../store/codec.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty } from '../../testing/index.ts';
import { type ReplicaEvent, type ReplicaOptions, type ReplicaStore, replica } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-replica-journal-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
const durable = (): Store<string> =>
  sqlite({ path: join(folder, `${++files}.db`), codec: json<string>(), durability: 'os' });
const state = async (store: Store<string>): Promise<Record<string, string>> =>
  Object.fromEntries((await Array.fromAsync(store.list())).map(({ key, value }) => [key, value]));
const always = { times: Number.POSITIVE_INFINITY };
const away = (): FaultPlan => new FaultPlan().failNext('commit', 'unavailable', always);

const over = (
  sync: readonly Store<string>[],
  async: readonly Store<string>[],
  journal: Store<string>,
  options: Partial<ReplicaOptions<string>> = {},
): ReplicaStore<string> =>
  replica({ sync, async, journal, closeParts: false, retry: { minMs: 5, maxMs: 20 }, ...options });

/** Waits for an end in real time: the journal and the members are files. */
async function until(isOver: () => boolean): Promise<void> {
  for (let tries = 0; !isOver(); tries++) {
    if (tries > 1_000) throw new Error('it does not come to an end');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('a first store that lost everything', () => {
  test('gets back what an asynchronous member did not have yet, deletes too', async () => {
    const [mirror, journal] = [durable(), durable()];
    const plan = new FaultPlan();
    const before = over([memory()], [faulty(mirror, plan)], journal);
    await before.setMany([
      ['kept', 'old'],
      ['changed', 'old'],
      ['deleted', 'old'],
    ]);
    await before.flush();
    plan.failNext('commit', 'unavailable', always);
    await before.set('changed', 'new', { meta: { n: 1 } });
    await before.set('added', 'new');
    await before.delete('deleted');
    await before.set('gone', 'new');
    await before.delete('gone');
    expect(before.status().journal).toMatchObject({ entries: 5 });
    await before.close({ drainMs: 0 });
    expect(await mirror.get('deleted')).toBe('old');

    const after = over([memory()], [mirror], journal);
    const expected = { added: 'new', changed: 'new', kept: 'old' };
    expect(await state(after)).toEqual(expected);
    expect(await after.getEntry('changed')).toMatchObject({ meta: { n: 1 } });
    await after.flush();
    expect(await state(mirror)).toEqual(expected);
    expect(after.status().journal).toEqual({ entries: 0, bytes: 0 });
    await after.close();
    const third = over([memory()], [mirror], journal);
    expect(await state(third)).toEqual(expected);
    await third.close();
  });

  test('loses nothing when it is lost again before the member had it', async () => {
    const [mirror, journal] = [durable(), durable()];
    let value = 0;
    const first = over([memory()], [mirror], journal);
    await first.set('deleted', 'old');
    await first.set('a', 'old');
    await first.flush();
    await first.close();
    for (let cycle = 0; cycle < 3; cycle++) {
      const store = over([memory()], [faulty(mirror, away())], journal);
      if (cycle > 0) expect(await store.get('a')).toBe(String(value));
      await store.set('a', String(++value));
      if (cycle === 0) await store.delete('deleted');
      await store.set(`b${cycle}`, 'new');
      await store.close({ drainMs: 0 });
    }
    const last = over([memory()], [mirror], journal);
    const expected = { a: '3', b0: 'new', b1: 'new', b2: 'new' };
    expect(await state(last)).toEqual(expected);
    await last.flush();
    expect(await state(mirror)).toEqual(expected);
    await last.close();
  });

  test('does not bring back to one member what another knows to be deleted', async () => {
    const [one, two, journal] = [durable(), durable(), durable()];
    const plan = new FaultPlan();
    const before = over([memory()], [one, faulty(two, plan)], journal);
    await before.set('a', 'old');
    await before.flush();
    plan.failNext('commit', 'unavailable', always);
    await before.delete('a');
    await until(() => before.status().members[0]?.queued === 0);
    await before.close({ drainMs: 0 });
    expect([await one.get('a'), await two.get('a')]).toEqual([undefined, 'old']);
    const after = over([memory()], [one, two], journal);
    expect(await after.get('a')).toBeUndefined();
    await after.flush();
    expect([await one.get('a'), await two.get('a')]).toEqual([undefined, undefined]);
    await after.close();
  });

  test('is not read before a member that may hold more was asked', async () => {
    const [mirror, journal] = [durable(), durable()];
    const before = over([memory()], [mirror], journal);
    await before.set('a', '1');
    await before.flush();
    await before.close();
    const plan = new FaultPlan().failNext('read', 'unavailable', always);
    const after = over([memory()], [faulty(mirror, plan)], journal);
    await expect(after.get('a')).rejects.toMatchObject({ code: 'unavailable' });
    plan.heal();
    await until(() => after.status().state === 'open');
    expect(await after.get('a')).toBe('1');
    await after.close();
  });

  test('is given nothing by a journal that is out of date', async () => {
    const [mirror, journal] = [durable(), durable()];
    const before = over([memory()], [mirror], journal);
    await before.set('a', '0');
    await before.flush();
    await before.close();
    const lost = over([memory()], [faulty(mirror, away())], journal);
    await lost.set('a', '1');
    await lost.close({ drainMs: 0 });
    const without = replica({ sync: [memory<string>()], async: [mirror], closeParts: false });
    await without.set('a', '2');
    await without.flush();
    await without.close();
    const events: ReplicaEvent[] = [];
    const after = over([memory()], [mirror], journal, { onEvent: (event) => events.push(event) });
    expect(await after.get('a')).toBe('2');
    expect(events).toContainEqual({ type: 'journal-outdated' });
    await after.close();
  });
});

test('a first store that kept its data counts, whatever the journal holds', async () => {
  const [first, mirror, journal] = [durable(), durable(), durable()];
  const before = over([first], [faulty(mirror, away())], journal);
  await before.set('a', '1');
  await before.close({ drainMs: 0 });
  await first.set('a', '2');
  const after = over([first], [mirror], journal);
  expect(await after.get('a')).toBe('2');
  await after.flush();
  expect(await mirror.get('a')).toBe('2');
  expect(after.status().journal).toEqual({ entries: 0, bytes: 0 });
  await after.close();
});

describe('a write', () => {
  test('that the journal does not take is unknown, and in the first store', async () => {
    const [mirror, journal] = [durable(), durable()];
    const plan = new FaultPlan();
    const store = over([memory()], [mirror], faulty(journal, plan));
    await store.set('a', '1');
    plan.failNext('commit', 'no-space');
    await expect(store.set('a', '2')).rejects.toMatchObject({
      code: 'unknown-outcome',
      cause: { code: 'no-space' },
    });
    expect(await store.get('a')).toBe('2');
    await store.set('a', '3');
    await store.close();
  });

  test('that is on its way to the journal while the first store loses its data is unknown', async () => {
    const [mirror, journal] = [durable(), durable()];
    const first = losable<string>();
    const plan = new FaultPlan();
    const late = new FaultPlan();
    const store = over([first.store], [faulty(mirror, late)], faulty(journal, plan));
    for (let n = 0; n < 5; n++) await store.set(`k${n}`, 'old');
    await store.flush();
    late.hangNext('commit', always);
    plan.hangNext('commit', { times: 1 });
    const writing = store.set('a', '1').catch((error: unknown) => error);
    first.lose();
    const other = store.set('b', '1');
    plan.release();
    expect(await writing).toMatchObject({ code: 'unknown-outcome' });
    late.heal();
    await other;
    expect(await store.get('b')).toBe('1');
    expect(await store.get('k3')).toBe('old');
    await store.close();
  });

  test('waits before anything is written while the journal is full', async () => {
    const [mirror, journal] = [durable(), durable()];
    const plan = new FaultPlan();
    const store = over([memory()], [faulty(mirror, plan)], journal, { journalBytes: 1_000 });
    await store.set('a', '0');
    await store.flush();
    plan.failNext('commit', 'unavailable', always);
    let error: unknown;
    let last = '0';
    for (let n = 1; n < 100 && error === undefined; n++)
      await store.set('a', String(n), { timeoutMs: 300 }).then(
        () => {
          last = String(n);
        },
        (cause: unknown) => {
          error = cause;
        },
      );
    expect(error).toMatchObject({ code: 'timeout' });
    expect(await store.get('a')).toBe(last);
    plan.heal();
    await store.set('a', 'after');
    await store.flush();
    expect(await mirror.get('a')).toBe('after');
    await store.close();
  });
});

test('is as durable as the journal and the asynchronous members are', async () => {
  const parts = [durable(), durable()] as const;
  const store = over([memory()], [parts[0]], parts[1]);
  expect(store.capabilities.durability).toBe('os');
  await store.close();
});

test('two of one journal: the second is refused', async () => {
  const [mirror, journal] = [durable(), durable()];
  const one = over([memory()], [mirror], journal);
  await one.set('a', '1');
  const two = over([memory()], [durable()], journal);
  await expect(two.get('a')).rejects.toMatchObject({
    code: 'unavailable',
    cause: { code: 'conflict' },
  });
  await two.close();
  await one.close();
});

test.each([
  ['no asynchronous store', () => over([memory()], [], durable())],
  ['a store that forgets', () => over([memory()], [durable()], memory())],
  [
    'a bound without a journal',
    () => replica({ sync: [memory()], async: [memory()], journalBytes: 1 }),
  ],
])('refuses a journal with %s', (_, open) => {
  expect(open).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
});

test('refuses a member as the journal', () => {
  const mirror = durable();
  expect(() => over([memory()], [mirror], mirror)).toThrow(/it is async\[0\] too/);
});
