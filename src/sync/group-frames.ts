import type { Call } from '../store/call.ts';
import type { Change, Entry } from '../store/entry.ts';
import { utf8Length } from '../store/keys.ts';
import type { Position } from '../store/primitives.ts';
import { OperationsWriter } from './batch-operations.ts';
import { OrderedChanges } from './ordered-changes.ts';
import { isPlain } from './plain-shape.ts';
import { encodeMessage, MAX_PIECE_BYTES } from './protocol.ts';
import type { Scope } from './scope.ts';
import type { SourceSide } from './sides.ts';
import { rangeOf } from './stamps.ts';

/** One frame of a group, ready to be sent to any number of subscribers. */
export interface GroupFrame {
  readonly bytes: Uint8Array;
  readonly operations: number;
  /** Where the group begins: 0 as well for a fresh one. */
  readonly from: number;
  /** Whether a subscriber that holds nothing of the group may begin with this frame. */
  readonly begins: boolean;
  /** On the last frame: where a subscriber stands after it. */
  readonly end: Position | undefined;
}

export interface GroupLimits {
  /** A frame is closed when it reaches so many bytes or operations. */
  readonly batchBytes: number;
  readonly batchKeys: number;
  /** Of a group with an order, so many bytes are held back for it. */
  readonly orderedBytes: number;
}

export interface GroupSource {
  readonly side: SourceSide;
  readonly storeId: string;
  readonly scope: Scope;
  readonly limits: GroupLimits;
  /** Makes the groups, where they bring what can be reached. */
  readonly walked?: WalkedSource;
}

/** A source of which only what can be reached is sent. */
export interface WalkedSource {
  /** As `GroupReader.read`. */
  read(
    operations: OperationsWriter,
    after: Position | undefined,
    call: Call,
  ): AsyncGenerator<GroupFrame, void>;
  /** As `GroupReader.mend`. */
  mend(
    operations: OperationsWriter,
    keys: readonly string[],
    since: Position,
    call: Call,
  ): AsyncGenerator<GroupFrame, void>;
  /** Looks at the head: where that is, and which keys may differ from what was at a position. */
  look(
    since: Position | undefined,
    call: Call,
  ): Promise<{ readonly at: Position; readonly changed: readonly string[] | 'all' }>;
  /** Whether a key belongs to it by now. */
  reaches(key: string): boolean;
}

/** Reads a store for subscribers, one group at a time; its buffers serve every group again. */
export class GroupReader {
  readonly #source: GroupSource;
  readonly #operations = new OperationsWriter();

  constructor(source: GroupSource) {
    this.#source = source;
  }

  /**
   * Reads what follows a position (`undefined`: the whole state) and gives it as the frames of one
   * group: a large step through the index, or small commits while they fit into one frame, of
   * each key the last. Gives nothing when nothing follows. Errors are those of `feed.read`.
   */
  async *read(after: Position | undefined, call: Call): AsyncGenerator<GroupFrame, void> {
    const { side, scope, walked } = this.#source;
    const { feed } = side;
    if (walked !== undefined) {
      yield* walked.read(this.#operations, after, call);
      return;
    }
    if (after === undefined && scope.prefixes !== undefined && isPlain(side.primitives.shape)) {
      yield* this.#readPrefixes(scope.prefixes, call);
      return;
    }
    const group = new GroupEncoder(this.#source, this.#operations, after);
    let at = after;
    for (;;) {
      // Noted before the read: what is written as an empty store is read belongs to what follows.
      const head = at === undefined ? (await feed.state(call)).head : undefined;
      if (head !== undefined) group.beganAt(head);
      let end: Position | undefined;
      let isFirst = true;
      for await (const page of feed.read(at, call)) {
        end = page.end;
        if (isFirst && end !== undefined) group.merge(page.changes);
        else yield* framesOf(group, page.changes);
        isFirst = false;
      }
      // An empty store: its whole state is nothing, at its head.
      at = end ?? head;
      if (at === undefined) break;
      group.reached(at);
      if (group.isFull) break;
    }
    if (group.position !== undefined) yield* group.finish(group.position);
  }

  /**
   * Gives one group that brings some keys as they are now, then everything that changed after a
   * position up to a head that none of that is beyond: so a copy that is the same as the store in
   * all other keys, at any moment since that position, becomes the store's state at that head.
   */
  async *mend(
    keys: readonly string[],
    since: Position,
    call: Call,
  ): AsyncGenerator<GroupFrame, void> {
    const { side, scope, walked } = this.#source;
    if (walked !== undefined) {
      yield* walked.mend(this.#operations, keys, since, call);
      return;
    }
    const { entries } = side;
    const maxBytes = entries.capabilities.maxKeyBytes;
    const group = new GroupEncoder(this.#source, this.#operations, since);
    for (let start = 0; start < keys.length; start += MEND_KEYS) {
      const some = keys.slice(start, start + MEND_KEYS);
      // What a subscriber may not see, or no store can hold, is not there.
      const seen = some.filter((key) => scope.accepts(key) && utf8Length(key) <= maxBytes);
      const found = new Map<string, Entry<unknown>>();
      for (const entry of await entries.readMany(seen, call))
        if (entry !== undefined) found.set(entry.key, entry);
      for (const key of some) {
        group.addAsIs(key, found.get(key), since.rev);
        if (group.ready.length > 0) yield* group.ready.splice(0);
      }
    }
    yield* this.#catchUp(group, since, call);
  }

  /**
   * The whole state of a narrow scope, by what it is in the order of keys: the rest of the store is
   * not read. The parts of a scan are of different moments; what changed meanwhile ends the group.
   */
  async *#readPrefixes(prefixes: readonly string[], call: Call): AsyncGenerator<GroupFrame, void> {
    const { side, scope } = this.#source;
    const { head } = await side.feed.state(call);
    const group = new GroupEncoder(this.#source, this.#operations, undefined);
    group.beganAt(head);
    for (const prefix of prefixes) {
      const range = rangeOf({ lower: '', upper: undefined }, prefix);
      for await (const page of side.entries.scan(range, call)) {
        call.throwIfEnded();
        for (const entry of page) {
          if (scope.accepts(entry.key)) group.addAsIs(entry.key, entry, head.rev);
          if (group.ready.length > 0) yield* group.ready.splice(0);
        }
      }
    }
    yield* this.#catchUp(group, head, call);
  }

  /** Ends a group with all that changed since a position, up to a head that nothing in it is beyond. */
  async *#catchUp(
    group: GroupEncoder,
    since: Position,
    call: Call,
  ): AsyncGenerator<GroupFrame, void> {
    const { feed } = this.#source.side;
    const { head } = await feed.state(call);
    let at = since;
    // Another epoch is met by the read.
    while (at.epoch !== head.epoch || at.rev < head.rev) {
      let end: Position | undefined;
      for await (const page of feed.read(at, call)) {
        end = page.end;
        yield* framesOf(group, page.changes);
      }
      if (end === undefined) break;
      at = end;
    }
    yield* group.finish(at);
  }
}

/** Takes in a part of a commit, and gives each frame as it is complete: a page may have many large values. */
function* framesOf(
  group: GroupEncoder,
  changes: readonly Change<unknown>[],
): Generator<GroupFrame, void> {
  for (const change of changes) {
    group.add(change);
    if (group.ready.length > 0) yield* group.ready.splice(0);
  }
}

/** Turns changes into the frames of one group. */
export class GroupEncoder {
  readonly #source: GroupSource;
  readonly #fresh: boolean;
  readonly #from: number;
  readonly #operations: OperationsWriter;
  /** Frames that are complete. */
  readonly ready: GroupFrame[] = [];
  /** Changes of whole commits that are not yet encoded: of each key the last, in order. */
  readonly #merged: Map<string, Change<unknown>> = new Map();
  readonly #ordered: OrderedChanges | undefined;
  #mergedBytes = 0;
  #commits = 0;
  #retractsAbove = -1;
  #part = 0;
  #frames = 0;
  /** Where the changes added so far lead to, at the end of a commit. */
  position: Position | undefined;

  constructor(source: GroupSource, operations: OperationsWriter, after: Position | undefined) {
    this.#source = source;
    this.#operations = operations;
    // A group before may have been given up in the middle.
    operations.clear();
    this.#fresh = after === undefined;
    this.#from = after?.rev ?? 0;
    const { scope, limits } = source;
    this.#ordered = scope.order && new OrderedChanges(scope.order, limits.orderedBytes);
  }

  /** The whole state was begun here: what did not change since then can have been given only as it is. */
  beganAt({ rev }: Position): void {
    this.#retractsAbove = rev;
  }

  /** Whether the group should end here rather than take in another commit. */
  get isFull(): boolean {
    const { batchBytes, batchKeys } = this.#source.limits;
    return (
      this.#frames > 0 ||
      this.#operations.bytes + this.#mergedBytes + (this.#ordered?.bytes ?? 0) >= batchBytes ||
      this.#operations.count + this.#merged.size >= batchKeys ||
      this.#commits >= MAX_COMMITS
    );
  }

  reached(position: Position): void {
    this.position = position;
    this.#commits++;
  }

  /** Takes in a whole commit. */
  merge(changes: readonly Change<unknown>[]): void {
    const merged = this.#merged;
    for (const change of changes) {
      const { key } = change;
      if (!this.#source.scope.accepts(key)) continue;
      const former = merged.get(key);
      if (former !== undefined) {
        merged.delete(key);
        this.#mergedBytes -= roughBytes(former);
      }
      merged.set(key, change);
      this.#mergedBytes += roughBytes(change);
    }
  }

  /** Takes in part of a commit that is too large to be held. */
  add(change: Change<unknown>): void {
    if (this.#merged.size > 0) this.#encodeMerged();
    if (this.#source.scope.accepts(change.key)) this.#place(change);
  }

  /** Takes in what a key holds, or that it is not there. */
  addAsIs(key: string, entry: Entry<unknown> | undefined, rev: number): void {
    this.#place(entry === undefined ? { type: 'delete', key, rev } : { ...entry, type: 'set' });
  }

  /** The last frames. */
  finish(end: Position): GroupFrame[] {
    this.#encodeMerged();
    for (const change of this.#ordered?.drain() ?? []) this.#encode(change);
    this.#close(end);
    return this.ready;
  }

  #encodeMerged(): void {
    for (const change of this.#merged.values()) this.#place(change);
    this.#merged.clear();
    this.#mergedBytes = 0;
  }

  /** Finds what a change comes to in this scope, and its place in the group. */
  #place(change: Change<unknown>): void {
    const told = this.#isHeld(change) ? change : this.#retraction(change);
    if (told === undefined) return;
    if (this.#ordered === undefined) this.#encode(told);
    else for (const next of this.#ordered.add(told)) this.#encode(next);
  }

  #isHeld(change: Change<unknown>): boolean {
    return change.type === 'delete' || this.#source.scope.holds?.(change) !== false;
  }

  /** The subscriber may have the entry from before, when it belonged to the scope. */
  #retraction({ key, rev }: Change<unknown>): Change<unknown> | undefined {
    const isNew = rev === undefined || rev > this.#retractsAbove;
    return isNew ? { type: 'delete', key, rev: rev ?? 0 } : undefined;
  }

  #encode(change: Change<unknown>): void {
    const { side, storeId, limits } = this.#source;
    const operations = this.#operations;
    if (change.type === 'delete') operations.addDelete(change.key, change.rev);
    else {
      const value = side.toBytes(change.key, change.value);
      const epoch = side.feed.epochOf(change.rev ?? 0);
      if (value.length > MAX_PIECE_BYTES) {
        if (operations.count > 0) this.#close(undefined);
        this.#addPieces(value);
        operations.addSet(change, 'pieced', storeId, epoch);
      } else operations.addSet(change, value, storeId, epoch);
    }
    if (
      operations.bytes >= limits.batchBytes ||
      operations.count >= limits.batchKeys ||
      operations.isFull
    )
      this.#close(undefined);
  }

  #addPieces(value: Uint8Array): void {
    for (let offset = 0; offset < value.length; offset += MAX_PIECE_BYTES) {
      const bytes = value.subarray(offset, offset + MAX_PIECE_BYTES);
      this.#push(encodeMessage({ type: 'piece', offset, bytes }), 0, undefined);
    }
  }

  #close(end: Position | undefined): void {
    const operations = this.#operations.finish();
    const bytes = encodeMessage(
      {
        type: 'batch',
        fresh: this.#fresh,
        from: this.#from,
        part: this.#part++,
        end,
        operations: NOTHING,
      },
      operations,
    );
    this.#push(bytes, operations.count, end);
    operations.clear();
  }

  #push(bytes: Uint8Array, operations: number, end: Position | undefined): void {
    const begins = this.#frames++ === 0;
    this.ready.push({ bytes, operations, from: this.#from, begins, end });
  }
}

const NOTHING = new Uint8Array(0);
/** A few keys are read at once. */
const MEND_KEYS = 64;
/** So many commits at most are waited for before what they come to goes out. */
const MAX_COMMITS = 4_096;
/** Counted for a change beside its key and value: about what it takes in a frame. */
const ROUGH_BYTES = 10;

function roughBytes(change: Change<unknown>): number {
  const size =
    change.type === 'set' && change.value instanceof Uint8Array ? change.value.length : 0;
  return ROUGH_BYTES + change.key.length + size;
}
