/** Commits of which the store does not say whether they were applied, and calls that overlap. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  callOf,
  type Fate,
  given,
  journalOn,
  LEASE_MS,
  Mortal,
  set,
  writesOf,
} from '../../../test/support/journal-world.ts';
import { codeOf } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Primitives } from '../../store/primitives.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import type { Journal, JournalRecord } from './journal.ts';

const refused = new StrataError('denied', 'not allowed', { operation: 'set' });

async function world() {
  const env = simulatedEnv();
  const inner = memory<unknown>({ env });
  const mortal = new Mortal();
  const { journal, told } = journalOn(mortal.over(primitivesOf(inner)), env);
  await journal.open(callOf(env));
  return { env, store: primitivesOf(inner), mortal, journal, told, call: callOf(env) };
}

async function reopened(
  store: Primitives<unknown>,
  env: SimulatedEnv,
): Promise<readonly JournalRecord<unknown>[]> {
  const { journal } = journalOn(store, env);
  const found = await given(env, journal.open(callOf(env)));
  await journal.close();
  return found;
}

describe('an append of unknown outcome', () => {
  it('succeeds when it was applied', async () => {
    for (const fate of ['lost', 0, 1] as const) {
      const { env, store, mortal, journal, call } = await world();
      mortal.fates.push(fate);
      const records = await given(env, journal.append([[set('a', 1)], [set('b', 2)]], [], call));
      expect(records.map(({ seq }) => seq)).toEqual([1, 2]);
      await journal.close();
      expect(await reopened(store, env)).toEqual(records);
    }
  });

  it('fails for sure when it was not, and can come no more', async () => {
    for (const fate of ['gone', 4, 1e9] as const) {
      const { env, store, mortal, journal, call, told } = await world();
      mortal.fates.push(fate);
      const failed = given(env, journal.append([[set('a', 1)]], [], call));
      await expect(failed).rejects.toMatchObject({ code: 'unavailable', retryable: true });
      await mortal.landAll();
      const [next] = await given(env, journal.append([[set('a', 2)]], [], call));
      await mortal.landAll();
      expect(told.lost).toEqual([]);
      await journal.close();
      expect(await reopened(store, env)).toEqual([next]);
    }
  });

  it('holds up what comes after it until it is known', async () => {
    const { env, store, mortal, journal, call } = await world();
    mortal.fates = ['lost', ...Array.from({ length: 20 }, () => 'refused' as const)];
    const first = Promise.resolve(journal.append([[set('a', 1)]], [], call));
    await env.advance(0);
    let done = false;
    const second = Promise.resolve(journal.append([[set('a', 2)]], [], call)).finally(() => {
      done = true;
    });
    await env.advance(100);
    expect(done).toBe(false);
    const records = [await given(env, first), await given(env, second)].flat();
    expect(records.map(({ seq }) => seq)).toEqual([1, 2]);
    await journal.close();
    expect(await reopened(store, env)).toEqual(records);
  });

  it('stays unknown when the journal is closed before it is known', async () => {
    const { env, store, mortal, journal, call } = await world();
    mortal.fates = ['lost', ...Array.from({ length: 10_000 }, () => 'refused' as const)];
    const writes = [set('a', 1)];
    const code = codeOf((async () => journal.append([writes], [], call))());
    await env.advance(0);
    await given(env, journal.close());
    expect(await code).toBe('unknown-outcome');
    expect(await codeOf((async () => journal.drop([1], call))())).toBe('closed');
    // It did not pretend to leave in order: its late commit might still have come.
    const before = env.monotonicMs();
    expect(writesOf(await reopened(store, env))).toEqual([writes]);
    expect(env.monotonicMs() - before).toBeGreaterThanOrEqual(LEASE_MS);
    expect(env.pendingTimers).toBe(0);
  });

  it('that hangs beyond the end of the journal cannot come after the next owner', async () => {
    const env = simulatedEnv();
    const inner = memory<unknown>({ env });
    const plan = new FaultPlan();
    const { journal, told } = journalOn(primitivesOf(faulty(inner, plan)), env);
    await journal.open(callOf(env));
    plan.hangNext('commit');
    const code = codeOf((async () => journal.append([[set('a', 1)]], [], callOf(env)))());
    await given(env, journal.close());
    const next = journalOn(primitivesOf(inner), env).journal;
    expect(await given(env, next.open(callOf(env)))).toEqual([]);
    plan.release();
    expect(await code).not.toBe('no error');
    expect(told.lost).toEqual([]);
    await next.close();
    expect(await reopened(primitivesOf(inner), env)).toEqual([]);
  });

  it('loses the journal when its store fails for good', async () => {
    const { env, journal, told, mortal, store, call } = await world();
    mortal.fates = ['lost', 'refused'];
    const code = codeOf((async () => journal.append([[set('a', 1)]], [], call))());
    await env.advance(0);
    store.commit = () => {
      throw new StrataError('corrupt', 'all is lost', { operation: 'commit' });
    };
    await env.advance(10_000);
    expect(await code).toBe('unknown-outcome');
    expect(told.lost).toMatchObject([{ code: 'corrupt', retryable: false }]);
    expect(await codeOf((async () => journal.drop([1], call))())).toBe('corrupt');
    await journal.close();
  });

  it('of dead letters and drops is made to succeed', async () => {
    for (const fate of ['lost', 'gone', 0, 3] as const) {
      const { env, store, mortal, journal, call } = await world();
      const records = await given(env, journal.append([[set('a', 1)], [set('b', 2)]], [], call));
      const letter = set('c', 3);
      mortal.fates = [fate];
      await given(env, journal.bury(letter, refused, call));
      expect(journal.deadLetterCount).toBe(1);
      mortal.fates = [fate, 'done', 'refused', 'refused'];
      await given(env, journal.drop([1], call));
      mortal.fates = [fate];
      const [id] = (await given(env, journal.deadLetters(call))).map((one) => one.id);
      await given(env, journal.forgetDeadLetters([id as string], call));
      expect(journal.deadLetterCount).toBe(0);
      await mortal.landAll();
      await journal.close();
      expect(await reopened(store, env)).toEqual([records[1]]);
    }
  });
});

describe('a blocking append', () => {
  async function blockingWorld() {
    const env = simulatedEnv();
    const inner = memory<unknown>({ env });
    const plan = new FaultPlan();
    const { journal, told } = journalOn(primitivesOf(faulty(inner, plan)), env);
    await journal.open(callOf(env));
    const blocking = journal.blocking as NonNullable<typeof journal.blocking>;
    return { env, plan, journal, told, blocking, store: primitivesOf(inner) };
  }

  it('works as the other one does, beside it', async () => {
    const { env, journal, blocking, store } = await blockingWorld();
    const one = blocking.append([[set('a', 1)], [set('b', 2)]], [], 'set');
    const two = await journal.append([[set('c', 3)]], [1], callOf(env));
    blocking.drop([2], 'set');
    expect(blocking.append([], [77], 'set')).toEqual([]);
    expect([...one, ...two].map(({ seq }) => seq)).toEqual([1, 2, 3]);
    blocking.drop([3], 'set');
    const [last] = blocking.append([[set('d', 4)]], [], 'set');
    await journal.close();
    expect(await reopened(store, env)).toEqual([last]);
  });

  it('of unknown outcome is taken back', async () => {
    for (const applied of [true, false]) {
      const { env, plan, journal, blocking, store, told } = await blockingWorld();
      const [kept] = blocking.append([[set('a', 1)]], [], 'set');
      blocking.drop([1], 'set');
      plan.failNext('commit', 'unknown-outcome', { applied });
      const append = (): unknown => blocking.append([[set('a', 2)], [set('b', 2)]], [], 'set');
      expect(append).toThrow(expect.objectContaining({ code: 'unknown-outcome' }));
      expect(append).toThrow(expect.objectContaining({ code: 'unavailable', retryable: true }));
      expect(() => blocking.drop([1], 'set')).toThrow(/finding out/);
      await env.advance(1_000);
      expect(told.lost).toEqual([]);
      await journal.close();
      const found = journalOn(store, env).journal;
      expect(await found.open(callOf(env))).toEqual([]);
      // Its place is not given to another.
      expect(found.lastSeq).toBeGreaterThanOrEqual(kept?.seq as number);
      if (applied) expect(found.lastSeq).toBe(3);
      await found.close();
      expect(env.pendingTimers).toBe(0);
    }
  });

  it('that fails for sure changes nothing', async () => {
    const { env, plan, journal, blocking, store } = await blockingWorld();
    plan.failNext('commit', 'no-space');
    expect(() => blocking.append([[set('a', 1)]], [], 'set')).toThrow(/planned/);
    const records = blocking.append([[set('a', 2)]], [], 'set');
    await journal.close();
    expect(await reopened(store, env)).toEqual(records);
  });
});

it('keeps what was acknowledged of calls that overlap over a bad line', async () => {
  const fate: fc.Arbitrary<Fate> = fc.oneof(
    fc.constantFrom<Fate>('done', 'done', 'lost', 'gone', 'refused'),
    fc.integer({ min: 0, max: 20 }),
  );
  const round = fc.array(fc.constantFrom('append', 'append two', 'drop', 'replace'), {
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(round, { maxLength: 5 }), fc.array(fate), async (rounds, fates) => {
      const { env, store, mortal, journal, told, call } = await world();
      const kept = new Map<number, JournalRecord<unknown>>();
      mortal.fates = [...fates];
      for (const kinds of rounds) {
        const before = [...kept.keys()];
        await given(env, Promise.all(kinds.map((kind, i) => act(journal, kind, before[i], kept))));
        expect(journal.lastSeq).toBeGreaterThanOrEqual(Math.max(0, ...kept.keys()));
      }
      expect(told.lost).toEqual([]);
      const { lastSeq, lastId } = journal;
      await given(env, journal.close());
      await mortal.landAll();
      const last = journalOn(store, env).journal;
      const found = await given(env, last.open(call));
      const bySeq = [...kept.values()].toSorted((a, b) => a.seq - b.seq);
      expect(found).toEqual(bySeq);
      expect([last.lastSeq, last.lastId]).toEqual([lastSeq, lastId]);
      await last.close();
    }),
    { numRuns: 300 },
  );

  /** One call; what it acknowledged is noted. */
  async function act(
    journal: Journal<unknown>,
    kind: string,
    seq: number | undefined,
    kept: Map<number, JournalRecord<unknown>>,
  ): Promise<void> {
    const call = callOf(simulatedEnv());
    const drop = (kind === 'drop' || kind === 'replace') && seq !== undefined ? [seq] : [];
    const commits =
      kind === 'drop' ? [] : [[set('a', kind)], [set('b', 1)]].slice(kind === 'append two' ? 0 : 1);
    try {
      for (const record of await journal.append(commits, drop, call)) kept.set(record.seq, record);
      for (const gone of drop) kept.delete(gone);
    } catch (error) {
      expect((error as StrataError).code).toBe('unavailable');
    }
  }
});
