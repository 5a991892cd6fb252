import type { Awaitable } from '../../../store/awaitable.ts';
import type { Call } from '../../../store/call.ts';
import type { Change, Entry } from '../../../store/entry.ts';
import { StrataError } from '../../../store/errors.ts';
import { Doorbell } from '../../../store/feed/doorbell.ts';
import { FIRST_USER_KEY, type KeyRange } from '../../../store/keys.ts';
import type { Feed, FeedPage, FeedState, Position } from '../../../store/primitives.ts';
import { CommitHistory, type PastCommit } from './commit-history.ts';

const EVERYTHING: KeyRange = {
  lower: { key: FIRST_USER_KEY, inclusive: true },
  reverse: false,
  limit: Number.POSITIVE_INFINITY,
};

export interface BehindFeedSetup<V> {
  /** A pending entry for somebody outside. */
  give(entry: Entry<V>): Entry<V>;
  /** Waits until the journal is open. */
  opened(call: Call): Promise<void>;
  /** Everything as a reader finds it. */
  scan(range: KeyRange, call: Call): AsyncIterable<readonly Entry<V>[]>;
  /** Makes a commit without writes, which gives the state of a back that was never written through here a revision. */
  mark(call: Call): Promise<void>;
}

/** The feed of a store that is written behind: the commits of its journal, from memory. */
export class BehindFeed<V> implements Feed<V> {
  readonly #setup: BehindFeedSetup<V>;
  readonly #bell = new Doorbell();
  #storeId = '';
  #history: CommitHistory<V> | undefined;
  #closed = false;

  constructor(setup: BehindFeedSetup<V>) {
    this.#setup = setup;
  }

  /** The journal is open. */
  begin(storeId: string, base: Position): void {
    this.#storeId = storeId;
    this.#history = new CommitHistory(base);
  }

  add(commit: PastCommit<V>): void {
    this.#history?.add(commit);
    this.#bell.ring();
  }

  /** As far as it is known now. */
  now(operation: string): FeedState {
    return { storeId: this.#storeId, head: this.#known(operation).head };
  }

  /** At once where the journal is open: what is written after the call lies behind it. */
  state(call: Call): Awaitable<FeedState> {
    if (this.#history !== undefined) return this.now(call.operation);
    return this.#setup.opened(call).then(() => this.now(call.operation));
  }

  epochOf(): string {
    return this.#known('watch').head.epoch;
  }

  async *read(after: Position | undefined, call: Call): AsyncGenerator<FeedPage<V>> {
    await this.#setup.opened(call);
    if (after === undefined) return yield* this.#readAll(call);
    const next = this.#known(call.operation).next(call.operation, after);
    if (next !== undefined) yield { changes: this.#given(next), end: next.end };
  }

  async wait(after: Position | undefined, call: Call): Promise<void> {
    await this.#setup.opened(call);
    for (;;) {
      if ((after?.rev ?? 0) !== this.#known(call.operation).head.rev) return;
      await this.#bell.wait(call);
    }
  }

  close(): void {
    this.#closed = true;
    this.#bell.fail(closed('watch'));
  }

  /**
   * The whole state as one commit. Each page is current when it is read; what has been written since
   * the first follows from the history and supersedes it, so that the whole is exactly the state at
   * its end.
   */
  async *#readAll(call: Call): AsyncGenerator<FeedPage<V>> {
    const history = this.#known(call.operation);
    let at = history.head;
    let empty = true;
    for await (const entries of this.#setup.scan(EVERYTHING, call)) {
      if (empty && history.head.rev === 0) await this.#setup.mark(call);
      empty = false;
      const { rev } = history.head;
      const changes = entries.map((entry): Change<V> => ({ rev, ...entry, type: 'set' }));
      yield { changes };
      const since = history.since(call.operation, at);
      at = since[since.length - 1]?.end ?? at;
      const newer = since.flatMap((commit) => this.#given(commit));
      if (newer.length > 0) yield { changes: newer };
    }
    const last = history.since(call.operation, at);
    at = last[last.length - 1]?.end ?? at;
    // An empty store has nothing to tell, unless something was told above.
    if (empty && last.length === 0) return;
    yield { changes: last.flatMap((commit) => this.#given(commit)), end: at };
  }

  #given({ changes }: PastCommit<V>): readonly Change<V>[] {
    const { give } = this.#setup;
    return changes.map((change) =>
      change.type === 'set' ? { ...give(change), type: 'set' } : change,
    );
  }

  #known(operation: string): CommitHistory<V> {
    if (this.#closed) throw closed(operation);
    if (this.#history === undefined)
      throw new StrataError('unavailable', `${operation}: the journal is not open yet`, {
        operation,
      });
    return this.#history;
  }
}

function closed(operation: string): StrataError {
  return new StrataError('closed', `${operation}: the store is closed`, { operation });
}
