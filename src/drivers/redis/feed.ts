import type { Call } from '../../store/call.ts';
import type { Change } from '../../store/entry.ts';
import type { Timer } from '../../store/env.ts';
import { checkPosition, cursorExpired } from '../../store/feed/cursor.ts';
import { Doorbell } from '../../store/feed/doorbell.ts';
import type { Feed, FeedPage, FeedState, Position } from '../../store/primitives.ts';
import { systemEnv } from '../../store/system-env.ts';
import type { RedisEngine } from './engine.ts';
import { closedStore } from './failures.ts';
import { type FeedReply, type IndexPage, toFeedReply } from './feed-reply.ts';
import type { RedisPort } from './port.ts';
import { ReadAhead } from './read-ahead.ts';
import { entryOf, isExpired, isTombstone, revOf } from './records.ts';
import { SCRIPTS } from './script.ts';

const PAGE_KEYS = '1000';
const PAGE_BYTES = String(1024 * 1024);
const LOG_CHANGES = '1000';
/** A message may be lost with its connection: watchers then look by themselves so often. */
const LOOK_EVERY_MS = 3_000;

/** The change feed of a store in Redis. */
export class RedisFeed implements Feed<Uint8Array> {
  readonly #engine: RedisEngine;
  readonly #bell = new Doorbell();
  readonly #ahead = new ReadAhead();
  #rings = 0;
  /** What the last ring was for. */
  #rung = 0;
  #subscription: RedisPort | undefined;
  #subscribing: Promise<void> | undefined;
  #looker: Timer | undefined;
  #closed = false;

  constructor(engine: RedisEngine) {
    this.#engine = engine;
  }

  epochOf(rev: number): string {
    return this.#engine.epochOf(rev);
  }

  async state(call: Call): Promise<FeedState> {
    const reply = await this.#engine.run(SCRIPTS.state, [], call);
    const [, storeId, epoch, rev, id] = reply;
    return {
      storeId: String(storeId),
      head: { epoch: String(epoch), rev: Number(rev), id: String(id) },
    };
  }

  async *read(after: Position | undefined, call: Call): AsyncGenerator<FeedPage<Uint8Array>> {
    if (after === undefined) {
      const first = await this.#read('-1', '0', call);
      if (first.head.rev > 0) yield* this.#readIndex(first, true, call);
      return;
    }
    const ahead = this.#ahead.after(after);
    if (ahead !== undefined) {
      yield ahead;
      return;
    }
    const first = await this.#read(String(after.rev), '', call);
    const { head, floor, id, log, page } = first;
    checkPosition(call.operation, after, { head, floor, idOf: () => id });
    if (log !== undefined) yield this.#ahead.take(after, head.epoch, log);
    else if (page !== undefined) yield* this.#readIndex(first, false, call);
  }

  async #read(rev: string, seq: string, call: Call): Promise<FeedReply> {
    const args = [rev, seq, PAGE_KEYS, PAGE_BYTES, LOG_CHANGES];
    return toFeedReply(await this.#engine.run(SCRIPTS.read, args, call));
  }

  /**
   * Follows the change index to the head. Commits made meanwhile move their keys to the end, where
   * this reader meets them again: the page that finds nothing after it was read in one step with
   * the head, so that the whole is exactly the head's state.
   */
  async *#readIndex(
    first: FeedReply,
    fresh: boolean,
    call: Call,
  ): AsyncGenerator<FeedPage<Uint8Array>> {
    const { head: start, headSeq } = first;
    for (let reply = first; ; ) {
      const { lastSeq, more, ...entries } = reply.page as IndexPage;
      const changes = this.#changesOf(entries, fresh ? start.rev : 0);
      if (!more) {
        yield { changes, end: reply.head };
        return;
      }
      yield { changes };
      reply = await this.#read('-1', String(lastSeq), call);
      if (reply.head.epoch !== start.epoch)
        throw cursorExpired(call.operation, start, 'a new epoch began while it was read');
      // A delete forgotten ahead of this reader would leave its key standing.
      if (reply.floorSeq > Math.max(lastSeq, fresh ? headSeq : 0))
        throw cursorExpired(call.operation, start, 'deletes were forgotten while it was read');
    }
  }

  /** Who starts from nothing needs no deletes but those of keys that the same read may have given: those after `skipUpTo`. */
  #changesOf(
    { keys, heads, envelopes }: Omit<IndexPage, 'lastSeq' | 'more'>,
    skipUpTo: number,
  ): Change<Uint8Array>[] {
    const nowMs = this.#engine.env.now();
    const changes: Change<Uint8Array>[] = [];
    for (const [i, key] of keys.entries()) {
      const rev = revOf(key, heads[i]);
      const entry = isTombstone(heads[i]) ? undefined : entryOf(key, heads[i], envelopes[i]);
      if (entry !== undefined && !isExpired(entry, nowMs)) changes.push({ type: 'set', ...entry });
      else if (rev > skipUpTo) changes.push({ type: 'delete', key, rev });
    }
    return changes;
  }

  async wait(after: Position | undefined, call: Call): Promise<void> {
    for (;;) {
      this.#checkOpen(call.operation);
      await call.untilEnd(this.#listen());
      // What rings from here on is not missed, though the head is only asked for now.
      const rings = this.#rings;
      const { head } = await call.untilEnd(this.state(call));
      if (head.rev !== (after?.rev ?? 0) || (after !== undefined && head.epoch !== after.epoch))
        return;
      if (this.#rings !== rings) continue;
      this.#look();
      await this.#bell.wait(call);
      if (this.#rung > (after?.rev ?? 0)) return;
    }
  }

  /** Something was committed, here or elsewhere: `rev`, where that is known. */
  ring(rev = 0): void {
    this.#rings++;
    this.#rung = rev;
    this.#bell.ring();
  }

  /** Looks now and then while somebody waits, and takes the subscription up again where it was lost. */
  #look(): void {
    this.#looker ??= systemEnv.setTimer(
      () => {
        this.#looker = undefined;
        if (this.#bell.waiting > 0) this.ring();
      },
      LOOK_EVERY_MS,
      { background: true },
    );
  }

  /** Subscribes to the doorbell, unless that is done. Without it watchers look every few seconds. */
  #listen(): Promise<void> {
    if (this.#subscription?.ready) return Promise.resolve();
    this.#subscribing ??= this.#subscribe().finally(() => {
      this.#subscribing = undefined;
    });
    return this.#subscribing;
  }

  async #subscribe(): Promise<void> {
    this.#subscription?.disconnect();
    this.#subscription = undefined;
    let port: RedisPort;
    try {
      port = await this.#engine.connection.connectAnother('watch');
      await port.subscribe(this.#engine.layout.channel, (rev) => this.ring(Number(rev)));
    } catch {
      // The state, asked for next, tells the watcher when the server is away.
      return;
    }
    if (this.#closed) {
      port.disconnect();
      return;
    }
    this.#subscription = port;
    port.onEnd(() => this.ring());
  }

  #checkOpen(operation: string): void {
    if (this.#closed) throw closedStore(operation);
  }

  close(): void {
    this.#closed = true;
    this.#looker?.cancel();
    this.#subscription?.disconnect();
    this.#bell.fail(closedStore('watch'));
    this.#ahead.clear();
  }
}
