import { chain } from '../../../kernel/awaitable.ts';
import { Traffic } from '../../../kernel/traffic.ts';
import type { Awaitable } from '../../../store/awaitable.ts';
import type { Call } from '../../../store/call.ts';
import type { Entry } from '../../../store/entry.ts';
import { isStrataError } from '../../../store/errors.ts';
import type { KeyRange } from '../../../store/keys.ts';
import type {
  BlockingPrimitives,
  CommitOutcome,
  Primitives,
  Write,
} from '../../../store/primitives.ts';
import { throughPolicy } from '../through-store.ts';
import { commonOf, type Policy, type TieredParts } from '../tiered-parts.ts';
import { Behind } from './behind.ts';
import { BehindFeed } from './behind-feed.ts';
import { beneathNow, beneathOf } from './beneath.ts';
import { behindCapabilities } from './checks.ts';
import { chooseJournal } from './journal-choice.ts';
import { blockingScan, type Items, mergedScan, type Overlay } from './merged-scan.ts';
import { Values } from './values.ts';
import { needsOf } from './views.ts';

const DRAIN_MS = 5_000;
const MAX_KEYS = 100_000;
const MAX_BYTES = 64 * 1024 * 1024;

/** Everything that the primitives of such a store work on. */
interface World<V> {
  readonly parts: TieredParts<V>;
  readonly through: Policy<V>;
  readonly behind: Behind<V>;
  readonly values: Values<V>;
  readonly feed: BehindFeed<V>;
}

/** A tiered store whose writes go to a journal, and from there to the back. */
export function behindPolicy<V>(given: TieredParts<V>): Policy<V> {
  const world = worldOf(given);
  const { parts, through, behind, feed } = world;
  const traffic = new Traffic(parts.env);
  let drainMs = DRAIN_MS;
  const reads = readsOf(world);
  const blocking = blockingOf(world);
  const capabilities = behindCapabilities(given);
  const whenOpen = <T>(call: Call, work: () => Awaitable<T>): Awaitable<T> =>
    behind.isOpen ? work() : behind.opened(call).then(work);
  const primitives: Primitives<V> = {
    ...commonOf(parts),
    capabilities,
    ...(parts.back.checkValue !== undefined && {
      checkValue: parts.back.checkValue.bind(parts.back),
    }),
    ...(through.primitives.peek !== undefined && { peek: reads.peek }),
    readOne: (key, call) => traffic.run(call, () => whenOpen(call, () => reads.one(key, call))),
    readMany: (keys, call) => traffic.run(call, () => whenOpen(call, () => reads.many(keys, call))),
    scan: reads.scan,
    scanKeys: reads.scanKeys,
    commit: (writes, call) =>
      traffic.run(call, () => {
        const owned = world.values.own(writes, call.operation);
        return whenOpen(call, async () => {
          const done = await behind.sequencer(call.operation).commit(owned, call);
          return chain(uncopyAbsent(world, owned, done), () => done);
        });
      }),
    feed,
    ...(blocking !== undefined && { blocking }),
    close: async () => {
      const patienceMs = Math.min(parts.backBounds.timeoutMs, DRAIN_MS);
      behind.refuse();
      await traffic.end(patienceMs);
      await behind.close(drainMs, patienceMs);
      feed.close();
      await through.primitives.close();
    },
  };
  return {
    primitives,
    status: () => ({ ...through.status(), pending: behind.status() }),
    ...(through.warming !== undefined && { warming: through.warming }),
    behind: {
      pending: () => behind.status(),
      flush: (call) => behind.flush(call),
      deadLetters: (call) => behind.deadLetters(call),
      forgetDeadLetters: (ids, call) => behind.forgetDeadLetters(ids, call),
      drainWithin: (ms) => {
        drainMs = ms;
      },
    },
  };
}

function worldOf<V>(given: TieredParts<V>): World<V> {
  const { env, options, back, backBounds } = given;
  const parts: TieredParts<V> = {
    ...given,
    onEvent: (event) => {
      if (event.type === 'back-returned') behind.hurry();
      given.onEvent(event);
    },
  };
  const journal = chooseJournal(parts, {
    onLost: (cause) => behind.lost(cause),
    onDamaged: (record, cause) => given.onEvent({ type: 'journal-damaged', record, cause }),
  });
  const through = throughPolicy(parts);
  const values = new Values<V>(parts.front, back);
  const { atomic, conditional } = back.capabilities;
  const feed = new BehindFeed<V>({
    give: (entry) => values.give(entry),
    opened: (call) => behind.opened(call),
    scan: (range, call) => reads.scan(range, call),
    mark: (call) => behind.mark(call),
  });
  const behind: Behind<V> = new Behind<V>({
    env,
    journal,
    feed,
    beneath: beneathOf(parts, through),
    onConflict: options.onConflict ?? 'overwrite',
    maxKeys: options.maxPending?.keys ?? MAX_KEYS,
    maxBytes: options.maxPending?.bytes ?? MAX_BYTES,
    blocks: options.whenFull !== 'reject',
    retry: retryOf(options.retry),
    timeoutMs: backBounds.timeoutMs,
    usualMs: backBounds.usualMs,
    fenced: atomic === 'batch' && conditional === 'all',
    conditional: conditional === 'all',
    fenceValue: values.sample(),
    commit: async (writes, call) => through.primitives.commit(writes, call),
    look: async (keys, call) => back.readMany(keys, call),
    uncopy: (keys) => void through.distrust?.(keys),
    give: (entry) => ({ ...entry, value: values.apart(entry.value) }),
    own: (value) => values.apart(value),
    onEvent: parts.onEvent,
  });
  const world: World<V> = { parts, through, behind, values, feed };
  const reads = readsOf(world);
  return world;
}

/** The maximum is never below the minimum, whichever of them is given. */
function retryOf(given: { readonly minMs?: number; readonly maxMs?: number } = {}): {
  readonly minMs: number;
  readonly maxMs: number;
} {
  const minMs = given.minMs ?? Math.min(100, given.maxMs ?? 100);
  return { minMs, maxMs: given.maxMs ?? Math.max(30_000, minMs) };
}

interface Reads<V> {
  peek(key: string): V | undefined;
  one(key: string, call: Call): Awaitable<Entry<V> | undefined>;
  many(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]>;
  scan(range: KeyRange, call: Call): AsyncIterable<readonly Entry<V>[]>;
  scanKeys(range: KeyRange, call: Call): AsyncIterable<readonly string[]>;
}

/** What is pending comes first; beneath it the store is as any other. */
function readsOf<V>(world: World<V>): Reads<V> {
  const { parts, through, behind, values } = world;
  const { pending } = behind;
  const { primitives } = through;
  const shown = (entry: Entry<V> | undefined): Entry<V> | undefined => entry && behind.shown(entry);
  const beneath = beneathOf(parts, through);
  /** An update starts from what the commit is then compared with. */
  const decisive = behind.tracksBase ? beneath.fresh : beneath.entries;
  const many: Reads<V>['many'] = (keys, call) => {
    const found = new Map<string, Entry<V> | undefined>();
    for (const key of keys) {
      const write = pending.get(key);
      if (write !== undefined) found.set(key, live(behind, values, key));
    }
    const rest = keys.filter((key) => !found.has(key));
    if (rest.length === 0) return keys.map((key) => found.get(key));
    return chain(primitives.readMany(rest, call), (entries) => {
      rest.forEach((key, i) => {
        found.set(key, shown(entries[i]));
      });
      return keys.map((key) => found.get(key));
    });
  };
  const one: Reads<V>['one'] = (key, call) => {
    if (pending.size > 0 && pending.get(key) !== undefined) return live(behind, values, key);
    if (call.operation === 'update') return chain(decisive([key], call), ([entry]) => shown(entry));
    return chain(primitives.readOne(key, call), shown);
  };
  const entries: Items<Entry<V>> = {
    keyOf: ({ key }) => key,
    pending: (key) => live(behind, values, key),
  };
  const keysOnly: Items<string> = {
    keyOf: (key) => key,
    pending: (key) => (live(behind, values, key) === undefined ? undefined : key),
  };
  const overlay = overlayOf(behind);
  return {
    one,
    many,
    peek: (key) => {
      if (!behind.isOpen) return undefined;
      if (pending.size > 0 && pending.get(key) !== undefined)
        return live(behind, values, key)?.value;
      return primitives.peek?.(key);
    },
    async *scan(range, call) {
      if (!behind.isOpen) await behind.opened(call);
      const pages = (inner: KeyRange): AsyncIterable<readonly Entry<V>[]> =>
        mapped(primitives.scan(inner, call), (entry) => behind.shown(entry));
      const reread = (keys: readonly string[]) => many(keys, call);
      yield* mergedScan({ overlay, items: entries, pages, reread }, range, call);
    },
    async *scanKeys(range, call) {
      if (!behind.isOpen) await behind.opened(call);
      const pages = (inner: KeyRange) => primitives.scanKeys(inner, call);
      const reread = (keys: readonly string[]) =>
        chain(many(keys, call), (found) => found.map((entry) => entry?.key));
      yield* mergedScan({ overlay, items: keysOnly, pages, reread }, range, call);
    },
  };
}

/**
 * A delete that found nothing writes nothing, so that no flush takes the front's copy out. There may
 * be one all the same, on its way or older than what the back has just said. A front that is read
 * alone has let go of it already, when the delete looked past it.
 */
function uncopyAbsent<V>(
  { parts, through, behind }: World<V>,
  writes: readonly Write<V>[],
  { outcomes }: CommitOutcome,
): Awaitable<unknown> {
  if (parts.read === 'front-only') return undefined;
  const keys = writes
    .filter(({ type }, i) => type === 'delete' && outcomes[i]?.existed === false)
    .map(({ key }) => key)
    .filter((key) => behind.pending.get(key) === undefined);
  return keys.length === 0 ? undefined : through.distrust?.([...new Set(keys)]);
}

function overlayOf<V>({ pending }: Behind<V>): Overlay {
  return {
    get size() {
      return pending.size;
    },
    get retired() {
      return pending.retired;
    },
    has: (key) => pending.get(key) !== undefined,
    keys: (range, after, count) => pending.keys(range, after, count),
    watchRetiring: () => pending.watchRetiring(),
  };
}

function live<V>(behind: Behind<V>, values: Values<V>, key: string): Entry<V> | undefined {
  const write = behind.pending.get(key);
  const entry = write && behind.live(write);
  return entry && values.give(entry);
}

async function* mapped<A, B>(
  pages: AsyncIterable<readonly A[]>,
  map: (item: A) => B,
): AsyncGenerator<readonly B[]> {
  for await (const page of pages) yield page.map(map);
}

/**
 * Whoever tries again is not to begin with the copies that have led to a conflict, but with newer
 * ones. An update tries again at once: it asks the back then, also for what the front does not keep.
 */
function renewCopies<V>(
  { through, behind }: World<V>,
  writes: readonly Write<V>[],
  operation: string,
): void {
  const keys = [...new Set(writes.map(({ key }) => key))];
  const copied = keys.filter((key) => behind.pending.get(key) === undefined);
  void through.distrust?.(copied);
  if (operation === 'update') return;
  for (const key of copied) {
    try {
      through.now?.fresh(key);
    } catch {
      // The back does not say: then nothing is better than what may be old.
      void through.distrust?.([key]);
    }
  }
}

/** The synchronous half, where journal, front and back have one. */
function blockingOf<V>(world: World<V>): BlockingPrimitives<V> | undefined {
  const { parts, through, behind, values, feed } = world;
  const inner = through.primitives.blocking;
  if (inner === undefined || through.now === undefined || !behind.isBlocking) return undefined;
  const beneath = beneathNow(parts, through.now);
  const { pending } = behind;
  const overlay = overlayOf(behind);
  const readOne = (key: string): Entry<V> | undefined => {
    behind.sequencer('get');
    if (pending.get(key) !== undefined) return live(behind, values, key);
    const entry = inner.readOne(key);
    return entry && behind.shown(entry);
  };
  const commit: BlockingPrimitives<V>['commit'] = (writes, operation) => {
    const needs = needsOf(writes, behind.tracksBase);
    return behind.sequencer(operation).commitNow(writes, operation, (key) => {
      const need = needs.get(key) ?? 'truth';
      return behind.views.now(beneath(key, need), need);
    });
  };
  return {
    readOne,
    *scan(range) {
      behind.sequencer('list');
      const items: Items<Entry<V>> = {
        keyOf: ({ key }) => key,
        pending: (key) => live(behind, values, key),
      };
      const scan = function* (at: KeyRange) {
        for (const entry of inner.scan(at)) yield behind.shown(entry);
      };
      yield* blockingScan({ overlay, items, scan }, range);
    },
    *scanKeys(range) {
      behind.sequencer('keys');
      const items: Items<string> = {
        keyOf: (key) => key,
        pending: (key) => (live(behind, values, key) === undefined ? undefined : key),
      };
      yield* blockingScan({ overlay, items, scan: (at) => inner.scanKeys(at) }, range);
    },
    commit: (writes, operation) => {
      const owned = values.own(writes, operation);
      let done: CommitOutcome;
      try {
        done = commit(owned, operation);
      } catch (error) {
        if (isStrataError(error, 'conflict')) renewCopies(world, owned, operation);
        throw error;
      }
      void uncopyAbsent(world, owned, done);
      return done;
    },
    state: () => {
      behind.sequencer('cursor');
      return feed.now('cursor');
    },
  };
}
