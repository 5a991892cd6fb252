/** One owner at a time, whoever is paused and whatever the clocks say. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  callOf,
  given,
  journalOn,
  LEASE_MS,
  Mortal,
  set,
  writesOf,
} from '../../../test/support/journal-world.ts';
import { lateStore } from '../../../test/support/late-store.ts';
import { codeOf } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Primitives } from '../../store/primitives.ts';
import { simulatedEnv } from '../../testing/index.ts';
import type { JournalWrite } from './journal.ts';

/** The same store, as another process has it. */
function elsewhere<V>(store: Primitives<V>): Primitives<V> {
  return { ...store };
}

function world() {
  const env = simulatedEnv();
  return { env, store: primitivesOf(memory({ env })) };
}

const refused = new StrataError('denied', 'not allowed', { operation: 'set' });

describe('a journal that somebody has open', () => {
  it('is refused at once in the same process', async () => {
    const { env, store } = world();
    const first = journalOn(store, env, { owner: 'pid 7' }).journal;
    await first.open(callOf(env));
    const second = journalOn(store, env).journal;
    await expect(second.open(callOf(env))).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('pid 7'),
      details: { owner: 'pid 7' },
    });
    expect(await codeOf(first.open(callOf(env)))).toBe('conflict');
    await first.close();
    expect(await codeOf(first.open(callOf(env)))).toBe('closed');
    await second.open(callOf(env));
    await second.close();
  });

  it('is another under another name', async () => {
    const { env, store } = world();
    const journals = ['a', 'b'].map((name) => journalOn(store, env, { name }).journal);
    for (const journal of journals) await journal.open(callOf(env));
    await journals[0]?.append([[set('k', 1)]], [], callOf(env));
    expect(journals.map(({ lastSeq }) => lastSeq)).toEqual([1, 0]);
    for (const journal of journals) await journal.close();
  });

  it('is refused to other processes as soon as its owner shows a sign of life', async () => {
    const { env, store } = world();
    const first = journalOn(store, env, { owner: 'pid 7' }).journal;
    await first.open(callOf(env));
    await env.advance(10 * LEASE_MS);
    const opening = codeOf(journalOn(elsewhere(store), env).journal.open(callOf(env)));
    await env.advance(LEASE_MS / 2);
    expect(await opening).toBe('conflict');
    const [one] = await first.append([[set('k', 1)]], [], callOf(env));
    expect(one?.seq).toBe(1);
    await first.close();
    expect(env.pendingTimers).toBe(0);
  });

  it('is free at once when it was closed', async () => {
    const { env, store } = world();
    const first = journalOn(store, env).journal;
    await first.open(callOf(env));
    const waiting = journalOn(elsewhere(store), env).journal;
    const opening = waiting.open(callOf(env));
    await env.advance(0);
    await first.close();
    await env.advance(LEASE_MS / 4);
    await opening;
    await waiting.close();
    const third = journalOn(elsewhere(store), env).journal;
    await third.open(callOf(env));
    await third.close();
  });
});

describe('a journal whose owner is silent', () => {
  it.each([
    [LEASE_MS, LEASE_MS, LEASE_MS],
    [LEASE_MS, 3 * LEASE_MS, 3 * LEASE_MS],
    [3 * LEASE_MS, LEASE_MS, 3 * LEASE_MS],
  ])('is taken over after the longer lease (%i and %i)', async (theirs, own, afterMs) => {
    const { env, store } = world();
    const mortal = new Mortal();
    const dead = journalOn(mortal.over(store), env, { leaseMs: theirs }).journal;
    await dead.open(callOf(env));
    mortal.dead = true;
    env.stepClock(1e9);
    const { journal } = journalOn(store, env, { leaseMs: own });
    let open = false;
    const opening = journal.open(callOf(env)).then(() => {
      open = true;
    });
    await env.advance(afterMs - 1);
    expect(open).toBe(false);
    await env.advance(1);
    expect(open).toBe(true);
    await opening;
    await journal.close();
  });

  it('is not waited for longer than the call', async () => {
    const { env, store } = world();
    const mortal = new Mortal();
    await journalOn(mortal.over(store), env).journal.open(callOf(env));
    mortal.dead = true;
    const { journal } = journalOn(store, env);
    const opening = codeOf(journal.open(callOf(env, LEASE_MS / 2)));
    await env.advance(LEASE_MS / 2);
    expect(await opening).toBe('timeout');
    // Nothing is left behind: the next try goes on, and so does closing in the midst of it.
    const again = codeOf(journal.open(callOf(env)));
    await env.advance(10);
    await journal.close();
    expect(await again).toBe('closed');
  });

  it('can be written no longer by the owner that was only paused', async () => {
    const { env, store } = world();
    // Its time stands still: it shows no sign of life, and does not know it.
    const paused = journalOn(elsewhere(store), simulatedEnv(2));
    await paused.journal.open(callOf(env));
    const [kept] = await paused.journal.append([[set('k', 'old')]], [], callOf(env));
    const { journal } = journalOn(store, env, { owner: 'pid 2' });
    const found = await given(env, journal.open(callOf(env)));
    expect(found).toEqual([kept]);
    const [next] = await journal.append([[set('k', 'new')]], [1], callOf(env));

    const { journal: old, told } = paused;
    const tries: (() => unknown)[] = [
      () => old.append([[set('k', 'late')]], [2], callOf(env)),
      () => old.drop([1, 2], callOf(env)),
      () => old.bury(set('k', 1), refused, callOf(env)),
      () => old.deadLetters(callOf(env)),
      () => old.forgetDeadLetters([], callOf(env)),
      () => old.blocking?.append([[set('k', 'late')]], [2], 'set'),
      () => old.blocking?.drop([2], 'set'),
    ];
    for (const one of tries) expect(await codeOf((async () => one())())).toBe('conflict');
    expect(told.lost).toHaveLength(1);
    await old.close();

    await journal.close();
    const last = journalOn(store, env).journal;
    expect(await last.open(callOf(env))).toEqual([next]);
    await last.close();
  });

  it('is lost to its owner at the next sign of life', async () => {
    const { env, store } = world();
    const own = simulatedEnv(2);
    const paused = journalOn(elsewhere(store), own);
    await paused.journal.open(callOf(env));
    const { journal } = journalOn(store, env);
    await given(env, journal.open(callOf(env)));
    await own.advance(LEASE_MS);
    expect(paused.told.lost.map(({ code }) => code)).toEqual(['conflict']);
    expect(await codeOf((async () => paused.journal.drop([1], callOf(env)))())).toBe('conflict');
    await paused.journal.close();
    await journal.close();
    expect(own.pendingTimers).toBe(0);
  });

  it('is not lost while its store is away', async () => {
    const { env, store } = world();
    const mortal = new Mortal();
    const { journal, told } = journalOn(mortal.over(store), env);
    await journal.open(callOf(env));
    mortal.fates.push(...Array.from({ length: 40 }, () => 'refused' as const));
    await env.advance(10 * LEASE_MS);
    mortal.fates = ['lost', 'gone', 2, 'lost'];
    await env.advance(2 * LEASE_MS);
    expect(told.lost).toEqual([]);
    expect(await given(env, journal.append([[set('k', 1)]], [], callOf(env)))).toHaveLength(1);
    await journal.close();
  });

  it('does not stop a commit of a dead owner from being found, nor lets it come later', async () => {
    const { env, store } = world();
    for (const lateBy of [0, 1e9]) {
      const mortal = new Mortal();
      const dead = journalOn(mortal.over(store), env).journal;
      await given(env, dead.open(callOf(env)));
      mortal.fates.push(lateBy);
      mortal.dieAt(mortal.steps + 2, false);
      void Promise.resolve(dead.append([[set('k', lateBy)]], [], callOf(env)));
      await env.advance(0);
      const { journal } = journalOn(store, env);
      const found = await given(env, journal.open(callOf(env)));
      expect(writesOf(found)).toMatchObject(lateBy === 0 ? [[{ value: 0 }]] : []);
      await mortal.landAll();
      await journal.drop(
        found.map(({ seq }) => seq),
        callOf(env),
      );
      await journal.close();
      const last = journalOn(store, env).journal;
      expect(await last.open(callOf(env))).toEqual([]);
      await last.close();
    }
  });
});

it('remembers ended claims, but not for ever', async () => {
  const { env, store } = world();
  const taken = async (): Promise<string[]> => {
    const range = { reverse: false, limit: Number.POSITIVE_INFINITY };
    const keys = (await Array.fromAsync(store.scanKeys(range, callOf(env)))).flat();
    return keys.filter((key) => key.includes('/taken/'));
  };
  const mortal = new Mortal();
  const { journal, told } = journalOn(mortal.over(store), env);
  await journal.open(callOf(env));
  for (let n = 1; n <= 1_010; n++) {
    mortal.fates.push('gone');
    expect(await codeOf(given(env, journal.append([[]], [], callOf(env))))).toBe('unavailable');
    if (n === 5) expect(await taken()).toHaveLength(5);
  }
  expect(told.lost).toEqual([]);
  expect(await taken()).toHaveLength(1_000);
  await journal.close();
});

/** Who wants the journal at once: newcomers, and the owner that was paused. */
it('has one owner in whatever order newcomers and the old owner come', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 2, maxLength: 3 }),
      fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 4 }),
      async (scheduler, comeAfterMs, writeAfterMs) => {
        const env = simulatedEnv();
        const inner = memory({ env });
        const store = primitivesOf(inner);
        const old = journalOn(elsewhere(store), simulatedEnv(2)).journal;
        await old.open(callOf(env));
        const acknowledged: (readonly JournalWrite<unknown>[])[] = [];
        const opened: { readonly found: unknown; readonly had: unknown }[] = [];
        const codes: string[] = [];
        const after = (ms: number): Promise<void> =>
          new Promise((resolve) => env.setTimer(resolve, ms));
        const come = async (ms: number): Promise<void> => {
          const wait = (name: string): Promise<unknown> =>
            scheduler.schedule(Promise.resolve(), name);
          const { journal } = journalOn(primitivesOf(lateStore(inner, wait)), env);
          await after(ms);
          try {
            const found = writesOf(await journal.open(callOf(env)));
            opened.push({ found, had: [...acknowledged] });
            const writes = [set('new', 1)];
            await journal.append([writes], [], callOf(env));
            acknowledged.push(writes);
          } catch (error) {
            codes.push((error as StrataError).code);
          }
        };
        const write = async (ms: number): Promise<void> => {
          await after(ms);
          const writes = [set('old', ms)];
          const code = await codeOf((async () => old.append([writes], [], callOf(env)))());
          if (code === 'no error') acknowledged.push(writes);
          else codes.push(code);
        };
        const all = Promise.all([...comeAfterMs.map(come), ...writeAfterMs.map(write)]);
        let done = false;
        void all.then(() => {
          done = true;
        });
        for (let turn = 0; turn < 400 && !done; turn++) {
          await env.advance(25);
          await scheduler.waitIdle();
        }
        await all;
        expect(opened).toHaveLength(1);
        expect(opened[0]?.found).toEqual(opened[0]?.had);
        expect(new Set(codes)).toEqual(new Set(codes.length > 0 ? ['conflict'] : []));
        // The winner goes on showing that it lives: so somebody else is refused, and sees nothing.
        const entries = (
          await Array.fromAsync(
            store.scan({ reverse: false, limit: Number.POSITIVE_INFINITY }, callOf(env)),
          )
        ).flat();
        expect(entries.filter(({ key }) => key.includes('/record/'))).toHaveLength(
          acknowledged.length,
        );
      },
    ),
    { numRuns: 60 },
  );
});
