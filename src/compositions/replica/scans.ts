import type { Call } from '../../store/call.ts';
import { failure } from '../../store/errors.ts';
import { compareKeys, FIRST_USER_KEY, type KeyRange } from '../../store/keys.ts';
import type { FirstStore } from './first-store.ts';
import type { Lane } from './lane.ts';
import type { Member } from './member.ts';
import { allFailed, type MemberCause } from './reader.ts';

export interface ScanSetup<V> {
  readonly first: FirstStore<V>;
  readonly lanes: readonly Lane<V>[];
}

/** How items are found: entries, or their keys alone. */
export interface ScanItems<V, T> {
  keyOf(item: T): string;
  open(member: Member<V>, range: KeyRange, call: Call): AsyncIterable<readonly T[]>;
  /** The item as the first store has it. */
  give(item: T): T;
}

/**
 * What all synchronous members together hold, in order. Members that are up to date hold the same,
 * so one is read; when it fails, another goes on after the last key given, and when none can, the
 * scan fails: it is never cut short.
 */
export async function* scanAll<V, T>(
  { first, lanes }: ScanSetup<V>,
  items: ScanItems<V, T>,
  range: KeyRange,
  call: Call,
): AsyncGenerator<readonly T[]> {
  const isCurrent = (lane: Lane<V>): boolean => lane.fences.size === 0 && first.atRest;
  const sources: { member: Member<V>; isUsable(): boolean }[] = [
    { member: first.member, isUsable: () => true },
    ...lanes.map((lane) => ({ member: lane.member, isUsable: () => isCurrent(lane) })),
  ];
  const causes: MemberCause[] = [];
  const prefix = first.member.notePrefix;
  let left = range.limit;
  let after: string | undefined;
  for (const { member, isUsable } of sources) {
    try {
      if (!isUsable()) throw mayBeBehind(member, call);
      const rest = beyond(range, after);
      // A member that hangs is given up in time where another can go on.
      const pages =
        lanes.length === 0
          ? items.open(member, rest, call)
          : member.pages(call, (own) => items.open(member, rest, own));
      for await (const page of pages) {
        if (!isUsable()) throw mayBeBehind(member, call);
        const own = page.filter((item) => !items.keyOf(item).startsWith(prefix));
        const given = own.slice(0, Math.min(left, own.length));
        const last = page.at(-1);
        left -= given.length;
        if (given.length > 0)
          yield member === first.member ? given : given.map((item) => items.give(item));
        if (last !== undefined) after = items.keyOf(last);
        if (left <= 0) return;
      }
      return;
    } catch (error) {
      call.throwIfEnded();
      causes.push({ member: member.name, cause: error });
    }
  }
  throw allFailed(causes, call.operation, call.key);
}

function mayBeBehind<V>({ name }: Member<V>, { operation }: Call): Error {
  return failure('unavailable', operation, `${name} may be behind`);
}

/** What is left of a range after a key. */
function beyond(range: KeyRange, after: string | undefined): KeyRange {
  const unlimited = { ...range, limit: Number.POSITIVE_INFINITY };
  // Nobody knows how many notes and intents there are, which are left out afterwards.
  if (after === undefined) return reachesReserved(range) ? unlimited : range;
  const bound = { key: after, inclusive: false };
  const end = range.reverse ? range.lower : range.upper;
  if (end !== undefined && compareKeys(end.key, after) === 0)
    return { ...unlimited, limit: 0, ...(range.reverse ? { upper: bound } : { lower: bound }) };
  return range.reverse ? { ...unlimited, upper: bound } : { ...unlimited, lower: bound };
}

function reachesReserved({ lower }: KeyRange): boolean {
  return lower === undefined || compareKeys(lower.key, FIRST_USER_KEY) < 0;
}
