import { SortedKeys } from '../../kernel/sorted-keys.ts';
import type { Call } from '../../store/call.ts';
import { sameValue } from '../../store/clone.ts';
import type { Change, Entry, EntryHead } from '../../store/entry.ts';
import type { Env, Timer } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { CommitLog } from '../../store/feed/commit-log.ts';
import { checkPosition, cursorExpired } from '../../store/feed/cursor.ts';
import { Doorbell } from '../../store/feed/doorbell.ts';
import { planCommit, type Standing } from '../../store/feed/plan.ts';
import type { KeyRange } from '../../store/keys.ts';
import type {
  CommitOutcome,
  Feed,
  FeedPage,
  FeedState,
  Position,
  Write,
} from '../../store/primitives.ts';
import { randomId, WriteIds } from '../../store/version.ts';

const PAGE = 256;
const FEED_PAGE = 1_000;
const SWEEP_EVERY_MS = 30_000;
const DAY_MS = 86_400_000;
/** Counted for each remembered delete beside its key. */
const TOMBSTONE_OVERHEAD_BYTES = 96;

/**
 * What is known of a key: never changed once linked, so that a reader may hold it. Linked in the
 * order of (rev, pos): the list is the compacted change index, one node a key, tombstones included.
 */
interface Node<V> {
  readonly key: string;
  readonly rev: number;
  readonly pos: number;
  /** Absent for a tombstone. */
  readonly head: EntryHead | undefined;
  readonly value: V | undefined;
  /** When a tombstone was made, in ms. */
  readonly madeMs: number;
  previous: Node<V> | undefined;
  next: Node<V> | undefined;
  linked: boolean;
}

/** The engine behind `memory`: a map of nodes, a linked change index, and keys sorted on demand. */
export class MemoryEngine<V> implements Feed<V> {
  readonly #env: Env;
  readonly #ids: WriteIds;
  readonly #storeId: string;
  readonly #epoch: string;
  readonly #seed: number;
  readonly #nodes = new Map<string, Node<V>>();
  readonly #keys = new SortedKeys();
  readonly #log: CommitLog<V>;
  readonly #bell = new Doorbell();
  readonly #expiring = new Set<string>();
  readonly #tombstoneMs: number;
  readonly #tombstoneBytes: number;
  /** Tombstones, oldest first; those since replaced are passed over. */
  #tombstones: Node<V>[] = [];
  #tombstonesSize = 0;
  #oldest: Node<V> | undefined;
  #newest: Node<V> | undefined;
  #rev = 0;
  #floor = 0;
  #sweeper: Timer | undefined;
  #closed = false;

  constructor(
    env: Env,
    options: {
      readonly logBytes?: number;
      readonly tombstoneMs?: number;
      readonly tombstoneBytes?: number;
    },
  ) {
    this.#env = env;
    this.#ids = new WriteIds(env);
    this.#storeId = randomId(env);
    this.#epoch = randomId(env);
    this.#seed = Math.floor(env.random() * 2 ** 32);
    this.#log = new CommitLog(options.logBytes);
    this.#tombstoneMs = options.tombstoneMs ?? 7 * DAY_MS;
    this.#tombstoneBytes = options.tombstoneBytes ?? 8 * 1024 * 1024;
  }

  readValue(key: string): V | undefined {
    return this.#live(key)?.value;
  }

  readOne(key: string): Entry<V> | undefined {
    const node = this.#live(key);
    return node && entryOf(node);
  }

  *scan(range: KeyRange): Generator<Entry<V>> {
    for (const page of this.#pages(range)) for (const node of page) yield entryOf(node);
  }

  *scanKeys(range: KeyRange): Generator<string> {
    for (const page of this.#pages(range)) for (const node of page) yield node.key;
  }

  async *scanPages(range: KeyRange, call: Call): AsyncGenerator<Entry<V>[]> {
    for (const page of this.#pages(range)) {
      call.throwIfEnded();
      yield page.map(entryOf);
    }
  }

  async *scanKeyPages(range: KeyRange, call: Call): AsyncGenerator<string[]> {
    for (const page of this.#pages(range)) {
      call.throwIfEnded();
      yield page.map((node) => node.key);
    }
  }

  commit(operation: string, writes: readonly Write<V>[]): CommitOutcome {
    const nowMs = this.#env.now();
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
    const changes: Change<V>[] = [];
    for (const planned of plan.changes) {
      const { key, rev, pos } = planned;
      if (planned.type === 'set') {
        const { value } = planned.write;
        this.#put({
          key,
          rev,
          pos,
          head: planned.head,
          value,
          madeMs: 0,
          previous: undefined,
          next: undefined,
          linked: true,
        });
        changes.push({ ...planned.head, type: 'set', value });
      } else {
        this.#put({
          key,
          rev,
          pos,
          head: undefined,
          value: undefined,
          madeMs: nowMs,
          previous: undefined,
          next: undefined,
          linked: true,
        });
        changes.push({ type: 'delete', key, rev });
      }
    }
    this.#log.append(changes, this.#position(plan.rev));
    this.#bell.ring();
    return { rev: plan.rev, outcomes: plan.outcomes };
  }

  state(): FeedState {
    return { storeId: this.#storeId, head: this.#position(this.#rev) };
  }

  epochOf(): string {
    return this.#epoch;
  }

  async *read(after: Position | undefined, call: Call): AsyncGenerator<FeedPage<V>> {
    if (after !== undefined) this.#check(call.operation, after);
    if ((after?.rev ?? 0) === this.#rev) return;
    const single = after === undefined ? undefined : this.#log.at(after.rev + 1);
    if (single !== undefined) yield single;
    else yield* this.#readIndex(after?.rev ?? 0, after === undefined, call);
  }

  /**
   * Follows the change index from a revision to the head. Commits made meanwhile move their keys
   * to the end, where this reader meets them again: at the moment it runs out of nodes it has
   * seen every key's last change, so that the whole is exactly the head's state.
   */
  async *#readIndex(afterRev: number, fresh: boolean, call: Call): AsyncGenerator<FeedPage<V>> {
    const startRev = this.#rev;
    let last: Node<V> | undefined = this.#newest;
    while (last !== undefined && last.rev > afterRev) last = last.previous;
    for (;;) {
      call.throwIfEnded();
      this.#checkOpen();
      // A delete forgotten ahead of this reader would leave its key standing.
      if (this.#floor > Math.max(last?.rev ?? afterRev, fresh ? startRev : 0))
        throw cursorExpired(
          call.operation,
          this.#position(afterRev),
          'deletes were forgotten while it was read',
        );
      const nowMs = this.#env.now();
      const changes: Change<V>[] = [];
      let node = this.#following(last);
      for (; node !== undefined && changes.length < FEED_PAGE; node = node.next) {
        last = node;
        if (node.head !== undefined && !isExpired(node.head, nowMs))
          changes.push({ ...node.head, type: 'set', value: node.value as V });
        // Who starts from nothing needs no deletes but those of keys that this read may have given.
        else if (!fresh || node.rev > startRev)
          changes.push({ type: 'delete', key: node.key, rev: node.rev });
      }
      if (node === undefined) {
        yield { changes, end: this.#position(this.#rev) };
        return;
      }
      yield { changes };
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
    this.#nodes.clear();
    this.#keys.clear();
    this.#log.clear();
    this.#oldest = undefined;
    this.#newest = undefined;
    this.#tombstones = [];
  }

  #checkOpen(): void {
    if (this.#closed)
      throw new StrataError('closed', 'watch: the store is closed', { operation: 'watch' });
  }

  #live(key: string): Node<V> | undefined {
    const node = this.#nodes.get(key);
    if (node === undefined || node.head === undefined) return undefined;
    return node.head.expiresAt !== undefined && isExpired(node.head, this.#env.now())
      ? undefined
      : node;
  }

  #standing(key: string, nowMs: number): Standing<V> | undefined {
    const node = this.#nodes.get(key);
    if (node === undefined) return undefined;
    const { rev, pos, head } = node;
    if (head === undefined || isExpired(head, nowMs)) return { rev, pos };
    return head.immutable
      ? { rev, pos, live: head, sameValue: (value) => sameValue(node.value, value) }
      : { rev, pos, live: head };
  }

  /** Links a node at the end of the change index, in place of the key's former one. */
  #put(node: Node<V>): void {
    const former = this.#nodes.get(node.key);
    if (former !== undefined) this.#unlink(former);
    node.previous = this.#newest;
    if (this.#newest === undefined) this.#oldest = node;
    else this.#newest.next = node;
    this.#newest = node;
    this.#nodes.set(node.key, node);
    this.#index(node, former);
  }

  #index(node: Node<V>, former: Node<V> | undefined): void {
    const { key, head } = node;
    if (head === undefined) {
      if (former?.head !== undefined) this.#keys.delete(key);
      this.#remember(node);
    } else if (former?.head === undefined) this.#keys.add(key);
    if (head?.expiresAt === undefined) {
      if (former?.head?.expiresAt !== undefined) this.#expiring.delete(key);
      return;
    }
    this.#expiring.add(key);
    this.#sweeper ??= this.#env.setTimer(() => this.#sweep(), SWEEP_EVERY_MS, { background: true });
  }

  /** Takes a node out; it keeps its `previous`, by which a reader that holds it finds its way back. */
  #unlink(node: Node<V>): void {
    node.linked = false;
    if (node.previous === undefined) this.#oldest = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#newest = node.previous;
    else node.next.previous = node.previous;
  }

  /** The node after one that may have been taken out meanwhile. */
  #following(node: Node<V> | undefined): Node<V> | undefined {
    let at = node;
    while (at !== undefined && !at.linked) at = at.previous;
    return at === undefined ? this.#oldest : at.next;
  }

  #remember(tombstone: Node<V>): void {
    this.#tombstones.push(tombstone);
    this.#tombstonesSize += TOMBSTONE_OVERHEAD_BYTES + tombstone.key.length;
    const oldest = this.#tombstones[0] as Node<V>;
    if (
      this.#tombstonesSize > this.#tombstoneBytes ||
      oldest.madeMs <= tombstone.madeMs - this.#tombstoneMs
    )
      this.#forget();
  }

  /** Forgets the oldest deletes; a reader from before them can then not go on. */
  #forget(): void {
    const keepSinceMs = this.#env.now() - this.#tombstoneMs;
    // Well below the bound, so that the next deletes do not each come here.
    const keepBytes =
      this.#tombstonesSize > this.#tombstoneBytes
        ? this.#tombstoneBytes * 0.75
        : this.#tombstoneBytes;
    let forgotten = 0;
    for (const node of this.#tombstones) {
      if (node.linked && this.#tombstonesSize <= keepBytes && node.madeMs > keepSinceMs) break;
      forgotten++;
      this.#tombstonesSize -= TOMBSTONE_OVERHEAD_BYTES + node.key.length;
      if (!node.linked) continue;
      this.#unlink(node);
      this.#nodes.delete(node.key);
      this.#floor = Math.max(this.#floor, node.rev);
    }
    this.#tombstones = this.#tombstones.slice(forgotten);
  }

  /**
   * Removes expired values. A tombstone stays in the place of each, because a reader that
   * resumes may hold an older value without an expiry.
   */
  #sweep(): void {
    this.#sweeper = undefined;
    const nowMs = this.#env.now();
    for (const key of this.#expiring) {
      const node = this.#nodes.get(key);
      if (node?.head === undefined || !isExpired(node.head, nowMs)) continue;
      this.#expiring.delete(key);
      this.#keys.delete(key);
      const tombstone: Node<V> = { ...node, head: undefined, value: undefined, madeMs: nowMs };
      node.linked = false;
      if (node.previous === undefined) this.#oldest = tombstone;
      else node.previous.next = tombstone;
      if (node.next === undefined) this.#newest = tombstone;
      else node.next.previous = tombstone;
      this.#nodes.set(key, tombstone);
      this.#remember(tombstone);
    }
    this.#forget();
    if (this.#expiring.size > 0)
      this.#sweeper = this.#env.setTimer(() => this.#sweep(), SWEEP_EVERY_MS, { background: true });
  }

  *#pages(range: KeyRange): Generator<Node<V>[]> {
    let after: string | undefined;
    let left = range.limit;
    while (left > 0) {
      const keys = this.#keys.page(range, after, Math.min(PAGE, left));
      if (keys.length === 0) return;
      after = keys[keys.length - 1];
      const nodes = keys.map((key) => this.#live(key)).filter((node) => node !== undefined);
      left -= nodes.length;
      yield nodes;
    }
  }

  #check(operation: string, after: Position): void {
    checkPosition(operation, after, {
      head: this.#position(this.#rev),
      floor: this.#floor,
      idOf: (rev) => this.#idOf(rev),
    });
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
    let mixed = Math.imul(rev ^ this.#seed, 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca77);
    return ((mixed ^ (mixed >>> 13)) >>> 0).toString(36);
  }
}

function entryOf<V>(node: Node<V>): Entry<V> {
  return { ...(node.head as EntryHead), value: node.value as V };
}

function isExpired(head: EntryHead, nowMs: number): boolean {
  return head.expiresAt !== undefined && head.expiresAt <= nowMs;
}
