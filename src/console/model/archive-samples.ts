import { type ColumnOf, SampleWindow } from './sample-window.ts';
import type { ServedArchive } from './served.ts';

/** An archive at a moment; `null` where nobody knows. */
export interface ArchiveSample {
  /** Ms since 1970. */
  readonly atMs: number;
  readonly dirty: number | null;
  readonly oldestMarkS: number | null;
  readonly failing: number | null;
  readonly frozenPerS: number | null;
  readonly failuresPerS: number | null;
}

/** Samples further apart have no rate between them. */
const MAX_STEP_MS = 60_000;

/** Keeps the newest figures of an archive, and turns its counters into rates. */
export class ArchiveSamples {
  readonly #window: SampleWindow<ArchiveSample>;
  #before: ServedArchive | undefined;

  constructor(capacity?: number) {
    this.#window = new SampleWindow(capacity);
  }

  get all(): readonly ArchiveSample[] {
    return this.#window.all;
  }

  add(figures: ServedArchive): void {
    const before = this.#before;
    if (before !== undefined && figures.at <= before.at) return;
    this.#before = figures;
    const { at, hot } = figures;
    this.#window.add({
      atMs: at,
      dirty: hot?.dirty ?? null,
      oldestMarkS: hot === undefined ? null : hot.oldestMarkMs / 1_000,
      failing: hot?.failing ?? null,
      frozenPerS: rate(before, figures, 'frozen'),
      failuresPerS: rate(before, figures, 'failures'),
    });
  }

  /** Columns for a plot: seconds since 1970, then one for each name. */
  columns(names: readonly ColumnOf<ArchiveSample>[]): [number[], ...(number | null)[][]] {
    return this.#window.columns(names);
  }
}

function rate(
  before: ServedArchive | undefined,
  { at, work }: ServedArchive,
  name: 'frozen' | 'failures',
): number | null {
  if (before?.work === undefined || work === undefined) return null;
  const elapsedMs = at - before.at;
  const grown = work[name] - before.work[name];
  // Counters that went back are those of another start of the server.
  return grown < 0 || elapsedMs > MAX_STEP_MS ? null : (grown * 1_000) / elapsedMs;
}
