import type { Change } from '../../store/entry.ts';
import { toCursor } from '../../store/feed/cursor.ts';
import type { FeedPage, Position } from '../../store/primitives.ts';
import type { FeedReply } from './feed-reply.ts';
import { changeOf, keyOf } from './records.ts';

/** Bound of what is kept, in bytes. */
const KEPT_BYTES = 2 * 1024 * 1024;

/** A commit as the log gives it: name and envelope of each change, decoded anew for every reader. */
interface LoggedCommit {
  readonly end: Position;
  readonly words: readonly Buffer[];
}

/**
 * Commits of the log that came along before anybody asked for them, each under the position that
 * it follows: what comes after a commit of that id never changes.
 */
export class ReadAhead {
  readonly #kept = new Map<string, LoggedCommit>();
  #bytes = 0;

  /** The commit after a position, where it is at hand. */
  after(position: Position): FeedPage<Uint8Array> | undefined {
    const commit = this.#kept.get(toCursor(position));
    return commit && pageOf(commit);
  }

  /** Takes the commits of a reply that follow a position, and gives the first. */
  take(
    after: Position,
    epoch: string,
    { commits, words }: NonNullable<FeedReply['log']>,
  ): FeedPage<Uint8Array> {
    // Others have mostly read what an earlier reply brought; what this one brings is needed next.
    if (this.#bytes > KEPT_BYTES / 2) this.clear();
    let at = 0;
    let position = after;
    for (let i = 0; i < commits.length && this.#bytes <= KEPT_BYTES; i += 2) {
      const end = { epoch, rev: position.rev + 1, id: String(commits[i]) };
      const next = at + 2 * Number(commits[i + 1]);
      this.#keep(position, end, words.slice(at, next));
      at = next;
      position = end;
    }
    const count = 2 * Number(commits[1]);
    const end = { epoch, rev: after.rev + 1, id: String(commits[0]) };
    return pageOf({ end, words: words.slice(0, count) });
  }

  #keep(after: Position, end: Position, words: readonly Buffer[]): void {
    const cursor = toCursor(after);
    if (this.#kept.has(cursor)) return;
    const bytes = words.reduce((sum, word) => sum + word.length + 64, 0);
    this.#kept.set(cursor, { end, words });
    this.#bytes += bytes;
  }

  clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }
}

function pageOf({ end, words }: LoggedCommit): FeedPage<Uint8Array> {
  const changes: Change<Uint8Array>[] = [];
  for (let i = 0; i < words.length; i += 2)
    changes.push(changeOf(keyOf(words[i]), end.rev, words[i + 1] as Buffer));
  return { changes, end };
}
