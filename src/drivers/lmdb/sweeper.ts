import { mayBeCurrent } from './change-index.ts';
import { commitOf } from './commit-ids.ts';
import { type Change, type Group, tombstoneSize, writeTombstone } from './group.ts';
import { expiryBytes, readPlace, revBytes } from './places.ts';
import type { Overlay } from './planner.ts';
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
  sweepExpired(group: Group, overlay: Overlay): boolean {
    const { reader } = this.#options;
    const { expiries } = reader.tables;
    const end = expiryBytes(reader.nowMs() + 1, { rev: 0, pos: 0 });
    const due = [...expiries.getRange({ start: Buffer.of(0), end, limit: STEP_RECORDS })];
    const swept: Change[] = [];
    const records: Buffer[] = [];
    let tombstoneBytes = 0;
    for (const { key: record, value } of due) {
      const key = value.toString();
      // Whoever is changing the key clears the record away.
      if (overlay.has(key)) continue;
      records.push(record);
      const place = readPlace(record, 6);
      if (reader.stored(key) === undefined || !mayBeCurrent(reader, key, place)) continue;
      const fate = { trace: undefined, set: undefined, swept: true, superseded: false };
      swept.push({ ...place, key, group, ...fate });
      tombstoneBytes += tombstoneSize(key);
    }
    if (records.length === 0) return false;
    for (const change of swept) overlay.set(change.key, change);
    group.swept.push(...swept);
    group.upkeep.push({
      tombstoneBytes,
      write(tables) {
        for (const record of records) void tables.expiries.remove(record);
        for (const change of swept) {
          void tables.values.remove(change.key);
          writeTombstone(tables, change);
        }
      },
    });
    return true;
  }

  /** Forgets the oldest deletes, where they are too old or too many; a reader from before them can then not go on. */
  forgetDeletes(group: Group, overlay: Overlay): boolean {
    const { reader, tombstoneBytes: mostBytes } = this.#options;
    const { base } = group;
    // Well below the bound, so that the next deletes do not each come here.
    const keptBytes = base.tombstoneBytes > mostBytes ? mostBytes * 0.75 : mostBytes;
    const forgotten: { readonly place: Buffer; readonly key: string }[] = [];
    let bytes = 0;
    let floor = base.floor;
    for (const { key: place, value } of [
      ...reader.tables.tombstones.getRange({ start: Buffer.of(0), limit: STEP_RECORDS }),
    ]) {
      const { rev } = readPlace(place);
      if (base.tombstoneBytes - bytes <= keptBytes && !this.#isTooOld(rev)) break;
      const key = value.toString();
      if (overlay.has(key)) continue;
      forgotten.push({ place, key });
      bytes += tombstoneSize(key);
      floor = Math.max(floor, rev);
    }
    if (forgotten.length === 0) return false;
    group.upkeep.push({
      head: { floor },
      tombstoneBytes: -bytes,
      staleAdded: forgotten.length,
      write(tables) {
        for (const { place, key } of forgotten) {
          void tables.tombstones.remove(place);
          void tables.deleted.remove(key);
        }
      },
    });
    return true;
  }

  /** Lets the ids of old commits go. */
  trimCommits(group: Group): boolean {
    const { reader } = this.#options;
    const oldest = this.#oldestKept(group.base.rev);
    const range = { start: Buffer.of(0), end: revBytes(oldest), limit: STEP_COMMITS };
    const rows = [...reader.tables.commits.getKeys(range)];
    const last = rows.at(-1);
    if (last === undefined) return false;
    group.upkeep.push({
      head: { oldestCommit: oldest },
      write(tables) {
        for (const row of rows) void tables.commits.remove(row);
      },
    });
    return true;
  }

  #oldestKept(rev: number): number {
    return Math.max(0, rev - this.#options.commitsKept + 1);
  }

  /** Deletes of commits whose time is forgotten are of use to nobody: none can resume from before them. */
  #isTooOld(rev: number): boolean {
    const { reader, tombstoneMs } = this.#options;
    const made = commitOf(reader.tables, rev);
    return made === undefined || made.madeMs <= reader.nowMs() - tombstoneMs;
  }
}
