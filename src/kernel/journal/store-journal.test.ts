/** The journal in a store: what it keeps, and what it finds again. */
import { describe, expect, it } from 'vitest';
import {
  callOf,
  contents,
  del,
  journalOn,
  LEASE_MS,
  Mortal,
  set,
} from '../../../test/support/journal-world.ts';
import { codeOf } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { type Codec, json } from '../../store/codec.ts';
import { StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Primitives } from '../../store/primitives.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';

type Made = { readonly env: SimulatedEnv; readonly store: Primitives<unknown> };

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
    const store = primitivesOf(memory({ env, codec: json() }));
    return { env, store: narrow(store, 128) };
  },
};

/** Notes are small and known; what is longer than the bound must come in parts. */
function narrow<V>(inner: Primitives<V>, maxValueBytes: number): Primitives<V> {
  return {
    ...inner,
    capabilities: Object.freeze({ ...inner.capabilities, maxValueBytes }),
    commit: (writes, call) => {
      for (const write of writes)
        if (write.type === 'set' && write.key.includes('/record/'))
          expect((write.value as unknown as Uint8Array).length).toBeLessThanOrEqual(maxValueBytes);
      return inner.commit(writes, call);
    },
  };
}

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
    expect(found.map(({ writes }) => writes)).toEqual([one, three]);
    expect([second.storeId, second.epoch]).toEqual([first.storeId, first.epoch]);
    expect([second.lastSeq, second.lastId]).toEqual([3, r3?.id]);
    await second.drop([1], call);
    await second.close();
    const third = journalOn(store, env).journal;
    expect(contents(await third.open(call))).toEqual(contents([r3 as never]));
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
      await journal.drop(
        records.map(({ seq }) => seq),
        call,
      );
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
        // Long enough for all that is alive, and for the lease of what is dead.
        await env.advance(50);
        const { acknowledged, inDoubt, steps } = life;
        const { journal } = journalOn(store, env, { owner: 'pid 2' });
        const opening = journal.open(callOf(env));
        await env.advance(LEASE_MS + 1);
        const found = contents(await opening);
        const sure = found.filter(({ seq }) => acknowledged.has(seq));
        expect(sure).toEqual(contents([...acknowledged.values()]));
        const rest = found.filter(({ seq }) => !acknowledged.has(seq));
        expect(rest.length === 0 || rest.length === inDoubt).toBe(true);
        const all = [...found.map(({ seq }) => seq), life.lastSeq];
        expect(journal.lastSeq).toBeGreaterThanOrEqual(Math.max(...all));
        await journal.close();
        if (!mortal.dead) {
          expect(steps).toBe('closed');
          break;
        }
      }
  });
});

const everything = { reverse: false, limit: Number.POSITIVE_INFINITY };

/** Opens, appends, drops, buries and closes; notes what was acknowledged. */
function live(store: Primitives<unknown>, env: SimulatedEnv) {
  const { journal } = journalOn(store, env);
  const call = callOf(env);
  const life = {
    acknowledged: new Map<number, Awaited<ReturnType<typeof journal.open>>[number]>(),
    /** How many records the append under way is about. */
    inDoubt: 0,
    lastSeq: 0,
    steps: 'opening',
  };
  const append = async (count: number, drop: number[]): Promise<void> => {
    life.inDoubt = count;
    const commits = Array.from({ length: count }, (_, i) => [set(`k${i}`, 'v'.repeat(200))]);
    // What is dropped with it is needed no longer, whether or not it comes about.
    const doomed = drop.map((seq) => [seq, life.acknowledged.get(seq)] as const);
    for (const seq of drop) life.acknowledged.delete(seq);
    void doomed;
    for (const record of await journal.append(commits, drop, call)) {
      life.acknowledged.set(record.seq, record);
      life.lastSeq = record.seq;
    }
    life.inDoubt = 0;
  };
  const run = async (): Promise<void> => {
    await journal.open(call);
    life.steps = 'open';
    await append(2, []);
    await append(1, []);
    await journal.close();
    life.steps = 'closed';
  };
  void run();
  return life;
}
void FaultPlan;
void faulty;
void codeOf;

export type { Codec };
