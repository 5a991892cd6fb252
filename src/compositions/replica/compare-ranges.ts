import type { FeedState } from '../../store/primitives.ts';
import { ALL_KEYS, type Comparing, compareMember } from './compare.ts';
import { addCounts, NO_COUNTS, type RepairCounts } from './events.ts';
import { type FirstSums, rangeOf } from './repair-sums.ts';

/**
 * Compares a member with the first store by sums over ranges, and entry by entry where they differ:
 * the first store is read only where it has changed since it was summed up.
 */
export async function compareRanges<V>(
  comparing: Comparing<V>,
  sums: FirstSums<V>,
  state: FeedState,
): Promise<RepairCounts> {
  const { member, life, onProgress } = comparing;
  const ranges = await sums.ranges(state, life);
  if (ranges === undefined) return compareMember(comparing);
  const matcher = sums.matcher(ranges);
  let fixed = NO_COUNTS;
  const total = (beside = NO_COUNTS): RepairCounts =>
    addCounts(addCounts(fixed, beside), { ...NO_COUNTS, compared: matcher.same });
  const fix = async (): Promise<void> => {
    for (const span of matcher.take()) {
      const inner = { ...comparing, onProgress: (now: RepairCounts) => onProgress?.(total(now)) };
      fixed = addCounts(fixed, await compareMember(inner, rangeOf(span)));
    }
  };
  for await (const page of member.pages(life, (call) => member.primitives.scan(ALL_KEYS, call))) {
    for (const entry of page) if (!entry.key.startsWith(member.notePrefix)) matcher.add(entry);
    await fix();
    onProgress?.(total());
  }
  matcher.end();
  await fix();
  onProgress?.(total());
  return total();
}
