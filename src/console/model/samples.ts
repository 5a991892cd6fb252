import type { SubscriberStats } from '../../sync/index.ts';
import { type ColumnOf, SampleWindow } from './sample-window.ts';
import type { ServedStats } from './served.ts';

/** One second of the server; `null` where a rate has nothing to be taken from. */
export interface Sample {
  /** Ms since 1970. */
  readonly atMs: number;
  readonly operationsPerS: number | null;
  readonly commitsPerS: number | null;
  readonly bytesPerS: number | null;
  readonly subscribers: number;
  /** Commits that the slowest subscriber is behind. */
  readonly lag: number;
}

/** Samples further apart have a gap between them. */
const MAX_STEP_MS = 5_000;

/** Turns the server's counters into rates, and keeps the newest ones. */
export class Samples {
  readonly #window: SampleWindow<Sample>;
  #before: ServedStats | undefined;

  constructor(capacity?: number) {
    this.#window = new SampleWindow(capacity);
  }

  get all(): readonly Sample[] {
    return this.#window.all;
  }

  add(stats: ServedStats, subscribers: readonly SubscriberStats[]): void {
    const before = this.#before;
    if (before !== undefined && stats.at <= before.at) return;
    this.#before = stats;
    const elapsedMs = before === undefined ? Number.POSITIVE_INFINITY : stats.at - before.at;
    // Counters that went back are those of another start of the server.
    const continuous =
      elapsedMs <= MAX_STEP_MS && before !== undefined && stats.sentBytes >= before.sentBytes;
    const rate = (name: 'sentOperations' | 'sentBytes' | 'headRev'): number | null =>
      continuous && before !== undefined
        ? Math.max(0, ((stats[name] - before[name]) * 1_000) / elapsedMs)
        : null;
    this.#window.add({
      atMs: stats.at,
      operationsPerS: rate('sentOperations'),
      commitsPerS: rate('headRev'),
      bytesPerS: rate('sentBytes'),
      subscribers: stats.subscribers,
      lag: subscribers.reduce((most, { lag }) => Math.max(most, lag), 0),
    });
  }

  /** Columns for a plot: seconds since 1970, then one for each name. */
  columns(names: readonly ColumnOf<Sample>[]): [number[], ...(number | null)[][]] {
    return this.#window.columns(names);
  }
}
