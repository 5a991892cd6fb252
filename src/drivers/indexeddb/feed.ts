import type { Call } from '../../store/call.ts';
import { cloneValue } from '../../store/clone.ts';
import type { Change } from '../../store/entry.ts';
import type { Env, Timer } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import type { LoggedCommit } from '../../store/feed/commit-log.ts';
import { checkPosition, cursorExpired } from '../../store/feed/cursor.ts';
import type { IndexPlace } from '../../store/feed/plan.ts';
import type { Feed, FeedPage, FeedState, Position } from '../../store/primitives.ts';
import type { Connection } from './connection.ts';
import { isExpired } from './group-plan.ts';
import type { History } from './history.ts';
import { PageSize } from './pages.ts';
import { resultOf } from './requests.ts';
import {
  ENTRIES,
  headOf,
  META,
  PLACE,
  RUNS,
  readCommitId,
  readState,
  type State,
  type Stored,
  TOMBSTONES,
  type Tombstone,
} from './schema.ts';

export interface IndexedDbFeedOptions<V> {
  readonly env: Env;
  readonly connection: Connection;
  readonly history: History<V>;
  /** How often watchers look by themselves, should another tab's ring be lost. */
  readonly pollMs: number;
}

/** A reader on its way through the change index. */
interface Walk {
  readonly after: Position | undefined;
  /** The state at its first page; nothing may have been rewound since. */
  start: State | undefined;
  /** The last place read. */
  at: IndexPlace;
  readonly size: PageSize;
}

/** The feed: this connection's own log of commits, else the change index of the database. */
export class IndexedDbFeed<V> implements Feed<V> {
  readonly #options: IndexedDbFeedOptions<V>;
  #poll: Timer | undefined;
  #looking = false;
  #lookAgain = false;
  /** Another tab rang while nobody waited. */
  #missed = false;

  constructor(options: IndexedDbFeedOptions<V>) {
    this.#options = options;
  }

  state(call: Call): Promise<FeedState> {
    return this.#state(call.operation);
  }

  epochOf(rev: number): string {
    return this.#options.history.epochOf(rev);
  }

  async *read(after: Position | undefined, call: Call): AsyncGenerator<FeedPage<V>> {
    const own = after && this.#logged(after);
    if (own !== undefined) {
      yield copyOf(own);
      return;
    }
    const { connection } = this.#options;
    const walk: Walk = {
      after,
      start: undefined,
      at: { rev: after?.rev ?? 0, pos: Number.POSITIVE_INFINITY },
      size: new PageSize(),
    };
    let page: FeedPage<V> | undefined;
    do {
      call.throwIfEnded();
      page = await connection.run(call.operation, undefined, (db) => this.#page(db, walk, call));
      if (page !== undefined) yield page;
    } while (page !== undefined && page.end === undefined);
  }

  async wait(after: Position | undefined, call: Call): Promise<void> {
    const { history, connection } = this.#options;
    for (;;) {
      call.throwIfEnded();
      if (connection.closed) throw closedError();
      // Unknown since a connection was lost: what comes back may be another history.
      const known = this.#missed ? undefined : history.head;
      this.#missed = false;
      const head = known ?? (await this.#state(call.operation)).head;
      const rev = after?.rev ?? 0;
      if (head.rev !== rev || (after !== undefined && head.epoch !== after.epoch)) return;
      const ring = history.bell.wait(call);
      this.#pollLater();
      await ring;
    }
  }

  /** Another tab rang: looks once for all watchers. */
  async look(): Promise<void> {
    if (this.#options.history.bell.waiting === 0) {
      this.#missed = true;
      return;
    }
    if (this.#looking) {
      this.#lookAgain = true;
      return;
    }
    this.#looking = true;
    try {
      do {
        this.#lookAgain = false;
        await this.#state('watch');
      } while (this.#lookAgain);
    } catch {
      // The watchers look for themselves, and meet what is wrong.
      this.#options.history.forget();
    } finally {
      this.#looking = false;
    }
  }

  close(): void {
    this.#poll?.cancel();
    this.#options.history.bell.fail(closedError());
  }

  #pollLater(): void {
    const { env, history, pollMs } = this.#options;
    this.#poll ??= env.setTimer(
      async () => {
        this.#poll = undefined;
        await this.look();
        if (history.bell.waiting > 0) this.#pollLater();
      },
      pollMs,
      { background: true },
    );
  }

  #state(operation: string): Promise<FeedState> {
    const { connection, history } = this.#options;
    return connection.run(operation, undefined, async (db) => {
      const tx = db.transaction(META);
      const state = await readState(tx);
      await history.note(tx, state);
      return { storeId: state.storeId, head: headOf(state) };
    });
  }

  /** The commit after a position, where both were made by this connection. */
  #logged(after: Position): LoggedCommit<V> | undefined {
    const { log } = this.#options.history;
    const former = log.at(after.rev)?.end;
    return former?.epoch === after.epoch && former.id === after.id
      ? log.at(after.rev + 1)
      : undefined;
  }

  /**
   * Reads a part of the change index, in one transaction of its own. Commits made between two
   * parts move their keys to the end of the index, where the reader meets them again: the part
   * that reaches the end has then seen every key's last change, so that the whole is exactly the
   * state of the head at that moment.
   */
  async #page(db: IDBDatabase, walk: Walk, call: Call): Promise<FeedPage<V> | undefined> {
    const { after, start, at, size } = walk;
    const { history, env } = this.#options;
    const { count } = size;
    const tx = db.transaction([ENTRIES, META, RUNS, TOMBSTONES]);
    const [state, id, entries, deletes] = await Promise.all([
      readState(tx),
      start === undefined && after !== undefined ? readCommitId(tx, after.rev) : undefined,
      readPlaces<Stored<V>>(tx, ENTRIES, at, count),
      // Who starts from nothing needs no deletes but those of keys that this read may have given.
      after !== undefined
        ? readPlaces<Tombstone>(tx, TOMBSTONES, at, count)
        : start !== undefined
          ? readPlaces<Tombstone>(tx, TOMBSTONES, later(at, start), count)
          : [],
    ]);
    await history.note(tx, state);
    if (start === undefined) {
      walk.start = state;
      if (after !== undefined)
        checkPosition(call.operation, after, {
          head: headOf(state),
          floor: state.floor,
          idOf: () => id,
        });
      if ((after?.rev ?? 0) === state.rev) return undefined;
      const own = after && history.log.at(after.rev + 1);
      if (own?.end.epoch === state.epoch) return copyOf(own);
    } else this.#checkContinuity(walk, start, state, call);
    const nowMs = env.now();
    const merged = merge(entries, deletes, count);
    const changes: Change<V>[] = merged.records.map((record) =>
      'madeMs' in record || isExpired(record, nowMs)
        ? { type: 'delete', key: record.key, rev: record.rev }
        : changeOf(record),
    );
    walk.at = merged.records[merged.records.length - 1] ?? at;
    size.adapt(entries);
    return merged.more ? { changes } : { changes, end: headOf(state) };
  }

  #checkContinuity(walk: Walk, start: State, state: State, call: Call): void {
    const { after, at } = walk;
    const from = after ?? headOf(start);
    // Within a commit, the rest of it is still to be read.
    const complete = at.pos === Number.POSITIVE_INFINITY ? at.rev : at.rev - 1;
    if (state.storeId !== start.storeId || state.epoch !== start.epoch)
      throw cursorExpired(call.operation, from, 'the store began a new epoch while it was read');
    // A delete forgotten ahead of this reader would leave its key standing.
    if (state.floor > Math.max(complete, after === undefined ? start.rev : 0))
      throw cursorExpired(call.operation, from, 'deletes were forgotten while it was read');
  }
}

function closedError(): StrataError {
  return new StrataError('closed', 'watch: the store is closed', { operation: 'watch' });
}

/** The later of a place and the end of a commit. */
function later(at: IndexPlace, { rev }: State): IndexPlace {
  return at.rev > rev ? at : { rev, pos: Number.POSITIVE_INFINITY };
}

function readPlaces<T>(
  tx: IDBTransaction,
  store: string,
  after: IndexPlace,
  count: number,
): Promise<T[]> {
  const range = IDBKeyRange.lowerBound([after.rev, after.pos], true);
  return resultOf(tx.objectStore(store).index(PLACE).getAll(range, count) as IDBRequest<T[]>);
}

/** Brings two lists of at most `count` records into one order, as far as both are known. */
function merge<A extends IndexPlace, B extends IndexPlace>(
  a: readonly A[],
  b: readonly B[],
  count: number,
): { readonly records: (A | B)[]; readonly more: boolean } {
  const records: (A | B)[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const x = a[i];
    const y = b[j];
    if ((x === undefined && a.length === count) || (y === undefined && b.length === count))
      return { records, more: true };
    if (x === undefined && y === undefined) return { records, more: false };
    if (y === undefined || (x !== undefined && isBefore(x, y))) {
      records.push(x as A);
      i++;
    } else {
      records.push(y);
      j++;
    }
  }
}

function isBefore(a: IndexPlace, b: IndexPlace): boolean {
  return a.rev === b.rev ? a.pos < b.pos : a.rev < b.rev;
}

function changeOf<V>({ pos: _, ...entry }: Stored<V>): Change<V> {
  return { ...entry, type: 'set' };
}

/** The log keeps its values for other readers. */
function copyOf<V>({ changes, end }: LoggedCommit<V>): FeedPage<V> {
  const copies = changes.map((change) =>
    change.type === 'set' ? { ...change, value: cloneValue(change.value) } : change,
  );
  return { changes: copies, end };
}
