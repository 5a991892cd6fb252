import type { Call } from '../../store/call.ts';
import { isStrataError } from '../../store/errors.ts';
import type { Feed, FeedState, Position } from '../../store/primitives.ts';
import { type Comparing, FIX_KEYS, putRight } from './compare.ts';
import { addCounts, NO_COUNTS, type RepairCounts } from './events.ts';
import type { Member } from './member.ts';

/** So many keys are remembered as compared, so that a change that both stores tell of is looked at once. */
const MOST_SEEN = 65_536;
/** Of the keys, the part that may have changed: beyond it, reading everything is less. */
const FEW = 1 / 8;

/** A place in the history of a store. */
export interface FeedPlace {
  readonly storeId: string;
  readonly at: Position;
}

/** Where the histories of both stores stood when they were last known to hold the same. */
export interface EvenPlaces {
  readonly first: FeedPlace;
  readonly member: FeedPlace;
}

/** Whether a store's feed is worth reading from a place up to its head. */
export function isFew(
  from: FeedPlace | undefined,
  { storeId, head }: FeedState,
  count: number,
): from is FeedPlace {
  if (from === undefined || from.storeId !== storeId || from.at.epoch !== head.epoch) return false;
  return head.rev - from.at.rev <= count * FEW;
}

/** Tells of every key that changed between a place and a head of the store; false where its feed cannot tell. */
export async function readChanges<V>(
  member: Member<V>,
  feed: Feed<V>,
  { at: from }: FeedPlace,
  { head }: FeedState,
  life: Call,
  onKey: (key: string) => void | Promise<void>,
): Promise<boolean> {
  try {
    for (let at = from; at.rev < head.rev; ) {
      const end = await readGroup(member, feed, at, life, onKey);
      if (end === undefined) return false;
      at = end;
    }
    return true;
  } catch (error) {
    if (!isStrataError(error, 'cursor-expired')) throw error;
    return false;
  }
}

async function readGroup<V>(
  member: Member<V>,
  feed: Feed<V>,
  after: Position,
  life: Call,
  onKey: (key: string) => void | Promise<void>,
): Promise<Position | undefined> {
  let end: Position | undefined;
  for await (const page of member.pages(life, (call) => feed.read(after, call))) {
    end = page.end;
    for (const { key } of page.changes) {
      if (key.startsWith(member.notePrefix)) continue;
      const telling = onKey(key);
      if (telling instanceof Promise) await telling;
    }
  }
  return end;
}

/**
 * Compares the keys that changed in either store since both held the same. Gives nothing where a feed
 * does not reach back that far.
 */
export async function compareChanges<V>(
  comparing: Comparing<V>,
  since: EvenPlaces,
  now: { readonly first: FeedState; readonly member: FeedState },
): Promise<RepairCounts | undefined> {
  const { first, member, life, onProgress } = comparing;
  const feed = member.primitives.feed as Feed<V>;
  let counts = NO_COUNTS;
  const seen = new Set<string>();
  let keys = new Set<string>();
  const flush = async (): Promise<void> => {
    const list = [...keys];
    keys = new Set();
    if (list.length === 0) return;
    const looked = { ...NO_COUNTS, compared: list.length, joined: list.length };
    counts = addCounts(addCounts(counts, looked), await putRight(comparing, list));
    onProgress?.(counts);
  };
  const add = (key: string): void | Promise<void> => {
    if (seen.has(key)) return;
    if (seen.size < MOST_SEEN) seen.add(key);
    keys.add(key);
    if (keys.size >= FIX_KEYS) return flush();
  };
  const told =
    (await readChanges(first.member, first.feed, since.first, now.first, life, add)) &&
    (await readChanges(member, feed, since.member, now.member, life, add));
  await flush();
  return told ? counts : undefined;
}
