import type { Codec } from '../store/codec.ts';
import type { Entry } from '../store/entry.ts';
import type { Env } from '../store/env.ts';
import { invalidArgument, StrataError } from '../store/errors.ts';
import { checkKey } from '../store/keys.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions } from '../store/options.ts';
import type { ReadonlyStore } from '../store/readonly-store.ts';
import { checkRoots, checkWalker } from '../walk/options.ts';
import type { Keys, Walker } from '../walk/walker.ts';
import { isPlain } from './plain-shape.ts';
import type { CoreLimits } from './publication-core.ts';
import { blamed, type Selection } from './scope.ts';
import type { SourceSide } from './sides.ts';
import { entryOpener } from './stored-entries.ts';
import { WalkedReach } from './walked-reach.ts';

/** Publishes what can be reached from some keys. */
export interface PublishedWalk<V> {
  /** Where it begins: keys, or a function that gives them and is asked again whenever the store has changed. A root that is not there reaches nothing. */
  readonly roots: Iterable<string> | (() => Keys | Promise<Keys>);
  /** The keys that an entry points to; see `stratakv/walk`. */
  readonly walker: Walker<V>;
}

/** What of a store is published, and in what form. */
export interface PartOptions<V> {
  /** Publishes only keys that it accepts. It must always give the same answer for a key. */
  readonly filter?: (key: string) => boolean;
  /**
   * Publishes only entries that it accepts: one that no longer is goes out as a delete. It must
   * always give the same answer for an entry; what depends on the time is said by `expiresAt`. It
   * is no right: the keys of changed entries that it refuses are told.
   */
  readonly where?: (entry: Entry<V>) => boolean;
  /**
   * Gives each key a place within its group: lower ones come first, those of one place in the order
   * of writing, and deletes after all sets, highest place first. For stores whose entries point to
   * others and where no `walk` finds that out: `(key) => (key === 'root' ? 1 : 0)`.
   */
  readonly order?: (key: string) => number;
  /**
   * Publishes only what is reachable from the roots: every entry goes out behind what it points to,
   * the roots last, old entries that something points to anew included. What is no longer reachable
   * stays at the subscriber until it sweeps, or gets a snapshot. What `filter` and `where` refuse is
   * not followed either. A missing block is an error, never a part.
   */
  readonly walk?: PublishedWalk<V>;
  /**
   * Names what `filter`, `where` and `walk` let through, for copies that come back after a restart
   * or to another server. Change it with them. Without it a copy resumes only at this very
   * publication; at any other it is compared with the store, or gets all of it.
   */
  readonly scope?: string;
  /** How values become bytes; default the store's own. */
  readonly codec?: Codec<V>;
}

/** The part of a store that is published, and what its walk reaches, where there is one. */
export interface PublishedPart {
  readonly selection: Selection;
  readonly reach: WalkedReach | undefined;
}

/** Errors: `invalid-argument` for a walk that is none, `unsupported` for a store that cannot be walked. */
export function publishedPart<V>(
  store: ReadonlyStore<V>,
  { filter, where, order, scope, walk, codec }: PartOptions<V>,
  { side, env, limits }: { side: SourceSide; env: Env; limits: CoreLimits },
): PublishedPart {
  const open = entryOpener(store, codec);
  const tests = {
    filter: filter && blamed('the filter', filter),
    where: where && blamed('where', (entry: Entry<unknown>) => where(open(entry))),
  };
  if (walk === undefined) return { selection: { name: scope, order, ...tests }, reach: undefined };
  const roots = checkWalk(store, walk, side);
  const reach = new WalkedReach({
    store: store as ReadonlyStore<unknown>,
    side,
    env,
    roots,
    walker: walk.walker as Walker<unknown>,
    open,
    maxKeys: limits.walkedKeys,
    heldBytes: limits.historyBytes,
    ...tests,
  });
  const isFixed = Array.isArray(roots);
  // What a function gives may be something else in every process.
  const name = isFixed ? scope : undefined;
  const selection = { name, walk: isFixed ? JSON.stringify(roots) : 'asked', ...tests };
  return { selection, reach };
}

/** The roots as they may be asked. */
function checkWalk<V>(
  store: ReadonlyStore<V>,
  walk: PublishedWalk<V>,
  { primitives: { shape } }: SourceSide,
): readonly string[] | (() => Keys | Promise<Keys>) {
  checkOptions('publish', walk, { roots: is.anything, walker: is.anything });
  checkWalker('publish', walk.walker);
  checkRoots('publish', walk.roots);
  if (!isPlain(shape))
    throw new StrataError(
      'unsupported',
      `publish: what ${shape.type} stores show may be ahead of their feed, so they cannot be walked; publish the store inside`,
      { operation: 'publish' },
    );
  const { roots } = walk;
  if (typeof roots === 'function') return roots;
  if (!(Symbol.iterator in roots))
    throw invalidArgument(
      'publish',
      'the option walk.roots',
      roots,
      'an iterable of keys, or a function that gives one',
    );
  const keys = [...new Set(roots)];
  for (const key of keys) checkKey('publish', key, store.capabilities.maxKeyBytes);
  return keys;
}
