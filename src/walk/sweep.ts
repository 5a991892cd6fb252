import { DEFAULT_TIMEOUT_MS } from '../store/call.ts';
import { unsupported } from '../store/checks.ts';
import type { Entry } from '../store/entry.ts';
import { failure, type StrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Store } from '../store/store.ts';
import { cutoff, type IsYoung } from './cutoff.ts';
import { feedState } from './feed-state.ts';
import { LinkReader } from './link-reader.ts';
import { Marks } from './marks.ts';
import { BATCH_KEYS, CONCURRENCY, checkRoots, checkWalker, type Roots } from './options.ts';
import { type Doomed, removeUnchanged } from './remove.ts';
import { checkSweepOptions, type SweepOptions, type SweepResult } from './sweep-options.ts';
import type { Walker } from './walker.ts';

/** Before so many keys are removed, roots and feed are looked at again. */
const REMOVE_KEYS = 512;

/**
 * Removes what is not reachable from the roots, while others go on writing. What stays: what is
 * reachable; what `keep` names; what is younger than `olderThan` or was written since the sweep
 * began (by revision, where the store has revisions); and all that any of these points to. Before
 * each batch goes, the roots are asked again and, where the store has a feed, everything written
 * meanwhile is walked as well; each key goes only in the version that was examined.
 *
 * Promised, where the store has a feed: nothing that is reachable is removed, as long as a writer
 * makes nothing reachable but (1) what is reachable at that moment, and (2) what it has itself written
 * or touched (`touch`), less than `olderThanMs` before. Without a feed, what is moved from one place
 * to another while a sweep runs must be written or touched as well.
 *
 * Memory: the keys that stay, and some batches. A sweep may be broken off at any time, and run again.
 *
 * Errors: `invalid-argument` where there are no roots, unless `allowNoRoots` says that there may be
 * none; `data-missing`, as `walk`; `unsupported` where the store has no conditional deletes;
 * `cursor-expired` where `olderThan` is a cursor of another epoch, or the feed could not be followed
 * to its head; those of the walker, of the roots and of the store. Nothing more is removed then.
 *
 * ```ts
 * const { swept } = await sweep(store, ['home'], walker, { olderThanMs: 3_600_000 });
 * ```
 */
export async function sweep<V>(
  store: Store<V>,
  roots: Roots,
  walker: Walker<V>,
  options: SweepOptions<V>,
): Promise<SweepResult> {
  checkRoots('sweep', roots);
  checkWalker('sweep', walker);
  checkSweepOptions(options);
  const primitives = primitivesOf(store, 'sweep');
  if (primitives.capabilities.conditional !== 'all' && options.dryRun !== true)
    throw unsupported(primitives, 'sweep', undefined, 'conditional deletes');
  const usualMs = primitives.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const bounds = {
    signal: options.signal ?? new AbortController().signal,
    timeoutMs: options.timeoutMs ?? usualMs,
  };
  const { env, guard, capabilities } = primitives;
  const feed = capabilities.feed ? primitives.feed : undefined;
  const init = { store, env, walker, operation: 'sweep', ...bounds, fresh: true };
  const state = feed && (await feedState(feed, init));
  const isYoung = cutoff(options, env, state);
  const { concurrency = CONCURRENCY, batchKeys = BATCH_KEYS, prefix = '', onMissing } = options;
  const reader = new LinkReader<V>(init);
  const marks = new Marks<V>(reader, {
    ...{ ...init, roots, concurrency, batchKeys, prefix, onMissing, guard },
    feed: feed && state && { source: feed, from: state.head },
  });
  return new Sweep(store, reader, marks, isYoung, { ...options, ...bounds, batchKeys }).run();
}

/** Nothing would be reachable: more often a mistake than meant. */
function noRoots(): StrataError {
  return failure(
    'invalid-argument',
    'sweep',
    'there are no roots, so that nothing is reachable and all that is old enough would go; expected at least one, or allowNoRoots: true',
  );
}

type Settled<V> = SweepOptions<V> & {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly batchKeys: number;
};

class Sweep<V> {
  readonly #store: Store<V>;
  readonly #reader: LinkReader<V>;
  readonly #marks: Marks<V>;
  readonly #isYoung: IsYoung;
  readonly #options: Settled<V>;
  readonly #counts = { examined: 0, kept: 0, swept: 0, tooYoung: 0, changed: 0 };

  constructor(
    store: Store<V>,
    reader: LinkReader<V>,
    marks: Marks<V>,
    isYoung: IsYoung,
    options: Settled<V>,
  ) {
    this.#store = store;
    this.#reader = reader;
    this.#marks = marks;
    this.#isYoung = isYoung;
    this.#options = options;
  }

  async run(): Promise<SweepResult> {
    await this.#marks.markRoots();
    if (!this.#marks.hasRoots && this.#options.allowNoRoots !== true) throw noRoots();
    // What is kept or too young protects what it points to, so all of it is found before anything goes.
    for await (const entries of this.#unmarked()) {
      for (const entry of entries)
        if (!(await this.#keeps(entry)) && this.#isYoung(entry)) await this.#marks.protect(entry);
      this.#tell('mark');
    }
    let doomed: Doomed[] = [];
    for await (const entries of this.#unmarked(true)) {
      for (const entry of entries) {
        if (await this.#keeps(entry)) this.#counts.kept++;
        else if (this.#isYoung(entry)) this.#counts.tooYoung++;
        else doomed.push({ key: entry.key, version: entry.version });
      }
      if (doomed.length < REMOVE_KEYS) continue;
      await this.#remove(doomed);
      doomed = [];
    }
    await this.#remove(doomed);
    return { ...this.#counts };
  }

  async #keeps(entry: Entry<V>): Promise<boolean> {
    const { keep } = this.#options;
    if (keep === undefined) return false;
    const { key } = entry;
    if ((await this.#reader.run(key, 'keep', () => keep(key, entry))) !== true) return false;
    await this.#marks.keep(entry);
    return true;
  }

  /** The entries that nothing has marked so far, in batches; counts what it passes, when told to. */
  async *#unmarked(counting = false): AsyncGenerator<Entry<V>[]> {
    const { prefix = '', batchKeys, signal, timeoutMs } = this.#options;
    let batch: string[] = [];
    for await (const key of this.#store.keys({ prefix, signal, timeoutMs })) {
      if (counting) this.#counts.examined++;
      if (!this.#marks.has(key)) batch.push(key);
      else if (counting) this.#counts[this.#marks.wasWritten(key) ? 'tooYoung' : 'kept']++;
      if (batch.length < batchKeys) continue;
      yield await this.#read(batch, counting);
      batch = [];
    }
    if (batch.length > 0) yield await this.#read(batch, counting);
  }

  async #read(keys: readonly string[], counting: boolean): Promise<Entry<V>[]> {
    const { signal, timeoutMs } = this.#options;
    const entries = await this.#store.getEntries(keys, { signal, timeoutMs, fresh: true });
    if (counting) this.#counts.changed += keys.length - entries.size;
    return [...entries.values()];
  }

  async #remove(candidates: readonly Doomed[]): Promise<void> {
    const { dryRun, onSwept } = this.#options;
    await this.#marks.catchUp();
    const doomed: Doomed[] = [];
    for (const one of candidates) {
      if (!this.#marks.has(one.key)) doomed.push(one);
      else this.#counts[this.#marks.wasWritten(one.key) ? 'tooYoung' : 'kept']++;
    }
    const gone =
      dryRun === true ? doomed : await removeUnchanged(this.#store, doomed, this.#options);
    this.#counts.swept += gone.length;
    this.#counts.changed += doomed.length - gone.length;
    for (const { key } of gone) onSwept?.(key);
    this.#tell('sweep');
  }

  #tell(phase: 'mark' | 'sweep'): void {
    this.#options.onProgress?.({ phase, marked: this.#marks.size, ...this.#counts });
  }
}
