import type { Call } from '../../store/call.ts';
import type { Change, Entry } from '../../store/entry.ts';
import type { Env, Timer } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { CommitLog, type LoggedCommit } from '../../store/feed/commit-log.ts';
import { checkPosition, cursorExpired } from '../../store/feed/cursor.ts';
import { Doorbell } from '../../store/feed/doorbell.ts';
import {
  checkCondition,
  DistinctKeys,
  type Planned,
  planCommit,
  type Standing,
} from '../../store/feed/plan.ts';
import type { KeyRange } from '../../store/keys.ts';
import type {
  CommitOutcome,
  Feed,
  FeedPage,
  FeedState,
  PackedSets,
  Position,
  SetWrite,
  Write,
  WriteOutcome,
} from '../../store/primitives.ts';
import { randomId, WriteIds } from '../../store/version.ts';
import { EntryTable, type TombstoneBounds } from './entry-table.ts';
import { MemoryCommit, SetsCommit } from './memory-commit.ts';
import { EntryNode, Node, PackedNode, type Placed, Tombstone } from './nodes.ts';
import { SetHeads, SetOutcome } from './set-heads.ts';

/** A page of changes ends at so many, or with so many bytes: a reader that pauses keeps one. */
const FEED_PAGE = 256;
const FEED_PAGE_BYTES = 64 * 1024;
const SWEEP_EVERY_MS = 30_000;

/** The engine behind `memory`: a map of nodes, a linked change index, and keys sorted on demand. */
export class MemoryEngine<V> implements Feed<V> {
  readonly #env: Env;
  readonly #ids: WriteIds;
  readonly #storeId: string;
  readonly #epoch: string;
  readonly #seed: number;
  readonly #table: EntryTable<V>;
  readonly #log: CommitLog<V>;
  readonly #bell = new Doorbell();
  readonly #positionOf = (rev: number): Position => this.#position(rev);
  #rev = 0;
  #headAt: Position;
  #lastId: Pick<Position, 'rev' | 'id'> = { rev: 0, id: '' };
  #sweeper: Timer | undefined;
  #closed = false;
  /** Hears of the keys whose expired entries are removed. */
  onSwept: ((key: string) => void) | undefined = undefined;

  constructor(env: Env, options: TombstoneBounds & { readonly logBytes?: number }) {
    this.#env = env;
    this.#ids = new WriteIds(env);
    this.#storeId = randomId(env);
    this.#epoch = randomId(env);
    this.#seed = Math.floor(env.random() * 2 ** 32);
    this.#headAt = this.#position(0);
    this.#log = new CommitLog(options.logBytes);
    this.#table = new EntryTable(env, options);
  }

  peek(key: string): V | undefined {
    return this.#table.peek(key);
  }

  readOne(key: string): Entry<V> | undefined {
    return this.#table.live(key)?.toEntry();
  }

  *scan(range: KeyRange): Generator<Entry<V>> {
    for (const page of this.#table.pages(range)) for (const node of page) yield node.toEntry();
  }

  *scanKeys(range: KeyRange): Generator<string> {
    for (const page of this.#table.pages(range)) for (const node of page) yield node.key;
  }

  async *scanPages(range: KeyRange, call: Call): AsyncGenerator<Entry<V>[]> {
    for (const page of this.#table.pages(range)) {
      call.throwIfEnded();
      yield page.map((node) => node.toEntry());
    }
  }

  async *scanKeyPages(range: KeyRange, call: Call): AsyncGenerator<string[]> {
    for (const page of this.#table.pages(range)) {
      call.throwIfEnded();
      yield page.map((node) => node.key);
    }
  }

  commit(operation: string, writes: readonly Write<V>[]): CommitOutcome {
    const nowMs = this.#env.now();
    const replaced = this.#replacedBySets(operation, writes, nowMs);
    if (replaced !== undefined)
      return this.#commitSets(writes as readonly SetWrite<V>[], replaced, nowMs);
    const plan = planCommit<V>({
      operation,
      writes,
      rev: this.#rev + 1,
      nowMs,
      ids: this.#ids,
      standing: (key) => this.#standing(key, nowMs),
    });
    if (plan.rev === undefined) return { outcomes: plan.outcomes };
    this.#rev = plan.rev;
    const logged = new MemoryCommit<V>(plan.rev, this.#positionOf);
    for (const planned of plan.changes) this.#apply(planned, logged, nowMs);
    this.#committed(logged);
    return { rev: plan.rev, outcomes: plan.outcomes };
  }

  /**
   * What a batch replaces where it is nothing but sets, each of another key: it needs no more plan
   * than that. `undefined` for any other. Errors: `conflict`.
   */
  #replacedBySets(
    operation: string,
    writes: readonly Write<V>[],
    nowMs: number,
  ): (Node<V> | undefined)[] | undefined {
    const keys = new DistinctKeys();
    const replaced: (Node<V> | undefined)[] = [];
    for (let at = 0; at < writes.length; at++) {
      const write = writes[at] as Write<V>;
      if (write.type !== 'set' || !keys.add(write.key, writes, at)) return undefined;
      const former = this.#table.index.get(write.key);
      const isLive = former?.isLive === true && !former.isExpired(nowMs);
      // Whether that is a repeat or a mistake is for the plan to say.
      if (isLive && former.isImmutable && write.origin === undefined) return undefined;
      if (write.if !== undefined)
        checkCondition(operation, write, isLive ? former.live : undefined);
      replaced.push(former);
    }
    return replaced.length > 0 ? replaced : undefined;
  }

  #commitSets(
    writes: readonly SetWrite<V>[],
    replaced: readonly (Node<V> | undefined)[],
    nowMs: number,
  ): CommitOutcome {
    const rev = ++this.#rev;
    const heads = new SetHeads(this.#ids, writes.length, rev, nowMs);
    const outcomes: WriteOutcome[] = [];
    for (let pos = 0; pos < writes.length; pos++)
      outcomes.push(this.#place(writes[pos] as SetWrite<V>, replaced[pos], pos, heads, nowMs));
    // The list is the caller's to use again.
    this.#committed(new SetsCommit<V>(this.#positionOf, writes.slice(), heads, false));
    return { rev, outcomes };
  }

  /** Many sets at once, of which each has an origin and none a condition, and `last`. Errors: `conflict`. */
  commitPacked(
    operation: string,
    sets: readonly (PackedSets<V> | SetWrite<V>)[],
    last: SetWrite<V>,
  ): CommitOutcome {
    const nowMs = this.#env.now();
    // Nothing but the condition of the last can keep it from being applied.
    const standing = this.#table.index.get(last.key);
    checkCondition(operation, last, standing?.isExpired(nowMs) ? undefined : standing?.live);
    const rev = ++this.#rev;
    let count = 1;
    for (const set of sets) count += set.type === 'set' ? 1 : set.count;
    const heads = new SetHeads(this.#ids, count, rev, nowMs);
    let pos = 0;
    // The first copy of all: hardly a key comes twice, and looking costs as much as writing.
    let isFirst = this.#table.index.isEmpty;
    for (const set of sets) {
      if (set.type === 'set') {
        isFirst = false;
        this.#place(set, this.#table.index.get(set.key), pos++, heads, nowMs);
      } else {
        isFirst = this.#placePacked({ pack: set, heads, firstPos: pos }, nowMs, isFirst);
        pos += set.count;
      }
    }
    const outcome = this.#place(last, this.#table.index.get(last.key), pos, heads, nowMs);
    this.#committed(new SetsCommit<V>(this.#positionOf, [...sets, last], heads, true));
    return { rev, outcomes: [outcome] };
  }

  /** Gives whether all keys so far are new, where they were before. */
  #placePacked(placed: Placed<V>, nowMs: number, areNew: boolean): boolean {
    const { pack } = placed;
    let isNew = areNew;
    for (let at = 0; at < pack.count; at++) {
      const node = new PackedNode<V>(pack.keyAt(at), placed, at);
      if (isNew) isNew = this.#table.putNew(node);
      else this.#table.put(node, this.#table.index.get(node.key), nowMs);
    }
    return isNew;
  }

  #place(
    write: SetWrite<V>,
    former: Node<V> | undefined,
    pos: number,
    heads: SetHeads,
    nowMs: number,
  ): WriteOutcome {
    const existed = former?.isLive === true && !former.isExpired(nowMs);
    const node = new EntryNode<V>(write.key, heads.rev, pos, write, write.value, heads);
    this.#table.put(node, former, nowMs);
    return new SetOutcome(existed, node);
  }

  /** Deletes entries in one commit; those that are expired are gone for everybody already. */
  evict(keys: readonly string[]): void {
    const nowMs = this.#env.now();
    for (const key of keys) if (this.#table.bury(key, nowMs)) this.onSwept?.(key);
    this.commit(
      'evict',
      keys.map((key) => ({ type: 'delete', key })),
    );
  }

  #apply(planned: Planned<V>, logged: MemoryCommit<V>, nowMs: number): void {
    const { key, rev, pos, replaces } = planned;
    // The plan has looked it up already; of an expired node it knows the place alone, and a
    // tombstone may have been forgotten meanwhile for a delete of the same commit.
    const former =
      replaces === undefined || (replaces instanceof Node && replaces.linked)
        ? (replaces as Node<V> | undefined)
        : this.#table.index.get(key);
    const node =
      planned.type === 'set'
        ? new EntryNode<V>(key, rev, pos, planned.head, planned.write.value, undefined)
        : new Tombstone<V>(key, rev, pos);
    this.#table.put(node, former, nowMs);
    logged.add(key, node.live, node.value);
  }

  #committed(commit: LoggedCommit<V>): void {
    this.#log.add(commit);
    this.#bell.ring();
    this.#sweepLater();
  }

  state(): FeedState {
    return { storeId: this.#storeId, head: this.#head };
  }

  epochOf(): string {
    return this.#epoch;
  }

  async *read(after: Position | undefined, call: Call): AsyncGenerator<FeedPage<V>> {
    if (after !== undefined) this.#check(call.operation, after);
    if ((after?.rev ?? 0) === this.#rev) return;
    const single = after === undefined ? undefined : this.#log.at(after.rev + 1);
    if (single !== undefined) yield { changes: single.changes, end: single.end };
    else yield* this.#readIndex(after?.rev ?? 0, after === undefined, call);
  }

  /**
   * Follows the change index from a revision to the head. Commits made meanwhile move their keys
   * to the end, where this reader meets them again: at the moment it runs out of nodes it has
   * seen every key's last change, so that the whole is exactly the head's state.
   */
  async *#readIndex(afterRev: number, fresh: boolean, call: Call): AsyncGenerator<FeedPage<V>> {
    const startRev = this.#rev;
    let last = this.#table.index.lastUpTo(afterRev);
    // Up to this commit nothing is missing here; a page may end in the middle of the next.
    let completeRev = fresh ? startRev : afterRev;
    for (;;) {
      call.throwIfEnded();
      this.#checkOpen();
      // A delete forgotten ahead of this reader would leave its key standing.
      if (this.#table.index.floor > completeRev)
        throw cursorExpired(
          call.operation,
          this.#position(afterRev),
          'deletes were forgotten while it was read',
        );
      const nowMs = this.#env.now();
      const changes: Change<V>[] = [];
      let node = this.#table.index.following(last);
      let bytes = 0;
      for (; node !== undefined && changes.length < FEED_PAGE; node = node.next) {
        if (bytes >= FEED_PAGE_BYTES) break;
        last = node;
        if (node.value instanceof Uint8Array) bytes += node.value.length;
        const head = node.isExpired(nowMs) ? undefined : node.live;
        if (head !== undefined) changes.push({ ...head, type: 'set', value: node.value as V });
        // Who starts from nothing needs no deletes but those of keys that this read may have given.
        else if (!fresh || node.rev > startRev)
          changes.push({ type: 'delete', key: node.key, rev: node.rev });
      }
      if (node === undefined) {
        yield { changes, end: this.#head };
        return;
      }
      yield { changes };
      completeRev = Math.max(completeRev, (last?.rev ?? 0) - 1);
    }
  }

  async wait(after: Position | undefined, call: Call): Promise<void> {
    for (;;) {
      this.#checkOpen();
      if ((after?.rev ?? 0) !== this.#rev) return;
      await this.#bell.wait(call);
    }
  }

  close(): void {
    this.#closed = true;
    this.#sweeper?.cancel();
    this.#bell.fail(
      new StrataError('closed', 'watch: the store is closed', { operation: 'watch' }),
    );
    this.#table.clear();
    this.#log.clear();
  }

  #checkOpen(): void {
    if (this.#closed)
      throw new StrataError('closed', 'watch: the store is closed', { operation: 'watch' });
  }

  #standing(key: string, nowMs: number): Standing<V> | undefined {
    const node = this.#table.index.get(key);
    return node?.isExpired(nowMs) ? { rev: node.rev, pos: node.pos } : node;
  }

  /** Looks for expired values from time to time, while any value may expire. */
  #sweepLater(): void {
    if (!this.#table.expires) return;
    this.#sweeper ??= this.#env.setTimer(
      () => {
        this.#sweeper = undefined;
        for (const key of this.#table.sweep(this.#env.now())) this.onSwept?.(key);
        this.#sweepLater();
      },
      SWEEP_EVERY_MS,
      { background: true },
    );
  }

  #check(operation: string, after: Position): void {
    checkPosition(operation, after, {
      head: this.#head,
      floor: this.#table.index.floor,
      idOf: (rev) => this.#idOf(rev),
    });
  }

  get #head(): Position {
    if (this.#headAt.rev !== this.#rev) this.#headAt = this.#position(this.#rev);
    return this.#headAt;
  }

  #position(rev: number): Position {
    return { epoch: this.#epoch, rev, id: this.#idOf(rev) };
  }

  /**
   * Memory cannot be rewound, so a commit's id need not be kept: it is a mix of the revision with
   * a random seed, which no other store shares.
   */
  #idOf(rev: number): string {
    if (rev === 0) return '';
    // Who follows commit by commit asks again for where it has arrived.
    if (rev === this.#lastId.rev) return this.#lastId.id;
    let mixed = Math.imul(rev ^ this.#seed, 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca77);
    const id = ((mixed ^ (mixed >>> 13)) >>> 0).toString(36);
    this.#lastId = { rev, id };
    return id;
  }
}
