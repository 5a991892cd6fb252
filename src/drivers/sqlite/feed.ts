import type { Call } from '../../store/call.ts';
import type { Change } from '../../store/entry.ts';
import type { Env, Timer } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import type { CommitLog } from '../../store/feed/commit-log.ts';
import { checkPosition, cursorExpired } from '../../store/feed/cursor.ts';
import { Doorbell } from '../../store/feed/doorbell.ts';
import { Envelope } from '../../store/feed/envelope.ts';
import type { Feed, FeedPage, FeedState, Position } from '../../store/primitives.ts';
import { ENVELOPES, keyText, type SqliteEngine, type StoreHead, toEntry } from './engine.ts';

const PAGE_ROWS = 1_000;
/** A page ends early when its entries reach this. */
const PAGE_BYTES: number = 1024 * 1024;

export interface SqliteFeedOptions {
  readonly engine: SqliteEngine;
  readonly env: Env;
  readonly log: CommitLog<Uint8Array>;
  /** How often the commits of other processes are looked for while somebody waits; absent where there are no others. */
  readonly pollMs?: number | undefined;
}

/** One page of the change index, and what the store's head was at the same moment. */
interface IndexPage {
  readonly changes: Change<Uint8Array>[];
  readonly store: StoreHead;
  /** The last record read. */
  readonly rev: number;
  readonly pos: number;
  readonly last: boolean;
}

/** The feed of a database: this process's last commits from its log, everything else from the index. */
export class SqliteFeed implements Feed<Uint8Array> {
  readonly #options: SqliteFeedOptions;
  readonly #bell = new Doorbell();
  #poll: Timer | undefined;
  #pollsInBackground = false;
  #seenVersion = -1;
  #closed = false;

  constructor(options: SqliteFeedOptions) {
    this.#options = options;
  }

  state(call: Call): FeedState {
    return this.#options.engine.state(call.operation);
  }

  epochOf(rev: number): string {
    return this.#options.engine.epochOf(rev);
  }

  async *read(after: Position | undefined, call: Call): AsyncGenerator<FeedPage<Uint8Array>> {
    const { engine, log } = this.#options;
    const { operation } = call;
    const start = engine.run(operation, () => {
      const store = engine.head();
      if (after !== undefined) this.#check(operation, after, store);
      return store.head;
    });
    if ((after?.rev ?? 0) === start.rev) return;
    const single = after === undefined ? undefined : log.at(after.rev + 1);
    if (single !== undefined && single.end.epoch === start.epoch) {
      yield { changes: single.changes.map(ownCopy), end: single.end };
      return;
    }
    yield* this.#readIndex(after, start, call);
  }

  async wait(after: Position | undefined, call: Call): Promise<void> {
    for (;;) {
      this.#checkOpen();
      const { rev, epoch } = this.state(call).head;
      if (rev !== (after?.rev ?? 0) || (after !== undefined && epoch !== after.epoch)) return;
      const rung = this.#bell.wait(call);
      this.#startPolling();
      await rung;
    }
  }

  ring(): void {
    this.#bell.ring();
  }

  close(): void {
    this.#closed = true;
    this.#poll?.cancel();
    this.#bell.fail(
      new StrataError('closed', 'watch: the store is closed', { operation: 'watch' }),
    );
  }

  /**
   * Follows the change index to the head. Commits made meanwhile move their keys to its end, where
   * this reader meets them again: the page that runs out of records is read together with the
   * head, so that the whole is exactly that head's state.
   */
  async *#readIndex(
    after: Position | undefined,
    start: Position,
    call: Call,
  ): AsyncGenerator<FeedPage<Uint8Array>> {
    const { operation } = call;
    const from = after ?? start;
    // Who starts from nothing needs no deletes but those of keys that this read may have given.
    const deletesAbove = from.rev;
    let rev = after?.rev ?? 0;
    let pos = Number.MAX_SAFE_INTEGER;
    for (;;) {
      call.throwIfEnded();
      const page = this.#readPage(operation, rev, pos, deletesAbove);
      const { head, floor } = page.store;
      if (head.epoch !== start.epoch)
        throw cursorExpired(operation, from, 'the store began a new epoch while it was read');
      // A delete forgotten ahead of this reader, maybe in the midst of a commit, would leave its key standing.
      if (floor > deletesAbove && floor >= rev)
        throw cursorExpired(operation, from, 'deletes were forgotten while it was read');
      if (page.last) {
        yield { changes: page.changes, end: head };
        return;
      }
      yield { changes: page.changes };
      ({ rev, pos } = page);
    }
  }

  #readPage(operation: string, rev: number, pos: number, deletesAbove: number): IndexPage {
    const { engine, env } = this.#options;
    return engine.snapshot(operation, () => {
      const nowMs = env.now();
      const changes: Change<Uint8Array>[] = [];
      let at = { rev, pos };
      let rows = 0;
      let bytes = 0;
      for (const row of engine.tables.changes.each(rev, pos, PAGE_ROWS)) {
        const [key, rowRev, rowPos, stored] = row;
        at = { rev: rowRev, pos: rowPos };
        rows++;
        bytes += stored?.length ?? 0;
        const change = toChange(keyText(key), rowRev, stored, nowMs);
        if (change.type === 'set' || rowRev > deletesAbove) changes.push(change);
        if (bytes >= PAGE_BYTES) break;
      }
      const last = rows < PAGE_ROWS && bytes < PAGE_BYTES;
      return { changes, store: engine.head(), ...at, last };
    });
  }

  #check(operation: string, after: Position, store: StoreHead): void {
    const { engine, log } = this.#options;
    checkPosition(operation, after, {
      ...store,
      idOf: (rev) => log.idOf(rev) ?? engine.tables.commitId.first(rev)?.[0],
    });
  }

  #checkOpen(): void {
    if (this.#closed)
      throw new StrataError('closed', 'watch: the store is closed', { operation: 'watch' });
  }

  #startPolling(): void {
    const { env, pollMs } = this.#options;
    if (pollMs === undefined) return;
    const background = !this.#bell.keepsProcess;
    if (this.#poll !== undefined && (background || !this.#pollsInBackground)) return;
    this.#poll?.cancel();
    this.#pollsInBackground = background;
    this.#poll = env.setTimer(() => this.#look(), pollMs, { background });
  }

  /** Wakes the waiting when another process has committed. */
  #look(): void {
    this.#poll = undefined;
    if (this.#closed || this.#bell.waiting === 0) return;
    let version: number;
    try {
      version = this.#options.engine.tables.dataVersion.first()?.[0] ?? 0;
    } catch {
      // Whoever waits looks at the store again, and is told what is wrong with it.
      this.#bell.ring();
      return;
    }
    if (version !== this.#seenVersion) this.#bell.ring();
    this.#seenVersion = version;
    this.#startPolling();
  }
}

function toChange(
  key: string,
  rev: number,
  stored: Uint8Array | null,
  nowMs: number,
): Change<Uint8Array> {
  if (stored === null) return { type: 'delete', key, rev };
  const envelope = new Envelope(ENVELOPES, key, stored);
  const { expiresAt } = envelope;
  if (expiresAt !== undefined && expiresAt <= nowMs) return { type: 'delete', key, rev };
  return { ...toEntry(envelope), type: 'set' };
}

/** The log's bytes are shared by all readers: each gets its own. */
function ownCopy(change: Change<Uint8Array>): Change<Uint8Array> {
  return change.type === 'set' ? { ...change, value: change.value.slice() } : change;
}
