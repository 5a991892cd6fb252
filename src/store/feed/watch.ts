import type { Call } from '../call.ts';
import type { Change, Commit } from '../entry.ts';
import { FIRST_USER_KEY } from '../keys.ts';
import type { Feed, Position } from '../primitives.ts';
import { toCursor } from './cursor.ts';

/** Commits without a matching write are merged, and given as a bookmark at least so often. */
const BOOKMARK_COMMITS = 1_000;

export interface WatchFeedOptions<V> {
  /** `undefined`: the whole state first. */
  readonly after: Position | undefined;
  readonly prefix?: string | undefined;
  /** Copies what is handed out, where the store shares references. */
  readonly guard?: ((value: V) => V) | undefined;
}

/** Follows a feed for ever: whole commits, contiguous, each key at most once in each. */
export async function* watchFeed<V>(
  feed: Feed<V>,
  call: Call,
  options: WatchFeedOptions<V>,
): AsyncGenerator<Commit<V>, never> {
  const { prefix = '', guard } = options;
  let at = options.after;
  let from = at?.rev ?? 0;
  let passed = 0;
  for (;;) {
    // Noted before the read: what is written as an empty store is read belongs to what follows.
    const head = at === undefined ? (await feed.state(call)).head : undefined;
    const changes = new Map<string, Change<V>>();
    let end: Position | undefined;
    for await (const page of feed.read(at, call)) {
      for (const change of page.changes) collect(changes, change, prefix, guard);
      end = page.end;
    }
    if (end === undefined) {
      if (head !== undefined) {
        // An empty store: its whole state is nothing, and the watch goes on from there.
        if (head.rev > 0) yield { from, to: head.rev, writes: [], cursor: toCursor(head) };
        from = head.rev;
        at = head;
      } else await feed.wait(at, call);
      continue;
    }
    at = end;
    // The whole state is told even when it is nothing.
    if (changes.size === 0 && head === undefined && ++passed < BOOKMARK_COMMITS) continue;
    passed = 0;
    yield { from, to: end.rev, writes: [...changes.values()], cursor: toCursor(end) };
    from = end.rev;
  }
}

function collect<V>(
  into: Map<string, Change<V>>,
  change: Change<V>,
  prefix: string,
  guard: ((value: V) => V) | undefined,
): void {
  const { key } = change;
  if (!key.startsWith(prefix) || key < FIRST_USER_KEY) return;
  // Last in order as well as in value: the order of a commit is that of the last writes.
  into.delete(key);
  into.set(
    key,
    change.type === 'set' && guard !== undefined
      ? { ...change, value: guard(change.value) }
      : change,
  );
}
