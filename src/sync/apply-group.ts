import type { Awaitable } from '../store/awaitable.ts';
import type { Call } from '../store/call.ts';
import type { Entry } from '../store/entry.ts';
import { isStrataError, StrataError } from '../store/errors.ts';
import type { KeyRange } from '../store/keys.ts';
import { FIRST_USER_KEY, intersect, prefixBounds } from '../store/keys.ts';
import { packedCommits } from '../store/packed-commits.ts';
import type { CommitOutcome, DeleteWrite, Position, SetWrite, Write } from '../store/primitives.ts';
import {
  type CursorRecord,
  otherSource,
  readRecord,
  recordKey,
  recordWrite,
  type StoredRecord,
} from './cursor-record.ts';
import { isPacked, type Operation, type SetOperation, toWrites } from './operations.ts';
import type { AnySide } from './sides.ts';

/** A whole group as it came: brings any state from `from` on to exactly the state at `to`. */
export interface Group {
  /** Brings the whole state: what it does not name is gone. */
  readonly fresh: boolean;
  /** Brings all that a comparison has shown to differ, and what changed since it began. */
  readonly compared?: true;
  readonly from: number;
  readonly to: Position;
  readonly writes: readonly Operation<unknown>[];
  readonly deletes: boolean;
  /** The writes were too many to be held: they wait in the local store, and `writes` is empty. */
  readonly staged?: true;
}

/** The source that a group comes from. */
export interface GroupOrigin {
  readonly sourceId: string;
  readonly scope: string;
  /** Version of the cursor record when the connection was made, where there was one. */
  readonly askedOver: string | undefined;
  /** The local store's own id, where it has a history that others may follow. */
  readonly ownId?: string | undefined;
}

/** What a group did to the local store. */
export interface Applied {
  readonly record: StoredRecord;
  /** What changed, each key once, in order; deletes only of what was there. */
  readonly changes: readonly Operation<unknown>[];
  /** Of a staged group: the keys that changed, in order. */
  readonly changedKeys?: ReadonlySet<string>;
}

/** What a commit of unknown outcome was to change: it may turn out to have done so. */
export interface Intended {
  changes?: readonly Operation<unknown>[] | undefined;
  changedKeys?: ReadonlySet<string> | undefined;
}

/** Brings a group into the store over a cursor. */
export type CommitGroup = (over: StoredRecord | undefined) => Promise<Applied>;

/** So often a condition may be lost to other writers of the local store. */
const MAX_TRIES = 100;
/** A few keys are read at once, to see which of them are copies. */
const READ_KEYS = 1_000;

/**
 * Applies a group in one commit together with the cursor, over the cursor known. When another tab
 * or process has moved the cursor meanwhile, that is taken up instead: the cursor never goes back.
 * Resolves with `undefined` when the copy now stands where this group cannot be applied, so that a
 * resume from the stored cursor is needed.
 *
 * `own` is the version of the cursor that this subscription left, when `known` may be another's.
 * `intended` is kept from one try to the next: what a snapshot has removed cannot be seen afterwards.
 *
 * Errors: those of the local store; `conflict` when it has become the copy of another source.
 */
export async function applyGroup(
  local: AnySide,
  prefix: string,
  group: Group,
  origin: GroupOrigin,
  known: StoredRecord | undefined,
  call: Call,
  own: string | undefined,
  intended: Intended = {},
  commit: CommitGroup = (over) => commitWhole(local, prefix, group, origin, over, intended, call),
): Promise<Applied | undefined> {
  let over = known;
  for (let tries = 1; ; tries++) {
    if (over !== undefined && over.record.sourceId !== origin.sourceId) throw otherSource();
    if (over !== undefined && isBehind(group, origin, over)) {
      if (tries === 1) await doubtCopies(local, prefix, group, over, call);
      return { record: over, changes: lastWrites(toWrites(group.writes)), ...told(intended) };
    }
    if (!group.fresh && !follows(group, origin, over)) return undefined;
    if (group.fresh && isOtherEpoch(group, over) && over?.version !== own) return undefined;
    try {
      return await commit(over);
    } catch (error) {
      if (!isStrataError(error, 'conflict') || tries >= MAX_TRIES) throw error;
      intended.changes = undefined;
      intended.changedKeys = undefined;
      // Another tab moved the cursor, or the application wrote a key that was to be deleted.
      if (error.key === recordKey(prefix) || error.key === undefined)
        over = await readRecord(local, prefix, call);
    }
  }
}

function told({ changes, changedKeys }: Intended): Partial<Applied> {
  return { ...(changes && { changes }), ...(changedKeys && { changedKeys }) };
}

async function commitWhole(
  local: AnySide,
  prefix: string,
  group: Group,
  origin: GroupOrigin,
  over: StoredRecord | undefined,
  intended: Intended,
  call: Call,
): Promise<Applied> {
  const plan = group.fresh
    ? await planFresh(local, prefix, group, origin, over, call)
    : await planStep(local, group, origin, over, call);
  const record = recordWrite(local, prefix, plan.record, over);
  intended.changes = plan.writes;
  const done = commitPlan(local, plan.writes, record, call);
  const { outcomes } = done instanceof Promise ? await call.guard(done) : done;
  const version = outcomes[outcomes.length - 1]?.entry?.version ?? '';
  return { record: { record: plan.record, version }, changes: plan.writes };
}

/** A store that is given sets packed takes them so, and nothing but sets with them. */
function commitPlan(
  { primitives }: AnySide,
  operations: readonly Operation<unknown>[],
  record: SetWrite<unknown>,
  call: Call,
): Awaitable<CommitOutcome> {
  const packed = packedCommits(primitives);
  if (packed === undefined || !operations.some(isPacked))
    return primitives.commit([...toWrites(operations), record], call);
  return packed.commit(operations as readonly SetOperation<unknown>[], record, call);
}

/**
 * Whether the copy is already at or beyond the end of the group, because another tab was quicker. A
 * snapshot counts, whatever the cursor was when it was asked for.
 */
export function isBehind(
  { to, fresh, compared }: Group,
  origin: GroupOrigin,
  over: StoredRecord,
): boolean {
  const { record, version } = over;
  if ((fresh || compared) && version === origin.askedOver) return false;
  const { scope } = origin;
  return record.scope === scope && record.at.epoch === to.epoch && record.at.rev >= to.rev;
}

/** Which of two epochs is the later one, nobody can tell: what another tab has moved to stays. */
function isOtherEpoch({ to }: Group, over: StoredRecord | undefined): boolean {
  return over !== undefined && over.record.at.epoch !== to.epoch;
}

/**
 * What another tab has applied may be older in a cache inside this store. A commit that must lose
 * its condition makes such a cache drop the keys; nothing is applied.
 */
async function doubtCopies(
  local: AnySide,
  prefix: string,
  group: Group,
  over: StoredRecord,
  call: Call,
): Promise<void> {
  const { shape, capabilities } = local.primitives;
  if (shape.parts === undefined || capabilities.conditional !== 'all') return;
  const lost = recordWrite(local, prefix, over.record, { ...over, version: 'never' });
  try {
    await local.primitives.commit([lost, ...lastWrites(toWrites(group.writes))], call);
  } catch (error) {
    if (!isStrataError(error, 'conflict')) throw error;
  }
}

function follows(
  { from, to, compared }: Group,
  { scope, askedOver }: GroupOrigin,
  over: StoredRecord | undefined,
): boolean {
  // What was compared counts only while nobody else has moved the copy.
  if (compared) return over !== undefined && over.version === askedOver;
  if (over === undefined || over.record.scope !== scope) return false;
  const { at } = over.record;
  return at.epoch === to.epoch && at.rev >= from;
}

interface Plan {
  /** Packed only where they are sets, all of them. */
  readonly writes: readonly Operation<unknown>[];
  readonly record: CursorRecord;
}

async function planStep(
  local: AnySide,
  group: Group,
  origin: GroupOrigin,
  over: StoredRecord | undefined,
  call: Call,
): Promise<Plan> {
  const record = nextRecord(local, group, origin, over);
  if (!group.deletes) return { writes: group.writes, record };
  const writes = lastWrites(toWrites(group.writes));
  const doomed = writes.filter((write) => write.type === 'delete').map((write) => write.key);
  const copies = new Map<string, DeleteWrite>();
  for (let start = 0; start < doomed.length; start += READ_KEYS) {
    const found = local.primitives.readMany(doomed.slice(start, start + READ_KEYS), call);
    for (const entry of found instanceof Promise ? await call.guard(found) : found)
      if (isCopy(entry, record)) copies.set(entry.key, deleteOf(local, entry));
  }
  const kept = writes.map((write) => (write.type === 'set' ? write : copies.get(write.key)));
  return { writes: kept.filter((write) => write !== undefined), record };
}

/** The whole state: entries that the copy has already stay, copies that it does not name go. */
async function planFresh(
  local: AnySide,
  prefix: string,
  group: Group,
  origin: GroupOrigin,
  over: StoredRecord | undefined,
  call: Call,
): Promise<Plan> {
  const record = nextRecord(local, group, origin, over);
  const sets = group.deletes
    ? lastWrites(toWrites(group.writes)).filter((write) => write.type === 'set')
    : group.writes;
  let wanted: Map<string, Write<unknown>> | undefined;
  const gone: Write<unknown>[] = [];
  for await (const page of local.primitives.scan(copiedRange(prefix), call)) {
    for (const entry of page) {
      if (!isCopy(entry, record)) continue;
      wanted ??= new Map(toWrites(sets).map((write) => [write.key, write]));
      const write = wanted.get(entry.key);
      if (write === undefined) gone.push(deleteOf(local, entry));
      else if (isSame(write, entry)) wanted.delete(entry.key);
    }
  }
  return { writes: wanted === undefined ? sets : [...wanted.values(), ...gone], record };
}

/** Where copies of a prefix are. */
export function copiedRange(prefix: string): KeyRange {
  const all = { lower: { key: FIRST_USER_KEY, inclusive: true } };
  const bounds = prefix === '' ? all : intersect(all, prefixBounds(prefix));
  return { ...bounds, reverse: false, limit: Number.POSITIVE_INFINITY };
}

/** The record after the group. Errors: `unsupported` for entries that the local store cannot keep as they are. */
function nextRecord(
  local: AnySide,
  { writes, to }: Group,
  { sourceId, scope, ownId }: GroupOrigin,
  over: StoredRecord | undefined,
): CursorRecord {
  const origins = new Set([sourceId, ...(over?.record.origins ?? [])]);
  noteOrigins(local, writes, origins, ownId);
  return { sourceId, scope, at: to, origins: [...origins] };
}

/** Adds the stores in which entries were first written. Errors: as above. */
export function noteOrigins(
  local: AnySide,
  writes: readonly Operation<unknown>[],
  origins: Set<string>,
  ownId: string | undefined,
): void {
  const { ttl } = local.primitives.capabilities;
  let last = '';
  for (const write of writes) {
    if (write.type === 'delete') continue;
    const store = write.type === 'sets' ? write.store : write.origin?.store;
    if (store !== undefined && store !== last) {
      last = store;
      if (last === ownId) throw loop();
      origins.add(last);
    }
    if (write.type === 'set' && write.expiresAt !== undefined && !ttl)
      throw new StrataError(
        'unsupported',
        `subscribe: ${JSON.stringify(write.key)} has an expiry, which ${local.primitives.shape.type} stores cannot keep`,
        { operation: 'subscribe', key: write.key },
      );
  }
}

/** A store that gets its own entries back would follow itself: nobody could say any more which entry is the newer. */
function loop(): StrataError {
  return new StrataError(
    'conflict',
    'subscribe: the source has entries that were first written in the local store: the stores follow each other in a circle',
    { operation: 'subscribe' },
  );
}

/** What each key comes to, in the order of the last writes. */
export function lastWrites(writes: readonly Write<unknown>[]): Write<unknown>[] {
  const last = new Map<string, Write<unknown>>();
  for (const write of writes) {
    last.delete(write.key);
    last.set(write.key, write);
  }
  return [...last.values()];
}

/** Whether an entry came from the source; those without an origin are the application's own. */
export function isCopy(
  entry: Entry<unknown> | undefined,
  { origins }: Pick<CursorRecord, 'origins'>,
): entry is Entry<unknown> {
  return entry?.origin !== undefined && origins.includes(entry.origin.store);
}

/** Whether a write brings what an entry is already. */
export function isSame(write: Write<unknown>, { origin }: Entry<unknown>): boolean {
  return (
    write.type === 'set' &&
    write.origin?.version === origin?.version &&
    write.origin?.rev === origin?.rev &&
    write.origin?.epoch === origin?.epoch &&
    write.origin?.store === origin?.store
  );
}

/** Removes exactly the entry that was seen. */
function deleteOf(local: AnySide, { key, version }: Entry<unknown>): DeleteWrite {
  const honoured = local.primitives.capabilities.conditional === 'all';
  return { type: 'delete', key, ...(honoured && { if: { version } }) };
}
