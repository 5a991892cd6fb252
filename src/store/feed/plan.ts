import { sameValue } from '../clone.ts';
import type { EntryHead } from '../entry.ts';
import { failure } from '../errors.ts';
import type { SetWrite, Write, WriteOutcome } from '../primitives.ts';
import type { WriteIds } from '../version.ts';

/** Where a key stands in the change index: its record's revision and place within that commit. */
export interface IndexPlace {
  readonly rev: number;
  readonly pos: number;
}

/** What a store holds under a key: a live entry, or what is left of one (a tombstone, an expired entry). */
export interface Standing<V> extends IndexPlace {
  /** Absent for a tombstone or an expired entry. */
  readonly live?: EntryHead | undefined;
  /** Whether the live value equals another; asked for immutable entries only. */
  sameValue?(value: V): boolean;
}

/** One record of a commit: at most one a key, in the order of the last writes. */
export type Planned<V> = PlannedSet<V> | PlannedDelete;

export interface PlannedSet<V> extends IndexPlace {
  readonly type: 'set';
  readonly key: string;
  readonly write: SetWrite<V>;
  /** Number of the write id; `WriteIds` turns it into text or bytes. */
  readonly writeId: number;
  readonly head: EntryHead;
  /** The index record that this one replaces. */
  readonly replaces?: IndexPlace | undefined;
}

export interface PlannedDelete extends IndexPlace {
  readonly type: 'delete';
  readonly key: string;
  readonly replaces: IndexPlace;
}

export interface CommitPlan<V> {
  /** The revision of this commit; `undefined` when nothing changes and none is to be made. */
  readonly rev: number | undefined;
  readonly changes: readonly Planned<V>[];
  /** One a write. */
  readonly outcomes: readonly WriteOutcome[];
}

/** What a plan is made from. `standing` is asked once a key. */
export interface PlanInput<V> {
  readonly operation: string;
  readonly writes: readonly Write<V>[];
  /** The revision that this commit gets: the head's plus one. */
  readonly rev: number;
  readonly nowMs: number;
  readonly ids: WriteIds;
  /** Place of the first change, where others of the same commit come before; default 0. */
  readonly firstPos?: number;
  standing(key: string): Standing<V> | undefined;
}

/** The state of one key while a plan is being made; what has changed becomes the planned record itself. */
interface Slot<V> {
  type: 'set' | 'delete';
  readonly key: string;
  readonly rev: number;
  pos: number;
  readonly replaces: Standing<V> | undefined;
  /** The last write so far that changed the key; absent after a delete. */
  write: SetWrite<V> | undefined;
  writeId: number;
  head: EntryHead | undefined;
  /** Until a write changes the key, what stood before the batch. */
  live: EntryHead | undefined;
  /** Index of the last write that changed the key; -1 while unchanged. */
  order: number;
}

/**
 * Decides what a batch does, without touching anything: checks the conditions in order against the
 * state that each write replaces, folds writes to one key together, and gives revisions, places
 * and outcomes. Pure; every driver applies its result in one transaction.
 *
 * Errors: `conflict`, naming the key, for a failed condition, or a different value for an
 * immutable entry.
 */
export function planCommit<V>(input: PlanInput<V>): CommitPlan<V> {
  const { writes } = input;
  const slots: Slot<V>[] = [];
  const outcomes: WriteOutcome[] = [];
  const keys = writes.length > 1 ? new DistinctKeys() : undefined;
  // Made for the first key that comes again, which in most batches none does.
  let byKey: Map<string, Slot<V>> | undefined;
  for (let order = 0; order < writes.length; order++) {
    const write = writes[order] as Write<V>;
    let slot: Slot<V> | undefined;
    if (keys?.add(write.key, slots, slots.length) === false) {
      byKey ??= new Map(slots.map((known) => [known.key, known]));
      slot = byKey.get(write.key);
    }
    if (slot === undefined) {
      slot = openSlot(input, write.key);
      slots.push(slot);
      byKey?.set(write.key, slot);
    }
    if (write.if !== undefined) checkCondition(input.operation, write, slot.live);
    outcomes.push(
      write.type === 'set' ? planSet(input, write, slot, order) : planDelete(slot, order),
    );
  }
  if (byKey !== undefined) slots.sort((a, b) => a.order - b.order);
  const changes = collect(slots, input.firstPos ?? 0);
  return { rev: changes.length === 0 ? undefined : input.rev, changes, outcomes };
}

/**
 * Knows which keys of a batch have come. In order, as those of a scan or an import, they cost a
 * comparison each; so do those before the first, as the cursor that goes with what was replicated.
 */
export class DistinctKeys {
  #first: string | undefined;
  #last = '';
  /** Made for the first key that lies between others. */
  #all: Set<string> | undefined;

  /** Takes a key; false when it is one of the first `count` of `before`, which are all that came so far. */
  add(key: string, before: readonly { readonly key: string }[], count: number): boolean {
    if (this.#all === undefined) {
      if (this.#first === undefined) {
        this.#first = key;
        this.#last = key;
        return true;
      }
      if (key > this.#last) {
        this.#last = key;
        return true;
      }
      if (key < this.#first) {
        this.#first = key;
        return true;
      }
      this.#all = new Set();
      for (let at = 0; at < count; at++) this.#all.add((before[at] as { key: string }).key);
    }
    const { size } = this.#all;
    return this.#all.add(key).size > size;
  }
}

function openSlot<V>(input: PlanInput<V>, key: string): Slot<V> {
  const replaces = input.standing(key);
  return {
    type: 'delete',
    key,
    rev: input.rev,
    pos: 0,
    replaces,
    write: undefined,
    writeId: 0,
    head: undefined,
    live: replaces?.live,
    order: -1,
  };
}

/** Fails with `conflict` unless a write may replace what is live under its key. */
export function checkCondition<V>(
  operation: string,
  write: Write<V>,
  live: EntryHead | undefined,
): void {
  const condition = write.if;
  if (condition === undefined) return;
  const { key } = write;
  if (condition === 'absent') {
    if (live === undefined) return;
    throw failure(
      'conflict',
      operation,
      `${JSON.stringify(key)} exists, and the write wants it absent`,
      { key, details: { version: live.version } },
    );
  }
  if (live?.version === condition.version) return;
  const found = live === undefined ? 'does not exist' : `has the version ${live.version}`;
  throw failure(
    'conflict',
    operation,
    `${JSON.stringify(key)} ${found}, and the write wants ${condition.version}`,
    { key, details: { version: live?.version } },
  );
}

function planSet<V>(
  input: PlanInput<V>,
  write: SetWrite<V>,
  slot: Slot<V>,
  order: number,
): WriteOutcome {
  const { live } = slot;
  if (live?.immutable === true && write.origin === undefined) {
    // Content under its own name: writing it again is no change, other content is a mistake.
    if (write.immutable === true && isRepeat(write, slot)) return { existed: true, entry: live };
    const { operation } = input;
    throw failure(
      'conflict',
      operation,
      `${JSON.stringify(write.key)} is immutable and holds another value`,
      { key: write.key, details: { version: live.version } },
    );
  }
  const writeId = input.ids.next();
  const head = headOf(write, input.ids.text(writeId), input.rev, input.nowMs);
  slot.live = write.expiresAt !== undefined && write.expiresAt <= input.nowMs ? undefined : head;
  slot.type = 'set';
  slot.write = write;
  slot.writeId = writeId;
  slot.head = head;
  slot.order = order;
  return { existed: live !== undefined, entry: head };
}

/** Whether a set brings the value that its key already has. */
function isRepeat<V>(write: SetWrite<V>, slot: Slot<V>): boolean {
  return slot.order < 0
    ? slot.replaces?.sameValue?.(write.value) === true
    : sameValue(slot.write?.value, write.value);
}

function planDelete<V>(slot: Slot<V>, order: number): WriteOutcome {
  if (slot.live === undefined) return { existed: false };
  slot.live = undefined;
  slot.type = 'delete';
  slot.order = order;
  return { existed: true };
}

/** Everything of an entry but its value. */
export function headOf<V>(
  write: SetWrite<V>,
  version: string,
  rev: number,
  nowMs: number,
): EntryHead {
  const { key, origin } = write;
  const modifiedAt = write.modifiedAt ?? nowMs;
  // Written out, so that the engine makes room for all of it at once: there are very many of these.
  const head: { -readonly [K in keyof EntryHead]: EntryHead[K] } =
    origin === undefined
      ? { key, version, rev, modifiedAt }
      : { key, version, rev, modifiedAt, origin };
  if (write.expiresAt !== undefined) head.expiresAt = write.expiresAt;
  if (write.immutable) head.immutable = true;
  if (write.meta !== undefined) head.meta = write.meta;
  return head;
}

/** Gives what changed its place in the commit. */
function collect<V>(slots: readonly Slot<V>[], firstPos: number): readonly Planned<V>[] {
  const changed = slots.every(isChanged) ? slots : slots.filter(isChanged);
  changed.forEach((slot, pos) => {
    slot.pos = firstPos + pos;
  });
  return changed as readonly Planned<V>[];
}

/** A key that the batch both made and removed leaves nothing behind. */
function isChanged<V>({ order, type, replaces }: Slot<V>): boolean {
  return order >= 0 && (type === 'set' || replaces?.live !== undefined);
}
