import type { Call } from '../store/call.ts';
import { DEFAULT_TIMEOUT_MS } from '../store/call.ts';
import type { Entry } from '../store/entry.ts';
import { primitivesOf } from '../store/internals.ts';
import { managedIterable } from '../store/managed-iterable.ts';
import type { ReadOptions } from '../store/operations.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../store/options.ts';
import type { ReadonlyStore } from '../store/readonly-store.ts';
import { breadthFirst, type WalkState } from './breadth-first.ts';
import { dependenciesFirst } from './dependencies-first.ts';
import { LinkReader, missingEntry, type Visited } from './link-reader.ts';
import {
  BATCH_KEYS,
  CONCURRENCY,
  checkRoots,
  checkWalker,
  READING_RULES,
  type ReadingOptions,
  type Roots,
} from './options.ts';
import { askRoots } from './roots.ts';
import type { Walker } from './walker.ts';

/** How far a walk has come. */
export interface WalkProgress {
  /** Entries given so far. */
  readonly entries: number;
  /** Keys met so far, those that still wait included. */
  readonly keys: number;
  /** Keys that something points to and the store does not have. */
  readonly missing: number;
}

/** Options of `walk`. `timeoutMs` bounds each read, and each run of a function that is passed in. */
export interface WalkOptions<V> extends ReadOptions, ReadingOptions {
  /** `roots-first` (default) gives what is nearest to the roots first; `roots-last` gives every entry after all that it points to, and the roots at the very end. */
  readonly order?: 'roots-first' | 'roots-last';
  /** True: what this entry points to is not followed from here. The entry itself is given. */
  readonly prune?: (key: string, entry: Entry<V>) => boolean | Promise<boolean>;
  /** Hears of a key that the store does not have, and who points to it (nobody: a root); the walk then goes on. Without it, the walk fails with `data-missing`. */
  readonly onMissing?: (key: string, from: string | undefined) => void;
  /** Called after each batch of entries that was given, and at the end. */
  readonly onProgress?: (progress: WalkProgress) => void;
}

const RULES: OptionRules = {
  fresh: is.boolean,
  order: is.oneOf('roots-first', 'roots-last'),
  prune: is.fn,
  ...READING_RULES,
};

/**
 * The entries that are reachable from the roots, each key once, read in batches as they are asked
 * for. The order depends on the roots, the walker and what the store holds, never on how fast
 * anything answers. Cycles end. It is no picture of one moment: each entry is given with the very
 * value whose links are followed, as it was when it was read.
 *
 * Memory: the keys met so far, and entries of at most four times `concurrency` x `batchKeys`.
 *
 * Errors: `data-missing`, naming a key that something points to and the store does not have;
 * `invalid-argument` where the walker throws or gives what are no keys, naming the entry that it
 * was shown (a `StrataError` of the walker keeps its code); `aborted`, `timeout`, and those of the
 * store.
 *
 * ```ts
 * for await (const { key, value } of walk(store, ['home'], (key, page) => page.links)) …
 * ```
 */
export function walk<V>(
  store: ReadonlyStore<V>,
  roots: Roots,
  walker: Walker<V>,
  options: WalkOptions<V> = {},
): AsyncIterable<Entry<V>> {
  checkRoots('walk', roots);
  checkWalker('walk', walker);
  checkOptions('walk', options, RULES);
  const { env, timeoutMs: usualMs = DEFAULT_TIMEOUT_MS } = primitivesOf(store, 'walk');
  const { signal, timeoutMs = usualMs } = options;
  return managedIterable<Entry<V>>({
    env,
    operation: 'walk',
    // What is done for one step has bounds of its own: before the first of `roots-last`, a whole path is read.
    bounds: { timeoutMs: Number.POSITIVE_INFINITY, ...(signal && { signal }) },
    defaultTimeoutMs: Number.POSITIVE_INFINITY,
    running: new Set(),
    checkOpen: () => undefined,
    source: (call) => given(store, roots, walker, { ...options, timeoutMs }, call),
    give: (entry) => entry,
  });
}

/** One entry a page, so that an aborted walk gives nothing more. */
async function* given<V>(
  store: ReadonlyStore<V>,
  roots: Roots,
  walker: Walker<V>,
  options: WalkOptions<V> & { readonly timeoutMs: number },
  call: Call,
): AsyncGenerator<readonly Entry<V>[]> {
  const {
    order,
    prune,
    timeoutMs,
    fresh = false,
    concurrency = CONCURRENCY,
    batchKeys = BATCH_KEYS,
  } = options;
  const { env, signal } = call;
  const init = { store, env, walker, operation: 'walk', signal, timeoutMs, fresh, prune };
  const seen = new Set<string>();
  const state = { reader: new LinkReader(init), seen, concurrency, batchKeys };
  const from = await askRoots(roots, { store, env, operation: 'walk', signal, timeoutMs });
  const visits =
    order === 'roots-last' ? dependenciesFirst(state, from) : breadthFirst(state, from);
  yield* told(visits, state, options);
}

/** The entries among the visits; what is missing is told. */
async function* told<V>(
  visits: AsyncIterable<Visited<V>>,
  { seen, batchKeys }: WalkState<V>,
  { onMissing, onProgress }: WalkOptions<V>,
): AsyncGenerator<readonly Entry<V>[]> {
  let entries = 0;
  let missing = 0;
  for await (const { key, from, entry } of visits) {
    if (entry === undefined) {
      missing++;
      if (onMissing === undefined) throw missingEntry('walk', key, from);
      onMissing(key, from);
      continue;
    }
    yield [entry];
    entries++;
    if (entries % batchKeys === 0) onProgress?.({ entries, keys: seen.size, missing });
  }
  if (entries % batchKeys !== 0 || entries === 0)
    onProgress?.({ entries, keys: seen.size, missing });
}
