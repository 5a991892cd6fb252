/** The journal in a store: what it keeps, and what it finds again. */
import { describe, expect, it } from 'vitest';
import {
  callOf,
  del,
  given,
  journalOn,
  Mortal,
  set,
  writesOf,
} from '../../../test/support/journal-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { json } from '../../store/codec.ts';
import { StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Primitives } from '../../store/primitives.ts';
import { type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import type { JournalWrite } from './journal.ts';

interface Made {
  readonly env: SimulatedEnv;
  readonly store: Primitives<unknown>;
}

const PART_BYTES = 128;

/** Values as they are; as bytes; as bytes in many parts. */
const forms: Record<string, () => Made> = {
  plain: () => {
    const env = simulatedEnv();
    return { env, store: primitivesOf(memory({ env })) };
  },
  bytes: () => {
    const env = simulatedEnv();
    return { env, store: primitivesOf(memory({ env, codec: json() })) };
  },
  parts: () => {
    const env = simulatedEnv();
    return { env, store: narrow(primitivesOf(memory({ env, codec: json() }))) };
  },
};

/** Takes short values only, but for notes. */
function narrow<V>(inner: Primitives<V>): Primitives<V> {
  const isNote = (key: string): boolean => key.endsWith('/owner') || key.endsWith('/state');
  return {
    ...inner,
    capabilities: Object.freeze({ ...inner.capabilities, maxValueBytes: PART_BYTES }),
    commit: (writes, call) => {
      for (const write of writes)
        if (write.type === 'set' && !isNote(write.key))
          expect((write.value as unknown as Uint8Array).length).toBeLessThanOrEqual(PART_BYTES);
      return inner.commit(writes, call);
    },
  };
}

const everything = { reverse: false, limit: Number.POSITIVE_INFINITY };

describe.each(Object.entries(forms))('a journal (%s)', (_, make) => {
  it('gives back what was appended and not dropped, in order', async () => {
    const { env, store } = make();
    const first = journalOn(store, env).journal;
    const call = callOf(env);
    expect(await first.open(call)).toEqual([]);
    const one = [set('a', { deep: [1, 'x'.repeat(300)] }), del('b')];
    const two = [set('c', 2, { expiresAt: 9, immutable: true, meta: { m: 1 }, base: 'w' })];
    const three = [set('d', null)];
    const [r1, r2] = await first.append([one, two], [], call);
    const [r3] = await first.append([three], [2], call);
    expect([r1, r2, r3].map((record) => record?.seq)).toEqual([1, 2, 3]);
    expect(first.lastId).toBe(r3?.id);
    await first.close();

    const second = journalOn(store, env).journal;
    const found = await second.open(call);
    expect(found).toEqual([r1, r3]);
    expect(writesOf(found)).toEqual([one, three]);
    expect([second.storeId, second.epoch]).toEqual([first.storeId, first.epoch]);
    expect([second.lastSeq, second.lastId]).toEqual([3, r3?.id]);
    await second.drop([1, 77], call);
    await second.close();
    const third = journalOn(store, env).journal;
    expect(await third.open(call)).toEqual([r3]);
    await third.close();
    expect(env.pendingTimers).toBe(0);
  });

  it('keeps its place when everything is dropped', async () => {
    const { env, store } = make();
    const call = callOf(env);
    let last = 0;
    let lastId = '';
    for (let round = 0; round < 3; round++) {
      const { journal } = journalOn(store, env);
      expect(await journal.open(call)).toEqual([]);
      expect([journal.lastSeq, journal.lastId]).toEqual([last, lastId]);
      const records = await journal.append([[set('a', 'x'.repeat(300))], [del('a')]], [], call);
      expect(records.map(({ seq }) => seq)).toEqual([last + 1, last + 2]);
      await journal.drop([last + 1, last + 2], call);
      last = journal.lastSeq;
      lastId = journal.lastId;
      await journal.close();
    }
    const keys = (await Array.fromAsync(store.scanKeys(everything, call))).flat();
    expect(keys.filter((key) => key.includes('/record/'))).toHaveLength(1);
  });

  it('keeps dead letters until they are taken out', async () => {
    const { env, store } = make();
    const call = callOf(env);
    const first = journalOn(store, env).journal;
    await first.open(call);
    const refused = new StrataError('denied', 'not allowed', { operation: 'set' });
    const letter = set('a', { a: 'x'.repeat(300) });
    const other = del('a');
    await first.bury(letter, refused, call);
    await first.bury(letter, refused, call);
    await env.advance(5);
    await first.bury(other, refused, call);
    expect(first.deadLetterCount).toBe(2);
    await first.close();

    const second = journalOn(store, env).journal;
    await second.open(call);
    expect(second.deadLetterCount).toBe(2);
    const letters = await second.deadLetters(call);
    expect(letters.map(({ write }) => write)).toEqual([letter, other]);
    expect(letters[0]?.cause).toEqual({ code: 'denied', message: 'not allowed' });
    await second.forgetDeadLetters([letters[0]?.id as string, 'unknown'], call);
    expect((await second.deadLetters(call)).map(({ write }) => write)).toEqual([other]);
    expect(second.deadLetterCount).toBe(1);
    await second.close();
  });

  it('gives exactly what was acknowledged, at whatever step the process ends', async () => {
    for (const applied of [false, true])
      for (let step = 1; ; step++) {
        const { env, store } = make();
        const mortal = new Mortal();
        mortal.dieAt(step, applied);
        const life = live(mortal.over(store), env);
        await env.advance(50);
        const { journal } = journalOn(store, env, { owner: 'pid 2' });
        const found = writesOf(await given(env, journal.open(callOf(env))));
        expect(life.possible).toContainEqual(found);
        expect(journal.lastSeq).toBeGreaterThanOrEqual(life.lastSeq);
        expect(journal.deadLetterCount).toBeGreaterThanOrEqual(life.buried);
        await journal.close();
        if (!mortal.dead) break;
      }
  });
});

type Commits = readonly (readonly JournalWrite<unknown>[])[];

/** Opens, appends, drops, buries and closes; notes which states a successor may find. */
function live(store: Primitives<unknown>, env: SimulatedEnv) {
  const { journal } = journalOn(store, env);
  const call = callOf(env);
  const life = { possible: [[]] as Commits[], lastSeq: 0, buried: 0 };
  const step = async (next: Commits, work: () => unknown): Promise<void> => {
    life.possible.push(next);
    await work();
    life.possible = [next];
    life.lastSeq = journal.lastSeq;
  };
  const value = 'v'.repeat(200);
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((key) => [set(key, value), del(`${key}0`)]);
  const [one, two, three, four] = [a, b, c, d] as [Commits[0], Commits[0], Commits[0], Commits[0]];
  const refused = new StrataError('denied', 'not allowed', { operation: 'set' });
  const run = async (): Promise<void> => {
    await journal.open(call);
    await step([one, two], () => journal.append([one, two], [], call));
    await step([two, three], () => journal.append([three], [1], call));
    await step([two], () => journal.drop([3], call));
    await journal.bury(set('e', value), refused, call);
    life.buried = 1;
    await step([four], () => journal.append([four], [2], call));
    await step([], () => journal.drop([4], call));
    await journal.close();
  };
  void run();
  return life;
}
