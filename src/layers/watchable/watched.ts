import { Call } from '../../store/call.ts';
import type { Change, Entry, EntryHead } from '../../store/entry.ts';
import { failure, isStrataError, StrataError } from '../../store/errors.ts';
import { cursorExpired } from '../../store/feed/cursor.ts';
import { Doorbell } from '../../store/feed/doorbell.ts';
import { FIRST_USER_KEY, type KeyRange } from '../../store/keys.ts';
import type {
  CommitOutcome,
  Feed,
  FeedPage,
  FeedState,
  Position,
  Primitives,
  Write,
  WriteOutcome,
} from '../../store/primitives.ts';
import { Gate } from './gate.ts';
import { History } from './history.ts';
import { type Owner, takeOver } from './owner.ts';

const PAGE_KEYS = 64;

/** What a failed commit surely did not apply. */
const UNAPPLIED = [
  'conflict',
  'invalid-argument',
  'closed',
  'denied',
  'overloaded',
  'timeout',
  'aborted',
] as const;

export interface WatchedOptions {
  readonly logBytes: number | undefined;
  readonly tombstones: number;
}

/** The commits through one opening of a store, in order, as a feed; everything else is the store's. */
export class Watched<V> implements Feed<V> {
  readonly #inner: Primitives<V>;
  readonly #options: WatchedOptions;
  readonly #gate = new Gate();
  readonly #bell = new Doorbell();
  #history: History<V>;
  #owner: Promise<Owner> | undefined;
  #closed = false;

  constructor(inner: Primitives<V>, options: WatchedOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#history = this.#begin(false);
  }

  /** An entry with the revision that it has here. */
  withRev<E extends EntryHead>(entry: E): E {
    return { ...entry, rev: this.#history.revOf(entry.key) };
  }

  async commit(writes: readonly Write<V>[], call: Call): Promise<CommitOutcome> {
    await this.#own(call);
    const leave = await this.#gate.commit(new Set(writes.map(({ key }) => key)), call);
    try {
      const done = await this.#inner.commit(writes, call);
      const rev = this.#note(writes, done.outcomes);
      return {
        ...(rev !== undefined && { rev }),
        outcomes: done.outcomes.map((one) =>
          one.entry === undefined ? one : { ...one, entry: this.withRev(one.entry) },
        ),
      };
    } catch (error) {
      if (!isStrataError(error, ...UNAPPLIED)) await this.#lookAgain(writes);
      throw error;
    } finally {
      leave();
    }
  }

  async state(call: Call): Promise<FeedState> {
    const { storeId } = await this.#own(call);
    return { storeId, head: this.#history.head };
  }

  epochOf(): string {
    return this.#history.epoch;
  }

  async *read(after: Position | undefined, call: Call): AsyncGenerator<FeedPage<V>> {
    await this.#own(call);
    const history = this.#history;
    if (after !== undefined) {
      history.check(call.operation, after);
      if (after.rev === history.head.rev) return;
      const single = history.single(after.rev);
      if (single !== undefined) {
        yield { changes: single.changes, end: single.end };
        return;
      }
    }
    if (history.head.rev === 0) return;
    const from = after?.rev ?? history.head.rev;
    if (after === undefined) yield* this.#scan(history, call);
    yield* this.#since(history, from, call);
  }

  async wait(after: Position | undefined, call: Call): Promise<void> {
    for (;;) {
      this.#checkOpen();
      const { head } = this.#history;
      if ((after?.rev ?? 0) !== head.rev || (after ?? head).epoch !== head.epoch) return;
      await this.#bell.wait(call);
    }
  }

  close(): void {
    this.#closed = true;
    this.#bell.fail(failure('closed', 'watch', 'the store is closed'));
    this.#history.clear();
  }

  #begin(empty: boolean): History<V> {
    return new History<V>(this.#inner.env, { ...this.#options, empty });
  }

  #checkOpen(): void {
    if (this.#closed) throw failure('closed', 'watch', 'the store is closed');
  }

  /** Makes sure that nobody else has opened the store so; fails with `conflict`. */
  async #own(call: Call): Promise<Owner> {
    if (this.#owner === undefined) {
      const taking = this.#take();
      this.#owner = taking;
      // It is tried again by the next call.
      taking.catch(() => {
        if (this.#owner === taking) this.#owner = undefined;
      });
    }
    const owner = await call.untilEnd(this.#owner);
    await call.untilEnd(owner.check(call.operation));
    return owner;
  }

  async #take(): Promise<Owner> {
    const owner = await takeOver(this.#inner);
    this.#history = this.#begin(owner.empty);
    return owner;
  }

  /** Adds a commit to the history; `undefined` where nothing changed. */
  #note(writes: readonly Write<V>[], outcomes: readonly WriteOutcome[]): number | undefined {
    const changes = new Map<string, (rev: number) => Change<V>>();
    const made = new Set<string>();
    for (const [at, write] of writes.entries()) {
      const { key } = write;
      const { existed = false, entry } = outcomes[at] ?? {};
      if (!changes.has(key) && !existed) made.add(key);
      if (write.type === 'delete') {
        if (!existed) continue;
        changes.delete(key);
        // What the batch itself made leaves nothing behind.
        if (!made.has(key)) changes.set(key, (rev) => ({ type: 'delete', key, rev }));
      } else if (entry !== undefined && entry.version !== this.#history.markOf(key)?.version) {
        changes.delete(key);
        changes.set(key, (rev) => ({ ...entry, rev, type: 'set', value: write.value }));
      }
    }
    return this.#add([...changes.values()]);
  }

  #add(changes: readonly ((rev: number) => Change<V>)[]): number | undefined {
    if (changes.length === 0) return undefined;
    const rev = this.#history.add((given) => changes.map((change) => change(given)));
    this.#bell.ring();
    return rev;
  }

  /** After a commit of which it is not known what it did: what now stands is what counts. */
  async #lookAgain(writes: readonly Write<V>[]): Promise<void> {
    const keys = [...new Set(writes.map(({ key }) => key))];
    const { env, timeoutMs } = this.#inner;
    const call = new Call(env, 'watch', undefined, undefined, timeoutMs);
    try {
      const found = await call.guard(Promise.resolve(this.#inner.readMany(keys, call)));
      this.#add(
        keys.map((key, at) => (rev) => {
          const entry = found[at];
          return entry === undefined
            ? { type: 'delete', key, rev }
            : { ...entry, rev, type: 'set' };
        }),
      );
    } catch {
      // Nobody can go on from here: a new epoch makes every reader begin anew.
      this.#history = this.#begin(false);
      this.#bell.ring();
    }
  }

  /** The whole state, page by page, each as it stands at the head of that moment. */
  async *#scan(history: History<V>, call: Call): AsyncGenerator<FeedPage<V>> {
    let after: string | undefined;
    for (;;) {
      const page = await this.#look(history, call, async () => {
        const lower = { key: after ?? FIRST_USER_KEY, inclusive: after === undefined };
        const range: KeyRange = { lower, reverse: false, limit: PAGE_KEYS };
        const entries: Entry<V>[] = [];
        for await (const some of this.#inner.scan(range, call)) entries.push(...some);
        return entries;
      });
      if (page.length === 0) return;
      after = page.at(-1)?.key;
      yield { changes: page.map((entry) => ({ ...this.withRev(entry), type: 'set' })) };
    }
  }

  /** What was written after a revision, as it stands: what is written again meanwhile comes again. */
  async *#since(history: History<V>, afterRev: number, call: Call): AsyncGenerator<FeedPage<V>> {
    for (let at = afterRev; ; ) {
      if (history.floor > at && at > afterRev)
        throw cursorExpired(
          call.operation,
          history.head,
          'deletes were forgotten while it was read',
        );
      const { changes, last, end } = await this.#look(history, call, () =>
        this.#page(history, at, call),
      );
      if (end !== undefined) {
        yield { changes, end };
        return;
      }
      at = last;
      yield { changes };
    }
  }

  async #page(
    history: History<V>,
    afterRev: number,
    call: Call,
  ): Promise<{ changes: Change<V>[]; last: number; end?: Position }> {
    const marks = history.since(afterRev, PAGE_KEYS);
    const keys = marks.map(({ key }) => key);
    const found = keys.length === 0 ? [] : await this.#inner.readMany(keys, call);
    const changes = marks.map(({ key, rev }, at): Change<V> => {
      const entry = found[at];
      return entry === undefined ? { type: 'delete', key, rev } : { ...entry, rev, type: 'set' };
    });
    const last = marks.at(-1)?.rev ?? afterRev;
    // While it looks nothing is written: the head cannot be ahead of what was read.
    return { changes, last, ...(last >= history.head.rev && { end: history.head }) };
  }

  async #look<T>(history: History<V>, call: Call, work: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    const result = await this.#gate.look(call, work);
    if (history !== this.#history)
      throw new StrataError('cursor-expired', `${call.operation}: a new epoch has begun`, {
        operation: call.operation,
      });
    return result;
  }
}
