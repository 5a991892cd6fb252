import type { Span } from '../kernel/fingerprints/messages.ts';
import type { Call } from '../store/call.ts';
import type { Entry, EntryHead, Origin } from '../store/entry.ts';
import { FIRST_USER_KEY, intersect, type KeyRange, prefixBounds } from '../store/keys.ts';
import type { Primitives } from '../store/primitives.ts';

/** What a copied entry holds, by name: a version is never used twice for a key. */
export function stampOf({ store, epoch, rev, version }: Origin): string {
  return `${version}\n${rev.toString(36)}\n${epoch}\n${store}`;
}

/** The same of an entry in its source, as its copies will have it. */
export function sourceStampOf(
  { origin, version, rev = 0 }: EntryHead,
  store: string,
  epochOf: (rev: number) => string,
): string {
  return stampOf(origin ?? { store, epoch: epochOf(rev), rev, version });
}

/** So many entries are read before others get their turn. */
const ENTRIES_A_TURN = 10_000;

/** Gives every copy or original of a range to `visit`, in order, with pauses: a scan of memory would let nothing else run. */
export async function readRange(
  from: Primitives<unknown>,
  range: KeyRange,
  call: Call,
  visit: (entry: Entry<unknown>) => void,
): Promise<void> {
  let turn = 0;
  for await (const page of from.scan(range, call)) {
    call.throwIfEnded();
    for (const entry of page) visit(entry);
    turn += page.length;
    if (turn < ENTRIES_A_TURN) continue;
    turn = 0;
    await new Promise<void>((resolve) => {
      call.env.setTimer(resolve, 0);
    });
  }
  call.throwIfEnded();
}

/** The keys of a span that may be users' own and have a prefix. */
export function rangeOf({ lower, upper }: Span, prefix: string): KeyRange {
  let range: KeyRange = {
    lower: { key: FIRST_USER_KEY, inclusive: true },
    reverse: false,
    limit: Number.POSITIVE_INFINITY,
  };
  if (prefix !== '') range = intersect(range, prefixBounds(prefix));
  if (lower !== '') range = intersect(range, { lower: { key: lower, inclusive: true } });
  if (upper !== undefined) range = intersect(range, { upper: { key: upper, inclusive: false } });
  return range;
}
