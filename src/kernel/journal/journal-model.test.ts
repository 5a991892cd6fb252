/** Journals against a model, over a bad line, with processes that end and others that follow. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  callOf,
  del,
  type Fate,
  journalOn,
  Mortal,
  set,
  type Told,
} from '../../../test/support/journal-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import { json } from '../../store/codec.ts';
import { isStrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Primitives } from '../../store/primitives.ts';
import { type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import type { Journal, JournalRecord } from './journal.ts';

type Step =
  | { readonly append: readonly number[]; readonly drop: number }
  | { readonly drop: number }
  | { readonly fates: readonly Fate[] }
  | { readonly wait: number }
  | { readonly end: 'close' | 'die' }
  | { readonly dieIn: number; readonly applied: boolean };

const fate: fc.Arbitrary<Fate> = fc.oneof(
  fc.constantFrom<Fate>('done', 'lost', 'gone', 'refused'),
  fc.integer({ min: 0, max: 12 }),
);
const share = fc.constantFrom(0, 0.5, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ append: sizes(), drop: share }) },
  { weight: 3, arbitrary: fc.record({ drop: share }) },
  { weight: 4, arbitrary: fc.record({ fates: fc.array(fate, { minLength: 1, maxLength: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ wait: fc.constantFrom(1, 250, 3_000) }) },
  { weight: 1, arbitrary: fc.record({ end: fc.constantFrom('close', 'die') }) },
  {
    weight: 2,
    arbitrary: fc.record({ dieIn: fc.integer({ min: 1, max: 6 }), applied: fc.boolean() }),
  },
);

/** Commits by the size of their values. */
function sizes(): fc.Arbitrary<readonly number[]> {
  return fc.array(fc.constantFrom(0, 10, 400), { maxLength: 3 });
}

type Record_ = Pick<JournalRecord<unknown>, 'writes'>;

/** What must be there, and how it may have changed in the moment that a process ended. */
class Model {
  kept = new Map<number, JournalRecord<unknown>>();
  /** What an append adds, and what goes with it, where nobody learned of its end. */
  open: { readonly added: readonly Record_[]; readonly dropped: readonly number[] } | undefined;
  /** By epoch and number, what a record was. */
  readonly names = new Map<string, string>();
  lastSeq = 0;

  note(records: readonly JournalRecord<unknown>[]): void {
    for (const { epoch, seq, id, writes } of records) {
      const name = `${epoch} ${seq}`;
      const what = [id, ...writes.map(({ version }) => version)].join();
      expect(this.names.get(name) ?? what).toBe(what);
      this.names.set(name, what);
    }
  }

  /** Compares what a new owner finds, and goes on from that. */
  found(records: readonly JournalRecord<unknown>[], journal: Journal<unknown>): void {
    this.note(records);
    const before = [...this.kept.values()].map(({ writes }) => writes);
    const possible = [before];
    if (this.open !== undefined) {
      const { added, dropped } = this.open;
      const left = [...this.kept.values()].filter(({ seq }) => !dropped.includes(seq));
      possible.push([...left, ...added].map(({ writes }) => writes));
    }
    expect(possible).toContainEqual(records.map(({ writes }) => writes));
    expect(records.map(({ seq }) => seq)).toEqual(
      records.map(({ seq }) => seq).toSorted((a, b) => a - b),
    );
    this.kept = new Map(records.map((record) => [record.seq, record]));
    this.open = undefined;
    expect(journal.lastSeq).toBeGreaterThanOrEqual(this.lastSeq);
    this.lastSeq = journal.lastSeq;
  }
}

/** One owner after the other. */
class Run {
  readonly model = new Model();
  readonly #env: SimulatedEnv;
  readonly #store: Primitives<unknown>;
  readonly #former: { readonly told: Told; readonly mortal: Mortal }[] = [];
  #mortal = new Mortal();
  #journal: Journal<unknown> | undefined;
  #told: Told = { lost: [], damaged: [] };

  constructor(env: SimulatedEnv, store: Primitives<unknown>) {
    this.#env = env;
    this.#store = store;
  }

  async do(one: Step): Promise<void> {
    if ('fates' in one) this.#mortal.fates.push(...one.fates);
    else if ('wait' in one) await this.#env.advance(one.wait);
    else if ('dieIn' in one) this.#mortal.dieAt(this.#mortal.steps + one.dieIn, one.applied);
    else if ('end' in one) await this.end(one.end);
    else if ('append' in one) await this.#append(one.append, this.#share(one.drop));
    else await this.#drop(this.#share(one.drop));
  }

  /** Ends the owner; what is left of it must change nothing from then on. */
  async end(how: 'close' | 'die'): Promise<void> {
    const journal = this.#journal;
    if (journal === undefined) return;
    if (how === 'close' && !this.#mortal.dead) await this.#alive(journal.close());
    this.#mortal.dead = true;
    this.#former.push({ told: this.#told, mortal: this.#mortal });
    this.#journal = undefined;
    this.#mortal = new Mortal();
  }

  /** Opens the journal where nobody has it, and compares. */
  async #open(): Promise<Journal<unknown>> {
    if (this.#journal !== undefined) return this.#journal;
    for (;;) {
      const { journal, told } = journalOn(this.#mortal.over(this.#store), this.#env);
      const opened = journal.open(callOf(this.#env, 20_000)).then(
        (records) => records,
        (error: unknown) => error,
      );
      const records = await this.#alive(opened);
      if (Array.isArray(records)) {
        for (const { mortal } of this.#former) await mortal.landAll();
        this.#journal = journal;
        this.#told = told;
        this.model.found(records, journal);
        return journal;
      }
      // Ended while it opened, or the line was too bad: somebody tries again.
      if (!this.#mortal.dead) await this.#alive(journal.close());
      if (records !== 'dead' && !isStrataError(records)) throw records;
      this.#former.push({ told, mortal: this.#mortal });
      this.#mortal = new Mortal();
    }
  }

  async #append(lengths: readonly number[], dropped: readonly number[]): Promise<void> {
    const journal = await this.#open();
    const doomed = dropped.filter((seq) => this.model.kept.has(seq));
    const commits = lengths.map((length, i) =>
      length === 0 ? [] : [set(`k${i}`, 'x'.repeat(length)), del(`d${i}`)],
    );
    this.model.open = { added: commits.map((writes) => ({ writes })), dropped: doomed };
    const records = await this.#outcome(() => journal.append(commits, doomed, callOf(this.#env)));
    if (records === undefined) return;
    this.model.note(records);
    for (const seq of doomed) this.model.kept.delete(seq);
    for (const record of records) this.model.kept.set(record.seq, record);
    expect(records.map(({ writes }) => writes)).toEqual(commits);
    expect(journal.lastSeq).toBeGreaterThanOrEqual(records.at(-1)?.seq ?? 0);
    this.model.lastSeq = journal.lastSeq;
    this.model.open = undefined;
  }

  async #drop(dropped: readonly number[]): Promise<void> {
    const journal = await this.#open();
    const doomed = dropped.filter((seq) => this.model.kept.has(seq));
    this.model.open = { added: [], dropped: doomed };
    const done = await this.#outcome(async () => {
      await journal.drop(doomed, callOf(this.#env));
      return true;
    });
    if (done === undefined) return;
    for (const seq of doomed) this.model.kept.delete(seq);
    this.model.open = undefined;
  }

  /** What a call gave; nothing where it failed, as must be sure, or where its process ended. */
  async #outcome<T>(work: () => T | Promise<T>): Promise<T | undefined> {
    const result = (async () => work())().catch((error: unknown) => {
      // Sure not to have been applied.
      if (!isStrataError(error, 'unavailable')) throw error;
      this.model.open = undefined;
      return undefined;
    });
    const given = await this.#alive(result);
    expect(this.#told.lost).toEqual([]);
    if (given !== 'dead') return given;
    await this.end('die');
    return undefined;
  }

  /** What a promise gives, unless the process ends before. */
  async #alive<T>(promise: Promise<T>): Promise<T | 'dead'> {
    const mortal = this.#mortal;
    let result: Promise<T> | undefined;
    const note = (): void => {
      result = promise;
    };
    promise.then(note, note);
    for (let turn = 0; turn < 2_000; turn++) {
      await this.#env.advance(turn < 3 ? 0 : 50);
      if (result !== undefined) return result;
      if (mortal.dead) return 'dead';
    }
    throw new Error('nothing is given');
  }

  #share(part: number): readonly number[] {
    const all = [...this.model.kept.keys()];
    return all.filter((_, i) => part === 1 || (part > 0 && i % 2 === 0));
  }
}

it.each(['plain', 'bytes', 'parts'])('keeps what it must, whatever happens (%s)', async (form) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.integer(), async (steps, seed) => {
      const env = simulatedEnv(seed);
      const inner = primitivesOf(memory({ env, ...(form !== 'plain' && { codec: json() }) }));
      const capabilities = { ...inner.capabilities, maxValueBytes: 128 };
      const run = new Run(env, form === 'parts' ? { ...inner, capabilities } : inner);
      for (const one of steps) await run.do(one);
      await run.end('close');
      await run.do({ drop: 1 });
    }),
    { numRuns: 150 },
  );
});
