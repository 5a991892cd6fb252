import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Entry, Origin } from '../../store/entry.ts';
import { isStrataError } from '../../store/errors.ts';
import type { KeyRange } from '../../store/keys.ts';
import type { Write } from '../../store/primitives.ts';
import { addCounts, NO_COUNTS, type RepairCounts } from './events.ts';
import type { FirstStore } from './first-store.ts';
import { joinEntries } from './join-entries.ts';
import type { Mark, Member } from './member.ts';
import { copyOf, isStampOf, stampOf, toAdopted } from './stamps.ts';

/** So many keys are put right at once. */
export const FIX_KEYS = 256;

/** Every key, reserved ones included. */
export const ALL_KEYS: KeyRange = { reverse: false, limit: Number.POSITIVE_INFINITY };

/** Whether the first store is known to have deleted what a member with this mark still holds. */
export type WasDeleted<V> = (held: Entry<V>, mark: Mark | undefined) => boolean;

export interface Comparing<V> {
  readonly first: FirstStore<V>;
  readonly member: Member<V>;
  /** How far the member says it came. */
  readonly mark: Mark | undefined;
  /** Ends the comparison. */
  readonly life: Call;
  /** Runs one step while nothing else is written to the member. */
  alone<T>(step: () => Promise<T>): Promise<T>;
  /** Writes to the member, within such a step. */
  apply(writes: readonly Write<V>[]): Awaitable<unknown>;
  /** What is known beside the stamp of an entry. */
  readonly wasDeleted?: WasDeleted<V>;
  /** After each range, with the counts so far. */
  onProgress?(counts: RepairCounts): void;
}

/**
 * Compares a member with the first store, entry by entry in key order, and makes the member what the
 * first store is. What only the member has is taken into the first store, unless it is sure that the
 * first store once had it: then it was deleted there. Beside writes: what differs is read again from
 * both, while the member takes nothing else.
 */
export async function compareMember<V>(
  comparing: Comparing<V>,
  range: KeyRange = ALL_KEYS,
): Promise<RepairCounts> {
  const { first, member, life, onProgress } = comparing;
  let counts = NO_COUNTS;
  const sources = [first.member, member].map((store) =>
    store.pages(life, (call) => store.primitives.scan(range, call)),
  );
  let doubtful: string[] = [];
  const fix = async (): Promise<void> => {
    const keys = doubtful;
    doubtful = [];
    if (keys.length > 0) counts = addCounts(counts, await putRight(comparing, keys));
  };
  for await (const joined of joinEntries(sources)) {
    life.throwIfEnded();
    for (const { key, found } of joined) {
      if (key.startsWith(member.notePrefix)) continue;
      counts = { ...counts, compared: counts.compared + 1, joined: counts.joined + 1 };
      if (isSame(found[0], found[1])) continue;
      doubtful.push(key);
      if (doubtful.length >= FIX_KEYS) await fix();
    }
    onProgress?.(counts);
  }
  await fix();
  onProgress?.(counts);
  return counts;
}

/** Reads keys from both, while the member takes nothing else, and puts right those that differ; they are not counted as compared. */
export function putRight<V>(
  comparing: Comparing<V>,
  keys: readonly string[],
): Promise<RepairCounts> {
  return comparing.alone(() => fixKeys(comparing, keys));
}

function isSame<V>(theirs: Entry<V> | undefined, own: Entry<V> | undefined): boolean {
  return own !== undefined && theirs !== undefined && stampOf(own)?.version === theirs.version;
}

async function fixKeys<V>(
  { first, member, mark, apply, wasDeleted: isKnown }: Comparing<V>,
  keys: readonly string[],
): Promise<RepairCounts> {
  const [theirs, own] = await Promise.all(
    [first.member, member].map((store) =>
      store.ask('repair', (call) => store.primitives.readMany(keys, call)),
    ),
  );
  const writes: Write<V>[] = [];
  const adopted: Entry<V>[] = [];
  let copied = 0;
  for (const [at, key] of keys.entries()) {
    const right = theirs?.[at];
    const held = own?.[at];
    if (isSame(right, held)) continue;
    if (right !== undefined) {
      copied++;
      writes.push(copyOf(right, right.value, first.history));
    } else if (held !== undefined) {
      const isOver = wasDeleted(held, first, mark) || isKnown?.(held, mark) === true;
      if (isOver) writes.push({ type: 'delete', key });
      else adopted.push(held);
    }
  }
  if (writes.length > 0) await apply(writes);
  for (const entry of adopted) await adopt(first, [toAdopted(entry)]);
  return { ...NO_COUNTS, copied, deleted: writes.length - copied, adopted: adopted.length };
}

/** Whether the first store is sure to have had an entry, which it has no more. */
function wasDeleted<V>(held: Entry<V>, first: FirstStore<V>, mark: Mark | undefined): boolean {
  const stamp = stampOf(held);
  if (stamp === undefined) return false;
  if (isOfHistory(stamp, first)) return true;
  // The member once had exactly what the first store had in its present epoch.
  const wasEqual = mark?.storeId === first.storeId && mark.at.epoch === first.epoch;
  return wasEqual && isStampOf(stamp, first, stamp.epoch);
}

/** Whether the commit that gave a stamp is one that the first store has not lost, whatever its epoch is now. */
export function isOfHistory<V>(stamp: Origin, first: FirstStore<V>): boolean {
  return (
    isStampOf(stamp, first, first.epoch) || isStampOf(stamp, first, first.feed.epochOf(stamp.rev))
  );
}

/** Takes entries of others into the first store, where nobody has written newer ones meanwhile. */
export async function adopt<V>(first: FirstStore<V>, writes: readonly Write<V>[]): Promise<void> {
  const { env, timeoutMs } = first.member;
  const call = new Call(env, 'repair', undefined, { timeoutMs });
  try {
    await call.guard(Promise.resolve(first.commit(writes, call)));
  } catch (error) {
    if (!isStrataError(error, 'conflict')) throw error;
    // Of several only the one in conflict is left out.
    if (writes.length > 1) for (const write of writes) await adopt(first, [write]);
  }
}
