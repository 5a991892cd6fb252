import type { Call } from '../../store/call.ts';
import type { Env, Timer } from '../../store/env.ts';
import type { CommitLog } from '../../store/feed/commit-log.ts';
import { checkPosition, cursorExpired } from '../../store/feed/cursor.ts';
import { Doorbell } from '../../store/feed/doorbell.ts';
import type { Feed, FeedPage, FeedState, Position } from '../../store/primitives.ts';
import { type IndexPage, readIndexPage } from './change-index.ts';
import { commitIdOf } from './commit-ids.ts';
import type { Tip } from './head.ts';
import type { History } from './history.ts';
import { storeClosed } from './lmdb-errors.ts';
import type { Reader } from './reader.ts';

export interface LmdbFeedOptions {
  readonly reader: Reader;
  readonly log: CommitLog<Uint8Array>;
  readonly history: History;
  readonly env: Env;
  /** How often commits of other processes are looked for while somebody waits, in ms. */
  readonly pollMs: number;
}

/** The feed of a store: this process's last commits from its log, everything else from the index. */
export class LmdbFeed implements Feed<Uint8Array> {
  readonly #options: LmdbFeedOptions;
  readonly #bell = new Doorbell();
  #poll: Timer | undefined;
  #pollsInBackground = false;
  #seenVersion = 0;
  #closed = false;

  constructor(options: LmdbFeedOptions) {
    this.#options = options;
  }

  state(call: Call): FeedState {
    return this.stateNow(call.operation);
  }

  stateNow(operation: string): FeedState {
    const { reader, history } = this.#options;
    return reader.run(operation, () => {
      const tip = reader.tip();
      history.note(tip);
      return { storeId: history.storeId, head: toPosition(tip) };
    });
  }

  epochOf(rev: number): string {
    const { history } = this.#options;
    if (history.isBehind(rev)) this.stateNow('epochOf');
    return history.epochOf(rev);
  }

  async *read(after: Position | undefined, call: Call): AsyncGenerator<FeedPage<Uint8Array>> {
    const { reader, log } = this.#options;
    const { operation } = call;
    const start = reader.run(operation, () => {
      const tip = reader.tip();
      if (after !== undefined) this.#check(operation, after, tip);
      return toPosition(tip);
    });
    if ((after?.rev ?? 0) === start.rev) return;
    const single = after === undefined ? undefined : log.at(after.rev + 1);
    if (single !== undefined && single.end.epoch === start.epoch) {
      yield { changes: single.changes, end: single.end };
      return;
    }
    yield* this.#readIndex(after, start, call);
  }

  async wait(after: Position | undefined, call: Call): Promise<void> {
    for (;;) {
      if (this.#closed) throw storeClosed('watch');
      const { head } = this.state(call);
      if (head.rev !== (after?.rev ?? 0) || (after !== undefined && !isSame(head, after))) return;
      const rung = this.#bell.wait(call);
      this.#startPolling();
      await rung;
    }
  }

  /** Wakes the waiting: there is a commit. */
  ring(): void {
    this.#bell.ring();
  }

  close(): void {
    this.#closed = true;
    this.#poll?.cancel();
    this.#bell.fail(storeClosed('watch'));
  }

  /**
   * Follows the change index to the head, a page a read transaction. Commits made meanwhile move
   * their keys to its end, where this reader meets them again: the page that runs out of changes is
   * of one moment with the head, so that the whole is exactly that head's state.
   */
  async *#readIndex(
    after: Position | undefined,
    start: Position,
    call: Call,
  ): AsyncGenerator<FeedPage<Uint8Array>> {
    const { reader } = this.#options;
    const { operation } = call;
    const from = after ?? start;
    // Who starts from nothing needs no deletes but those of keys that this read may have given.
    const deletesAbove = from.rev;
    let at = { rev: after?.rev ?? 0, pos: after === undefined ? 0 : LAST_POSITION };
    for (;;) {
      call.throwIfEnded();
      const page: IndexPage = reader.run(operation, () => readIndexPage(reader, at, deletesAbove));
      const { tip } = page;
      if (tip.epoch !== start.epoch)
        throw cursorExpired(operation, from, 'the store began a new epoch while it was read');
      // A delete forgotten ahead of this reader, maybe in the midst of a commit, would leave its key standing.
      if (tip.floor > deletesAbove && tip.floor >= at.rev)
        throw cursorExpired(operation, from, 'deletes were forgotten while it was read');
      if (page.last) {
        yield { changes: page.changes, end: toPosition(tip) };
        return;
      }
      if (page.changes.length > 0) yield { changes: page.changes };
      at = page.at;
    }
  }

  #check(operation: string, after: Position, tip: Tip): void {
    const { reader, log } = this.#options;
    checkPosition(operation, after, {
      head: toPosition(tip),
      floor: tip.floor,
      idOf: (rev) => log.idOf(rev) ?? commitIdOf(reader, rev),
    });
  }

  #startPolling(): void {
    const { env, pollMs } = this.#options;
    const background = !this.#bell.keepsProcess;
    if (this.#poll !== undefined && (background || !this.#pollsInBackground)) return;
    this.#poll?.cancel();
    this.#pollsInBackground = background;
    this.#poll = env.setTimer(() => this.#look(), pollMs, { background });
  }

  /** Wakes the waiting when another process has changed the head. */
  #look(): void {
    const { reader } = this.#options;
    this.#poll = undefined;
    if (this.#closed || this.#bell.waiting === 0) return;
    try {
      const { version } = reader.run('watch', () => reader.tip());
      if (version === this.#seenVersion) {
        this.#startPolling();
        return;
      }
      this.#seenVersion = version;
    } catch {
      // Whoever waits looks at the store again, and is told what is wrong with it.
      this.#seenVersion = 0;
    }
    this.#bell.ring();
  }
}

/** Positions within a commit are 32 bits. */
const LAST_POSITION: number = 2 ** 32 - 1;

function toPosition({ epoch, rev, id }: Tip): Position {
  return { epoch, rev, id };
}

function isSame(a: Position, b: Position): boolean {
  return a.rev === b.rev && a.epoch === b.epoch && a.id === b.id;
}
