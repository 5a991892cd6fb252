import { checkKeys } from '../../../store/checks.ts';
import { compareKeys, toKeyRange } from '../../../store/keys.ts';
import type { Primitives } from '../../../store/primitives.ts';
import type { Keys } from '../../../walk/index.ts';
import { type Found, joinKeys, type NextPage } from './join-keys.ts';
import type { WarmOptions } from './options.ts';
import type { KeyBatch, WarmRun } from './run.ts';
import type { WarmTarget, Wish } from './target.ts';

/** Keys that need nothing are told too: a batch ends after so many times its size. */
const MAX_PASSED = 64;

/** The keys of a warming, in key order, with what is wished for them. */
export async function* warmBatches<V>(
  target: WarmTarget<V>,
  options: WarmOptions,
  run: WarmRun<V>,
): AsyncGenerator<KeyBatch> {
  const { strategy = 'fill-missing' } = options;
  const front = pagesOf(target.front, options, run);
  const back = pagesOf(target.back, options, run);
  try {
    if (typeof strategy === 'function') {
      const chosen = await run.call.untilEnd(
        Promise.resolve(strategy(await all(front.next), await all(back.next))),
      );
      yield* chosenBatches(await sorted(chosen, target, run), options.after, run.batchKeys);
    } else yield* joinedBatches(joinKeys(front.next, back.next), strategy, run.batchKeys);
  } finally {
    front.end();
    back.end();
  }
}

/** Batches of keys as they come, without an order to go on from. */
export async function* keyBatches<V>(
  keys: Keys,
  target: WarmTarget<V>,
  run: WarmRun<V>,
): AsyncGenerator<KeyBatch> {
  let batch = new Set<string>();
  for await (const key of bounded(keys, run)) {
    checkKeys(run.call.operation, [key], target.back.capabilities.maxKeyBytes);
    batch.add(key);
    if (batch.size < run.batchKeys) continue;
    yield { keys: [...batch], wish: 'refresh', skipped: 0 };
    batch = new Set();
  }
  if (batch.size > 0) yield { keys: [...batch], wish: 'refresh', skipped: 0 };
}

async function* joinedBatches(
  joined: AsyncIterable<readonly Found[]>,
  strategy: 'fill-missing' | 'mirror',
  batchKeys: number,
): AsyncGenerator<KeyBatch> {
  const wish: Wish = strategy === 'mirror' ? 'mirror' : 'fill';
  let keys: string[] = [];
  let passed = 0;
  let skipped = 0;
  for await (const page of joined)
    for (const { key, inFront, inBack } of page) {
      passed++;
      if (wish === 'mirror' || !inFront) keys.push(key);
      else if (inBack) skipped++;
      if (keys.length < batchKeys && passed < batchKeys * MAX_PASSED) continue;
      yield { keys, wish, skipped, upTo: key };
      [keys, passed, skipped] = [[], 0, 0];
    }
  if (passed > 0) yield { keys, wish, skipped };
}

function* chosenBatches(
  chosen: readonly string[],
  after: string | undefined,
  batchKeys: number,
): Generator<KeyBatch> {
  const left = chosen.filter((key) => after === undefined || compareKeys(key, after) > 0);
  for (let at = 0; at < left.length; at += batchKeys) {
    const keys = left.slice(at, at + batchKeys);
    yield { keys, wish: 'refresh', skipped: 0, upTo: keys.at(-1) };
  }
}

/** A store's keys in the range of a warming, page by page, each within the bound of a step. */
function pagesOf<V>(
  store: Primitives<V>,
  { prefix, after, strategy }: WarmOptions,
  run: WarmRun<V>,
): { readonly next: NextPage; end(): void } {
  const from = typeof strategy === 'function' ? undefined : after;
  const range = toKeyRange({
    ...(prefix !== undefined && { prefix }),
    ...(from !== undefined && { gt: from }),
  });
  const pages = store.scanKeys(range, run.call)[Symbol.asyncIterator]();
  let ended = false;
  const next = async (): Promise<readonly string[]> => {
    while (!ended) {
      const page = await run.run(() => pages.next());
      ended = page.done === true;
      if (page.done !== true && page.value.length > 0) return page.value;
    }
    return [];
  };
  const end = (): void => {
    // A step that hangs is not waited for.
    if (!ended) pages.return?.()?.then(undefined, () => undefined);
    ended = true;
  };
  return { next, end };
}

async function all(next: NextPage): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  for (let page = await next(); page.length > 0; page = await next())
    for (const key of page) keys.add(key);
  return keys;
}

async function sorted<V>(
  keys: Keys,
  target: WarmTarget<V>,
  run: WarmRun<V>,
): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const key of bounded(keys, run)) found.push(key);
  const { maxKeyBytes } = target.back.capabilities;
  return [...new Set(checkKeys(run.call.operation, found, maxKeyBytes))].sort(compareKeys);
}

/** What a caller gives to iterate; it may hang, and ends with the warming. */
async function* bounded<V>(keys: Keys, run: WarmRun<V>): AsyncGenerator<string> {
  if (Symbol.iterator in keys) {
    yield* keys;
    return;
  }
  const steps = keys[Symbol.asyncIterator]();
  let whole = false;
  try {
    for (;;) {
      const step = await run.call.untilEnd(steps.next());
      whole = step.done === true;
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    if (!whole) steps.return?.()?.then(undefined, () => undefined);
  }
}
