import type { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import type { KeyRange } from '../../store/keys.ts';
import type { CommitOutcome, PagedWrites, Write } from '../../store/primitives.ts';
import { enter } from './clean-mark.ts';
import { CommitQueue } from './commit-queue.ts';
import { Connection } from './connection.ts';
import { IndexedDbFeed } from './feed.ts';
import { isExpired } from './group-plan.ts';
import { History } from './history.ts';
import { PageSize, rangeAfter, readPage } from './pages.ts';
import { readRecords } from './records.ts';
import { resultOf } from './requests.ts';
import { decodeKey, ENTRIES, EXPIRY, encodeKey, type Stored } from './schema.ts';
import { Sweeper } from './sweeper.ts';

/** Keys are small: so many are listed at a time. */
const KEY_PAGE = 2_048;

export interface EngineOptions {
  readonly name: string;
  readonly env: Env;
  readonly relaxed: boolean;
  readonly openTimeoutMs: number;
  readonly pollMs: number;
  readonly logBytes: number | undefined;
  readonly tombstoneMs: number;
  readonly tombstoneBytes: number;
}

/** The engine behind `indexeddb`: one connection, and what reads, writes, follows and sweeps through it. */
export class IndexedDbEngine<V> {
  readonly feed: IndexedDbFeed<V>;
  readonly #env: Env;
  readonly #connection: Connection;
  readonly #queue: CommitQueue<V>;
  readonly #sweeper: Sweeper;
  #channel: BroadcastChannel | undefined;
  #leave = (): void => {};
  /** The entries as all reads of this turn share them. */
  #turn: { readonly db: IDBDatabase; readonly entries: IDBObjectStore } | undefined;

  constructor(options: EngineOptions) {
    const { name, env, relaxed } = options;
    const history = new History<V>(options.logBytes);
    this.#env = env;
    const connection = new Connection({
      name,
      env,
      openTimeoutMs: options.openTimeoutMs,
      prepare: async (db) => {
        this.#listen(name);
        const leave = await enter(db, env, relaxed);
        if (this.#connection.closed) leave();
        else this.#leave = leave;
        this.#sweeper.start();
      },
      onLost: () => {
        this.#leave();
        history.forget();
      },
    });
    this.#connection = connection;
    this.feed = new IndexedDbFeed({ env, connection, history, pollMs: options.pollMs });
    this.#sweeper = new Sweeper({ ...options, connection });
    this.#queue = new CommitQueue({
      env,
      connection,
      history,
      relaxed,
      onCommit: ({ rev, tombstoneBytes }, expires) => {
        this.#channel?.postMessage(rev);
        this.#sweeper.wake({ tombstoneBytes, expires });
      },
    });
  }

  async readValue(key: string, call: Call): Promise<V | undefined> {
    return (await this.#record(key, call))?.value;
  }

  async readOne(key: string, call: Call): Promise<Entry<V> | undefined> {
    const record = await this.#record(key, call);
    return record && entryOf(record);
  }

  async readMany(keys: readonly string[], call: Call): Promise<(Entry<V> | undefined)[]> {
    const { records } = await this.#connection.run(call.operation, undefined, (db) =>
      readRecords<V>(this.#entries(db), keys),
    );
    const nowMs = this.#env.now();
    return keys.map((key) => {
      const record = records.get(key);
      return record === undefined || isExpired(record, nowMs) ? undefined : entryOf(record);
    });
  }

  async *scan(range: KeyRange, call: Call): AsyncGenerator<Entry<V>[]> {
    const size = new PageSize();
    let after: string | undefined;
    for (let left = range.limit; left > 0; ) {
      call.throwIfEnded();
      const query = rangeAfter(range, after);
      if (query === undefined) return;
      const count = Math.min(size.count, left);
      const page = await this.#connection.run(call.operation, undefined, (db) =>
        readPage<Stored<V>>(this.#entries(db), 'getAll', query, count, range.reverse),
      );
      const nowMs = this.#env.now();
      const live = page.filter((record) => !isExpired(record, nowMs)).map(entryOf);
      left -= live.length;
      yield live;
      if (page.length < count) return;
      after = page[page.length - 1]?.key;
      size.adapt(page);
    }
  }

  async *scanKeys(range: KeyRange, call: Call): AsyncGenerator<string[]> {
    let after: string | undefined;
    for (let left = range.limit; left > 0; ) {
      call.throwIfEnded();
      const query = rangeAfter(range, after);
      if (query === undefined) return;
      const count = Math.min(KEY_PAGE, left);
      const [page, expired] = await this.#connection.run(call.operation, undefined, (db) => {
        const entries = this.#entries(db);
        const due = IDBKeyRange.upperBound(this.#env.now());
        return Promise.all([
          readPage<IDBValidKey>(entries, 'getAllKeys', query, count, range.reverse),
          // Those that are not swept yet; keys alone do not tell.
          resultOf(entries.index(EXPIRY).getAllKeys(due)),
        ]);
      });
      const dead = new Set(expired.map(decodeKey));
      const keys = page.map(decodeKey);
      const live = dead.size === 0 ? keys : keys.filter((key) => !dead.has(key));
      left -= live.length;
      yield live;
      if (page.length < count) return;
      after = keys[keys.length - 1];
    }
  }

  commit(writes: readonly Write<V>[], call: Call): Promise<CommitOutcome> {
    return this.#queue.commit(writes, call);
  }

  commitPages(pages: PagedWrites<V>, call: Call): Promise<CommitOutcome> {
    return this.#queue.commitPages(pages, call);
  }

  async close(): Promise<void> {
    this.feed.close();
    this.#sweeper.stop();
    try {
      await this.#queue.close();
    } finally {
      this.#connection.close();
      this.#leave();
      this.#channel?.close();
      this.#channel = undefined;
    }
  }

  /** Hears of other tabs' commits; whoever opens listens before it reads, so that none is missed. */
  #listen(name: string): void {
    if (this.#channel !== undefined || typeof BroadcastChannel === 'undefined') return;
    this.#channel = new BroadcastChannel(`stratakv:${name}`);
    this.#channel.onmessage = () => this.feed.look();
  }

  async #record(key: string, call: Call): Promise<Stored<V> | undefined> {
    const record = await this.#connection.run(call.operation, key, (db) =>
      resultOf(this.#entries(db).get(encodeKey(key)) as IDBRequest<Stored<V> | undefined>),
    );
    return record === undefined || isExpired(record, this.#env.now()) ? undefined : record;
  }

  /** Reads begun in the same turn share a transaction, which costs more than the read itself. */
  #entries(db: IDBDatabase): IDBObjectStore {
    if (this.#turn?.db !== db) {
      this.#turn = { db, entries: db.transaction(ENTRIES).objectStore(ENTRIES) };
      queueMicrotask(() => {
        this.#turn = undefined;
      });
    }
    return this.#turn.entries;
  }
}

function entryOf<V>({ pos: _, ...entry }: Stored<V>): Entry<V> {
  return entry;
}
