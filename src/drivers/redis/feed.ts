import type { Call } from '../../store/call.ts';
import type { Change } from '../../store/entry.ts';
import type { Timer } from '../../store/env.ts';
import { checkPosition, cursorExpired, toCursor } from '../../store/feed/cursor.ts';
import { Doorbell } from '../../store/feed/doorbell.ts';
import type { Feed, FeedPage, FeedState, Position } from '../../store/primitives.ts';
import { systemEnv } from '../../store/system-env.ts';
import type { RedisEngine } from './engine.ts';
import { closedStore } from './failures.ts';
import type { RedisPort } from './port.ts';
import { changeOf, entryOf, isExpired, isTombstone, revOf } from './records.ts';
import { SCRIPTS } from './script.ts';

const PAGE_KEYS = '1000';
const PAGE_BYTES = String(1024 * 1024);
const LOG_CHANGES = '1000';
/** Bound of commits read ahead. */
const AHEAD_BYTES = 2 * 1024 * 1024;
/** A message may be lost with its connection: watchers then look by themselves so often. */
const LOOK_EVERY_MS = 3_000;

interface Facts {
  readonly head: Position;
  readonly floor: number;
  /** Id of the commit of the position asked about. */
  readonly id: string | undefined;
}

/** A commit as the log gives it: key and envelope of each change, decoded anew for every reader. */
interface LoggedCommit {
  readonly end: Position;
  readonly words: readonly Buffer[];
}

/** The change feed of a store in Redis. */
export class RedisFeed implements Feed<Uint8Array> {
  readonly #engine: RedisEngine;
  readonly #bell = new Doorbell();
  /** Commits of the log that were read before they were asked for, by the position that they follow. */
  readonly #ahead = new Map<string, LoggedCommit>();
  #aheadBytes = 0;
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
      yield* this.#readIndex({ rev: 0 }, undefined, undefined, call);
      return;
    }
    const ahead = this.#ahead.get(toCursor(after));
    if (ahead !== undefined) {
      yield pageOf(ahead);
      return;
    }
    const reply = await this.#read(String(after.rev), '', call);
    const facts = factsOf(reply);
    checkPosition(call.operation, after, {
      head: facts.head,
      floor: facts.floor,
      idOf: () => facts.id,
    });
    if (reply[6] === undefined) return;
    if (Array.isArray(reply[7])) yield pageOf(this.#keepAhead(after, facts.head.epoch, reply));
    else yield* this.#readIndex(after, facts, reply, call);
  }

  #read(rev: string, seq: string, call: Call): Promise<unknown[]> {
    const args = [rev, seq, PAGE_KEYS, PAGE_BYTES, LOG_CHANGES];
    return this.#engine.run(SCRIPTS.read, args, call);
  }

  /** Takes the reply's commits of the log apart: gives the first and keeps the others for who comes next. */
  #keepAhead(after: Position, epoch: string, reply: readonly unknown[]): LoggedCommit {
    const commits = reply[6] as unknown[];
    const words = reply[7] as Buffer[];
    let at = 0;
    let position = after;
    let first: LoggedCommit | undefined;
    for (let i = 0; i < commits.length; i += 2) {
      const end = { epoch, rev: position.rev + 1, id: String(commits[i]) };
      const next = at + 2 * Number(commits[i + 1]);
      const commit = { end, words: words.slice(at, next) };
      if (first === undefined) first = commit;
      else this.#keep(toCursor(position), commit);
      at = next;
      position = end;
    }
    return first as LoggedCommit;
  }

  #keep(cursor: string, commit: LoggedCommit): void {
    if (this.#ahead.has(cursor)) return;
    this.#ahead.set(cursor, commit);
    this.#aheadBytes += bytesOf(commit);
    for (const [oldest, held] of this.#ahead) {
      if (this.#aheadBytes <= AHEAD_BYTES) break;
      this.#ahead.delete(oldest);
      this.#aheadBytes -= bytesOf(held);
    }
  }

  /**
   * Follows the change index to the head. Commits made meanwhile move their keys to the end, where
   * this reader meets them again: the page that finds nothing after it was read in one step with
   * the head, so that the whole is exactly the head's state.
   */
  async *#readIndex(
    after: Position | { readonly rev: 0 },
    known: Facts | undefined,
    firstReply: unknown[] | undefined,
    call: Call,
  ): AsyncGenerator<FeedPage<Uint8Array>> {
    const fresh = known === undefined;
    let reply = firstReply ?? (await this.#read('-1', '0', call));
    const start = factsOf(reply).head;
    if (fresh && start.rev === 0) return;
    let lastRev = after.rev;
    for (;;) {
      call.throwIfEnded();
      const { head, floor } = factsOf(reply);
      if (head.epoch !== start.epoch)
        throw cursorExpired(call.operation, start, 'a new epoch began while it was read');
      // A delete forgotten ahead of this reader would leave its key standing.
      if (floor > Math.max(lastRev, fresh ? start.rev : 0))
        throw cursorExpired(call.operation, start, 'deletes were forgotten while it was read');
      const page = this.#indexPage(reply, fresh ? start.rev : 0);
      lastRev = Math.max(lastRev, page.lastRev);
      if (String(reply[7]) === '0') {
        yield { changes: page.changes, end: head };
        return;
      }
      yield { changes: page.changes };
      reply = await this.#read('-1', String(reply[6]), call);
    }
  }

  /** Who starts from nothing needs no deletes but those of keys that this read may have given: `skipDeletes` says up to where. */
  #indexPage(
    reply: readonly unknown[],
    skipDeletes: number,
  ): { readonly changes: Change<Uint8Array>[]; readonly lastRev: number } {
    const [keys, heads, envelopes] = reply.slice(8) as [unknown[], unknown[], unknown[]];
    const nowMs = this.#engine.env.now();
    const changes: Change<Uint8Array>[] = [];
    let lastRev = 0;
    for (let i = 0; i < keys.length; i++) {
      const key = String(keys[i]);
      const rev = revOf(key, heads[i]);
      lastRev = rev;
      const entry = isTombstone(heads[i]) ? undefined : entryOf(key, heads[i], envelopes[i]);
      if (entry !== undefined && !isExpired(entry, nowMs)) changes.push({ type: 'set', ...entry });
      else if (rev > skipDeletes) changes.push({ type: 'delete', key, rev });
    }
    return { changes, lastRev };
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

function factsOf(reply: readonly unknown[]): Facts {
  const [, epoch, rev, id, floor, known] = reply;
  return {
    head: { epoch: String(epoch), rev: Number(rev), id: String(id) },
    floor: Number(floor),
    id: String(known) === '' ? undefined : String(known),
  };
}

function pageOf({ end, words }: LoggedCommit): FeedPage<Uint8Array> {
  const changes: Change<Uint8Array>[] = [];
  for (let i = 0; i < words.length; i += 2)
    changes.push(changeOf(String(words[i]), end.rev, words[i + 1] as Buffer));
  return { changes, end };
}

function bytesOf({ words }: LoggedCommit): number {
  return words.reduce((sum, word) => sum + word.length + 64, 0);
}
