import { sideBySide } from '../../kernel/side-by-side.ts';
import type { Call } from '../../store/call.ts';
import { isStrataError } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import { type ColdObjects, DELETED } from './cold-objects.ts';
import type { ColdOwner } from './cold-owner.ts';
import { FailureList, type KeyFailure } from './failure-list.ts';
import type { HotAudit } from './hot-audit.ts';
import type { Named } from './hot-key.ts';
import type { HotSide } from './hot-side.ts';
import { auditOf, boundless, listed, parts } from './listing.ts';
import type { Returner } from './returner.ts';

/** How `rebuildIndex` goes about it. */
export interface RebuildOptions {
  /** Brings back every key that is in the cold store only; default false, which records them as evicted. */
  readonly restore?: boolean;
  readonly signal?: AbortSignal;
  /** Hears of the counts, a few objects at a time. */
  readonly onProgress?: (progress: RebuildProgress) => void;
}

/** What `rebuildIndex` has seen so far. */
export interface RebuildProgress {
  /** Objects in the cold store. */
  readonly objects: number;
  /** Keys that are recorded as evicted now and were not. */
  readonly recorded: number;
  /** Keys that were recorded already. */
  readonly evicted: number;
  /** Keys that were brought back. */
  readonly restored: number;
  /** Keys that are in use, or marked: left to the workers. */
  readonly hot: number;
  /** Tombstones: what they stand for stays away. */
  readonly deleted: number;
  /** Objects whose time is over. */
  readonly expired: number;
  /** Objects of no key of this archive: left alone. */
  readonly foreign: number;
  /** Keys whose object does not open or that could not be brought back. They are recorded, and `ensure` says why. */
  readonly failures: number;
}

/** What `rebuildIndex` found and did. */
export interface RebuildResult extends RebuildProgress {
  /** The failures, at most the first thousand. */
  readonly failed: readonly KeyFailure[];
}

const RULES = { restore: is.boolean, signal: is.signal, onProgress: is.fn };
type Counts = { -readonly [K in keyof Omit<RebuildProgress, 'failures'>]: number };

/** Both sides, and who may use the cold one. */
export interface RebuilderParts {
  readonly hot: HotSide;
  readonly cold: ColdObjects;
  readonly owner: ColdOwner;
}

/** Makes the records of evicted keys from what the cold store has. */
export class Rebuilder {
  readonly #audit: HotAudit;
  readonly #hot: HotSide;
  readonly #cold: ColdObjects;
  readonly #owner: ColdOwner;
  readonly #returner: Returner;
  readonly #concurrency: number;

  constructor({ hot, cold, owner }: RebuilderParts, returner: Returner, concurrency: number) {
    this.#audit = auditOf('rebuildIndex', hot);
    this.#hot = hot;
    this.#cold = cold;
    this.#owner = owner;
    this.#returner = returner;
    this.#concurrency = concurrency;
  }

  async run(options: RebuildOptions = {}): Promise<RebuildResult> {
    checkOptions('rebuildIndex', options, RULES);
    const call = boundless(this.#hot.env, 'rebuildIndex', options.signal);
    return call.guard(this.#owner.adopt(() => this.#run(call, options)));
  }

  async #run(call: Call, options: RebuildOptions): Promise<RebuildResult> {
    const failed = new FailureList();
    const counts = emptyCounts();
    const told = (): RebuildProgress => ({ ...counts, failures: failed.count });
    for await (const names of parts(this.#cold.names(call), this.#concurrency)) {
      call.throwIfEnded();
      counts.objects += names.length;
      const { keys, damaged } = await listed(call.operation, this.#hot, this.#cold, names);
      // Nobody knows of which key.
      for (const { name, error } of damaged) failed.add(name, error);
      counts.foreign += names.length - keys.length - damaged.length;
      const away = await this.#record(call, keys, counts, failed);
      if (options.restore === true) await this.#restore(call, away, counts, failed);
      options.onProgress?.(told());
    }
    return { ...told(), failed: failed.first };
  }

  /** Records what is nowhere else; gives the keys that are recorded then. */
  async #record(
    { operation }: Call,
    keys: readonly Named[],
    counts: Counts,
    failed: FailureList,
  ): Promise<Named[]> {
    if (keys.length === 0) return [];
    const found = await this.#audit.claim(operation, keys);
    const claimed = keys.filter((_, at) => found[at] === 'claimed');
    const away = keys.filter((_, at) => found[at] === 'evicted');
    counts.evicted += away.length;
    counts.hot += keys.length - claimed.length - away.length;
    await sideBySide(claimed, async (key) => {
      // Read after it was claimed: what is forgotten from now on takes the record along.
      const opened = await this.#cold.find(key);
      if (opened !== undefined && opened.object === undefined)
        return failed.add(key.shown, opened.cause);
      const object = opened?.object ?? NOTHING;
      const isDeleted = object.type === DELETED;
      const { generation } = object;
      const expiresAt = isDeleted ? LONG_AGO : object.expiresAt;
      const outcome = await this.#audit.confirm(operation, key, { generation, expiresAt });
      if (outcome === 'recorded') away.push(key);
      if (outcome === 'moved') counts.hot++;
      else if (outcome === 'recorded') counts.recorded++;
      else counts[isDeleted ? 'deleted' : 'expired']++;
    });
    return away;
  }

  async #restore(
    { operation }: Call,
    keys: readonly Named[],
    counts: Counts,
    failed: FailureList,
  ): Promise<void> {
    const returned = await this.#returner.restore(operation, keys);
    counts.restored += returned.restored;
    for (const { key, error } of returned.failed) {
      if (!isOfOneObject(error)) throw error;
      failed.add(key.shown, error);
    }
  }
}

const LONG_AGO = 1;
/** Of an object that was removed since it was listed. */
const NOTHING = { type: DELETED, generation: 0, expiresAt: 0 };
/** Beside what fails so the others may yet be read. */
const isOfOneObject = (error: unknown): boolean =>
  isStrataError(error, 'corrupt', 'data-missing', 'unsupported', 'conflict');

const emptyCounts = (): Counts => ({
  objects: 0,
  recorded: 0,
  evicted: 0,
  restored: 0,
  hot: 0,
  deleted: 0,
  expired: 0,
  foreign: 0,
});
