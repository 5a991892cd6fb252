import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Durability } from '../../store/capabilities.ts';
import type { Codec } from '../../store/codec.ts';
import type { Env } from '../../store/env.ts';
import { failure, isStrataError, type StrataError } from '../../store/errors.ts';
import type { Primitives, Write } from '../../store/primitives.ts';
import { WriteIds } from '../../store/version.ts';
import { chain } from '../awaitable.ts';
import { DeadLetters } from './dead-letters.ts';
import type {
  BlockingJournal,
  DeadLetter,
  Journal,
  JournalRecord,
  JournalWrite,
} from './journal.ts';
import { JournalStore } from './journal-store.ts';
import { JournalKeys, partKey } from './keys.ts';
import { Ownership } from './ownership.ts';
import { type Draft, draftRecord, nameWrite } from './records.ts';
import { type Recovered, recover } from './recover.ts';
import { type Proof, SureCommits } from './sure-commits.ts';

/** What a journal in a store is made from. */
export interface StoreJournalOptions<V> {
  /** Where it is kept; see `checkJournalStore`. It is not closed with the journal. */
  readonly store: Primitives<unknown>;
  /** How values become bytes, where the store holds bytes; default that of the store. */
  readonly codec?: Codec<V> | undefined;
  readonly env: Env;
  /** How long the owner may be silent before another may take the journal over, in ms. */
  readonly leaseMs: number;
  /** Who opens it, for people: `pid 4711`. */
  readonly owner: string;
  /** Tells the journals of one store apart: a short word; default `main`. */
  readonly name?: string;
  /** The journal was taken over, or its store fails for good: nothing more is written. Told once. */
  readonly onLost: (error: StrataError) => void;
  /** `open` has met a record that it cannot read: it is set aside, in the store. Told once for each. */
  readonly onDamaged: (record: string, error: StrataError) => void;
}

/** A drop about to be made. */
interface Dropping {
  readonly seqs: readonly number[];
  /** Those of which the name stays. */
  readonly named: readonly number[];
  readonly writes: readonly Write<unknown>[];
}

/**
 * A journal in a store, under reserved keys. It uses the store's bytes where it has them. A store of
 * bytes needs a codec for values that are none; a store of any values takes them as they are.
 *
 * Beside what `open` gives, its memory does not grow with the records, but for a number for each that
 * is too long for one entry of the store.
 */
export function storeJournal<V>(options: StoreJournalOptions<V>): Journal<V> {
  return new StoreJournal(options);
}

type Phase = 'new' | 'opening' | 'open' | 'closed';

/** What one try to open a journal, and the ownership that it gives, is made of. */
interface Session<V> {
  readonly ownership: Ownership;
  readonly commits: SureCommits;
  readonly letters: DeadLetters<V>;
}

/** An append about to be made. */
interface Appending<V> {
  readonly drafts: readonly Draft<V>[];
  readonly drop: readonly number[];
  /** Names that it makes superfluous. */
  readonly names: readonly number[];
  readonly writes: readonly Write<unknown>[];
  readonly proof: Proof;
}

class StoreJournal<V> implements Journal<V> {
  readonly durability: Durability;
  readonly blocking?: BlockingJournal<V>;
  readonly #options: StoreJournalOptions<V>;
  readonly #keys: JournalKeys;
  readonly #store: JournalStore<V>;
  /** Names of the commits. */
  readonly #ids: WriteIds;
  #phase: Phase = 'new';
  #opening: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;
  /** Made anew for each try to open. */
  #session: Session<V>;
  #storeId = '';
  #epoch = '';
  #lastSeq = 0;
  #lastId = '';
  /** The highest number given, to failed appends too. */
  #givenSeq = 0;
  /** Records of which only the name is left, until a newer one is written. */
  readonly #names = new Set<number>();
  /** How many entries the records have that have several. */
  readonly #parts = new Map<number, number>();

  constructor(options: StoreJournalOptions<V>) {
    const { store, codec, name = 'main' } = options;
    this.#options = options;
    this.#keys = new JournalKeys(name);
    this.#store = new JournalStore(store, codec);
    this.#ids = new WriteIds(options.env);
    this.durability = store.capabilities.durability;
    this.#session = this.#newSession();
    if (this.#store.primitives.blocking !== undefined)
      this.blocking = {
        append: (commits, drop, operation) => this.#appendNow(commits, drop, operation),
        drop: (seqs, operation) => this.#dropNow(seqs, operation),
      };
  }

  get storeId(): string {
    return this.#storeId;
  }

  get epoch(): string {
    return this.#epoch;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  get lastId(): string {
    return this.#lastId;
  }

  get deadLetterCount(): number {
    return this.#session.letters.count;
  }

  async open(call: Call): Promise<readonly JournalRecord<V>[]> {
    if (this.#phase !== 'new') {
      const code = this.#phase === 'closed' ? 'closed' : 'conflict';
      throw failure(code, call.operation, `the journal is ${this.#phase}`);
    }
    this.#phase = 'opening';
    const opening = this.#open(call);
    // It ends with the call, and then has left nothing behind.
    this.#opening = call.guard(opening).then(
      () => opening,
      () => opening.catch(() => {}),
    );
    return opening;
  }

  append(
    commits: readonly (readonly JournalWrite<V>[])[],
    drop: readonly number[],
    call: Call,
  ): Awaitable<readonly JournalRecord<V>[]> {
    if (commits.length === 0) return chain(this.drop(drop, call), () => []);
    const appending = this.#draft(commits, drop, call.operation);
    const done = this.#session.commits.run(appending.writes, appending.proof, call);
    return chain(done, () => this.#appended(appending));
  }

  drop(seqs: readonly number[], call: Call): Awaitable<void> {
    this.#checkOpen(call.operation);
    if (seqs.length === 0) return;
    const dropping = this.#dropWrites(seqs);
    const done = this.#session.commits.run(dropping.writes, undefined, call);
    return chain(done, () => this.#dropped(dropping));
  }

  #appendNow(
    commits: readonly (readonly JournalWrite<V>[])[],
    drop: readonly number[],
    operation: string,
  ): readonly JournalRecord<V>[] {
    if (commits.length === 0) {
      this.#dropNow(drop, operation);
      return [];
    }
    const appending = this.#draft(commits, drop, operation);
    try {
      this.#session.commits.runNow(appending.writes, appending.proof, operation);
    } catch (error) {
      const last = appending.drafts.at(-1)?.record.seq;
      // What is taken back leaves a name.
      if (isStrataError(error, 'unknown-outcome') && last !== undefined) this.#names.add(last);
      throw error;
    }
    return this.#appended(appending);
  }

  #dropNow(seqs: readonly number[], operation: string): void {
    this.#checkOpen(operation);
    if (seqs.length === 0) return;
    const dropping = this.#dropWrites(seqs);
    this.#session.commits.runNow(dropping.writes, undefined, operation);
    this.#dropped(dropping);
  }

  async bury(write: JournalWrite<V>, cause: StrataError, call: Call): Promise<void> {
    this.#checkOpen(call.operation);
    await this.#session.letters.bury(write, cause, call);
  }

  async deadLetters(call: Call): Promise<readonly DeadLetter<V>[]> {
    this.#checkOpen(call.operation);
    return call.guard(this.#session.letters.list(call));
  }

  async forgetDeadLetters(ids: readonly string[], call: Call): Promise<void> {
    this.#checkOpen(call.operation);
    await this.#session.letters.forget(ids, call);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #newSession(): Session<V> {
    const { env, leaseMs, owner, onLost, onDamaged } = this.#options;
    const parts = { store: this.#store, keys: this.#keys, env };
    const ownership = new Ownership({ ...parts, leaseMs, owner, onLost });
    const commits = new SureCommits({ store: this.#store, ownership, env });
    return { ownership, commits, letters: new DeadLetters({ ...parts, commits, onDamaged }) };
  }

  async #open(call: Call): Promise<readonly JournalRecord<V>[]> {
    this.#session = this.#newSession();
    const { ownership, commits, letters } = this.#session;
    const { env, onDamaged } = this.#options;
    try {
      await ownership.take(call);
      const parts = { store: this.#store, keys: this.#keys, env, commits, onDamaged };
      const recovered = await recover(parts, call);
      await letters.recount(call);
      call.throwIfEnded();
      ownership.life.throwIfEnded();
      this.#phase = 'open';
      return this.#begin(recovered);
    } catch (error) {
      await this.#leave();
      if (this.#phase === 'opening') this.#phase = 'new';
      throw error;
    }
  }

  #begin({ storeId, epoch, lastSeq, lastId, found }: Recovered<V>): readonly JournalRecord<V>[] {
    this.#storeId = storeId;
    this.#epoch = epoch;
    this.#lastSeq = lastSeq;
    this.#lastId = lastId;
    this.#givenSeq = lastSeq;
    const records: JournalRecord<V>[] = [];
    for (const { dropped, parts, ...record } of found) {
      if (dropped) this.#names.add(record.seq);
      else records.push(record);
      if (parts > 1) this.#parts.set(record.seq, parts);
    }
    return records;
  }

  #draft(
    commits: readonly (readonly JournalWrite<V>[])[],
    drop: readonly number[],
    operation: string,
  ): Appending<V> {
    this.#checkOpen(operation);
    const epoch = this.#epoch;
    const first = this.#givenSeq + 1;
    const drafts = commits.map((writes, i) => {
      const name = { seq: first + i, id: this.#ids.text(this.#ids.next()), epoch };
      return draftRecord(this.#store, this.#keys, operation, name, writes);
    });
    // Only now, because a value may have been refused.
    this.#givenSeq += commits.length;
    const names = [...this.#names];
    const writes = [
      ...drafts.flatMap((draft) => draft.writes),
      ...[...drop, ...names].flatMap((seq) => this.#removal(seq)),
    ];
    return { drafts, drop, names, writes, proof: this.#proof(drafts) };
  }

  #proof(drafts: readonly Draft<V>[]): Proof {
    const keys = drafts.flatMap((draft) => draft.keys);
    return {
      key: keys[0] ?? '',
      undo: () => {
        const removals = keys.map((key): Write<unknown> => ({ type: 'delete', key }));
        // The names before it went with it.
        const [last] = drafts.slice(-1);
        return last ? [...removals, nameWrite(this.#store, this.#keys, last.record)] : removals;
      },
    };
  }

  #appended({ drafts, drop, names }: Appending<V>): readonly JournalRecord<V>[] {
    for (const { record, keys } of drafts) {
      if (keys.length > 1) this.#parts.set(record.seq, keys.length);
      // A later one may have been faster.
      if (record.seq < this.#lastSeq) continue;
      this.#lastSeq = record.seq;
      this.#lastId = record.id;
    }
    for (const seq of names) this.#names.delete(seq);
    for (const seq of drop) this.#parts.delete(seq);
    return drafts.map(({ record }) => record);
  }

  /** The newest record leaves its name, which the next one continues. */
  #dropWrites(seqs: readonly number[]): Dropping {
    const newest = { seq: this.#lastSeq, id: this.#lastId, epoch: this.#epoch };
    const named = seqs.includes(newest.seq) ? [newest.seq] : [];
    const removals = seqs.flatMap((seq) => this.#removal(seq));
    const names = named.map(() => nameWrite(this.#store, this.#keys, newest));
    return { seqs, named, writes: [...removals, ...names] };
  }

  #dropped({ seqs, named }: Dropping): void {
    for (const seq of seqs) this.#parts.delete(seq);
    for (const seq of named) this.#names.add(seq);
  }

  #removal(seq: number): readonly Write<unknown>[] {
    const key = this.#keys.record(seq);
    return Array.from({ length: this.#parts.get(seq) ?? 1 }, (_, part) => {
      return { type: 'delete', key: partKey(key, part) };
    });
  }

  #checkOpen(operation: string): void {
    const lost = this.#session.ownership.lostFor(operation);
    if (lost !== undefined) throw lost;
    if (this.#phase === 'open') return;
    const code = this.#phase === 'closed' ? 'closed' : 'unavailable';
    const what = this.#phase === 'closed' ? 'closed' : 'not open yet';
    throw failure(code, operation, `the journal is ${what}`);
  }

  async #close(): Promise<void> {
    const wasOpen = this.#phase === 'open';
    this.#phase = 'closed';
    if (wasOpen) return this.#leave();
    this.#session.ownership.life.end('closed');
    await this.#opening;
  }

  /** Gives ownership up; waits for what is under way, but not for ever. */
  async #leave(): Promise<void> {
    const { ownership, commits } = this.#session;
    const { env } = this.#options;
    const settled = await inTime(new Call(env, 'close'), () => commits.idle());
    await inTime(new Call(env, 'close'), (call) => ownership.release(settled, call));
  }
}

/** Whether work is done before the call ends. */
function inTime(call: Call, work: (call: Call) => Promise<void>): Promise<boolean> {
  return call.guard(work(call)).then(
    () => true,
    () => false,
  );
}
