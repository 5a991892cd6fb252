import type { Position } from '../../store/primitives.ts';
import { keyOf } from './records.ts';

/** What the read script answers. */
export interface FeedReply {
  readonly head: Position;
  readonly floor: number;
  /** Id of the commit of the position asked about, while the store knows it. */
  readonly id: string | undefined;
  /** Number of the last change of all, and of the last one that was forgotten. */
  readonly headSeq: number;
  readonly floorSeq: number;
  /** Commits of the log: for each its id and number of changes; then name and envelope of each change. */
  readonly log:
    | { readonly commits: readonly unknown[]; readonly words: readonly Buffer[] }
    | undefined;
  readonly page: IndexPage | undefined;
}

/** A part of the change index. */
export interface IndexPage {
  /** Number of its last change; the next page begins after it. */
  readonly lastSeq: number;
  readonly more: boolean;
  readonly keys: readonly string[];
  readonly heads: readonly unknown[];
  readonly envelopes: readonly unknown[];
}

/** Gives the reply's parts their names. */
export function toFeedReply(reply: readonly unknown[]): FeedReply {
  const [, epoch, rev, id, floor, known, headSeq, floorSeq, ...rest] = reply;
  const fromLog = Array.isArray(rest[1]);
  return {
    head: { epoch: String(epoch), rev: Number(rev), id: String(id) },
    floor: Number(floor),
    id: String(known) === '' ? undefined : String(known),
    headSeq: Number(headSeq),
    floorSeq: Number(floorSeq),
    log: fromLog ? { commits: rest[0] as unknown[], words: rest[1] as Buffer[] } : undefined,
    page: fromLog || rest.length === 0 ? undefined : toPage(rest),
  };
}

function toPage([lastSeq, more, names, heads, envelopes]: readonly unknown[]): IndexPage {
  return {
    lastSeq: Number(lastSeq),
    more: more === 1,
    keys: (names as unknown[]).map(keyOf),
    heads: heads as unknown[],
    envelopes: envelopes as unknown[],
  };
}
