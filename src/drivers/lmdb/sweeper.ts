import type { IndexPlace } from '../../store/feed/plan.ts';
import { mayBeCurrent } from './change-index.ts';
import { commitOf } from './commit-ids.ts';
import { type Group, type KeyState, tombstoneSize } from './group.ts';
import type { KnownKeys } from './known-keys.ts';
import { expiryBytes, readPlace, revBytes } from './places.ts';
import type { Reader } from './reader.ts';

/** One step takes so many records. */
const STEP_RECORDS = 500;
const STEP_COMMITS = 5_000;

export interface SweeperOptions {
  readonly reader: Reader;
  readonly tombstoneMs: number;
  readonly tombstoneBytes: number;
  readonly commitsKept: number;
}

/**
 * What is let go in time: expired entries, deletes that are remembered no longer, ids of old
 * commits. Each method adds a step to a group, and is false when there is nothing to do.
 */
export class Sweeper {
  readonly #options: SweeperOptions;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** Turns expired entries into deletes at their own places: a reader that resumes may hold an older value. */
  sweepExpired(group: Group, known: KnownKeys): boolean {
    const { reader } = this.#options;
    const { values, expiries } = reader.tables;
    const end = expiryBytes(reader.nowMs() + 1, { rev: 0, pos: 0 });
    const due = [...reader.range(expiries, { end, limit: STEP_RECORDS })];
    let swept = 0;
    for (const { key: record, value } of due) {
      const key = value.toString();
      // Whoever is changing the key clears the record away.
      if (known.isUnderWay(key)) continue;
      swept++;
      group.keep({});
      void expiries.remove(record);
      const place = readPlace(record, 6);
      if (reader.stored(key) === undefined || !mayBeCurrent(reader, key, place)) continue;
      const state = toBuried(key, place);
      void values.remove(key);
      group.bury(state);
      group.swept.push(state);
      known.set(state);
    }
    return swept > 0;
  }

  /** Forgets the oldest deletes, where they are too old or too many; a reader from before them can then not go on. */
  forgetDeletes(group: Group, known: KnownKeys): boolean {
    const { reader, tombstoneBytes: mostBytes } = this.#options;
    const { base } = group;
    const { tombstones, deleted } = reader.tables;
    // Well below the bound, so that the next deletes do not each come here.
    const keptBytes = base.tombstoneBytes > mostBytes ? mostBytes * 0.75 : mostBytes;
    const oldest = [...reader.range(tombstones, { limit: STEP_RECORDS })];
    let bytes = 0;
    let forgotten = 0;
    let { floor } = base;
    for (const { key: place, value } of oldest) {
      const { rev } = readPlace(place);
      if (base.tombstoneBytes - bytes <= keptBytes && !this.#isTooOld(rev)) break;
      const key = value.toString();
      if (known.isUnderWay(key)) continue;
      floor = Math.max(floor, rev);
      group.keep({ floor });
      void tombstones.remove(place);
      void deleted.remove(key);
      // Until that is in the tables, they still say that the key was deleted.
      const state = toForgotten(key, readPlace(place));
      group.swept.push(state);
      known.set(state);
      bytes += tombstoneSize(key);
      forgotten++;
    }
    if (forgotten === 0) return false;
    group.adjust({ tombstoneBytes: -bytes, stale: forgotten });
    return true;
  }

  /** Lets the ids of old commits go. */
  trimCommits(group: Group): boolean {
    const { reader } = this.#options;
    const oldest = this.#oldestKept(group.base.rev);
    const range = { end: revBytes(oldest), limit: STEP_COMMITS };
    const rows = [...reader.keys(reader.tables.commits, range)];
    for (const row of rows) void reader.tables.commits.remove(row);
    if (rows.length > 0) group.keep({ oldestCommit: oldest });
    return rows.length > 0;
  }

  #oldestKept(rev: number): number {
    return Math.max(0, rev - this.#options.commitsKept + 1);
  }

  /** Deletes of commits whose time is forgotten are of use to nobody: none can resume from before them. */
  #isTooOld(rev: number): boolean {
    const { reader, tombstoneMs } = this.#options;
    const made = commitOf(reader, rev);
    return made === undefined || made.madeMs <= reader.nowMs() - tombstoneMs;
  }
}

function toForgotten(key: string, place: IndexPlace): KeyState {
  return { ...toBuried(key, place), forgotten: true };
}

function toBuried(key: string, { rev, pos }: IndexPlace): KeyState {
  const gone = { expiresAt: undefined, immutable: false, head: undefined, value: undefined };
  return { key, rev, pos, deleted: true, landed: false, ...gone };
}
