import type { EntryHead } from '../store/entry.ts';
import type { Env } from '../store/env.ts';
import { cursorExpired, fromCursor } from '../store/feed/cursor.ts';
import type { FeedState } from '../store/primitives.ts';
import type { SweepOptions } from './sweep-options.ts';

/** Tells whether an entry is too young to go. */
export type IsYoung = (entry: EntryHead) => boolean;

/**
 * What a sweep takes for too young, fixed as it begins: by the time of writing or a revision, as
 * told, and everything that was written since it began, which where the store has revisions no
 * clock decides.
 */
export function cutoff<V>(
  { olderThan, olderThanMs = 0 }: SweepOptions<V>,
  env: Env,
  state: FeedState | undefined,
): IsYoung {
  const nowMs = env.now();
  if (typeof olderThan === 'string') {
    const noted = fromCursor('sweep', olderThan);
    if (noted.epoch !== state?.head.epoch)
      throw cursorExpired(
        'sweep',
        noted,
        'it belongs to another epoch of the store, or another store',
      );
    const lastRev = Math.min(noted.rev, state.head.rev);
    return ({ rev }) => rev === undefined || rev > lastRev;
  }
  const oldEnough =
    olderThan === undefined
      ? (modifiedAt: number) => modifiedAt <= nowMs - olderThanMs
      : (modifiedAt: number) => modifiedAt < Number(olderThan);
  // Without revisions, the clock is all there is: what was written in this very ms may be later.
  const before = ({ rev, modifiedAt }: EntryHead): boolean =>
    state !== undefined && rev !== undefined ? rev <= state.head.rev : modifiedAt < nowMs;
  return (entry) => !oldEnough(entry.modifiedAt) || !before(entry);
}
