import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import { failure } from '../../store/errors.ts';
import type { BlockingPrimitives, Feed, Primitives } from '../../store/primitives.ts';
import { behindCapabilities } from './behind/checks.ts';
import { Values } from './behind/values.ts';
import { NO_PENDING } from './events.ts';
import { closeAll, commonOf, type Policy, type TieredParts } from './tiered-parts.ts';
import { Lifetime } from './warming/lifetime.ts';
import type { WarmTarget } from './warming/target.ts';

type Module = typeof import('./behind/behind-store.ts');
type BehindPolicy<V> = ReturnType<typeof import('./behind/behind-store.ts').behindPolicy<V>>;

let loaded: Module | undefined;

/** Loads what write-behind is made of, which only those who use it pay for. */
export async function loadBehind(): Promise<Module> {
  loaded ??= await import('./behind/behind-store.ts');
  return loaded;
}

/** The policy of a store that is written behind, from its first call on. */
class LatePolicy<V> {
  now: BehindPolicy<V> | undefined;
  drainMs: number | undefined;
  readonly #parts: TieredParts<V>;
  #loading: Promise<BehindPolicy<V>> | undefined;
  #closed = false;

  constructor(parts: TieredParts<V>) {
    this.#parts = parts;
  }

  /** Goes on with the policy: at once where it is there. Errors: `unavailable` where its code cannot be loaded. */
  use<T>(call: Call, work: (policy: BehindPolicy<V>) => Awaitable<T>): Awaitable<T> {
    if (this.now !== undefined) return work(this.now);
    return this.get(call).then(work);
  }

  get(call: Call): Promise<BehindPolicy<V>> {
    const { operation, key } = call;
    this.#loading ??= loadBehind().then(
      ({ behindPolicy }) => {
        if (this.#closed) throw failure('closed', operation, 'the store is closed', { key });
        this.now = behindPolicy(this.#parts);
        if (this.drainMs !== undefined) this.now.behind?.drainWithin(this.drainMs);
        return this.now;
      },
      (cause: unknown) => {
        this.#loading = undefined;
        const why = 'the code of write-behind could not be loaded';
        throw failure('unavailable', operation, why, { key, cause });
      },
    );
    return call.untilEnd(this.#loading);
  }

  blocking(operation: string): BlockingPrimitives<V> {
    const blocking = this.now?.primitives.blocking;
    if (blocking !== undefined) return blocking;
    const why = 'the journal is not open yet; await any call of the store first';
    throw failure('unavailable', operation, why);
  }

  async close(): Promise<void> {
    this.#closed = true;
    // What is about to be made is closed, what is not made has nothing but its parts.
    await this.#loading?.catch(() => {});
    if (this.now !== undefined) await this.now.primitives.close();
    else await closeAll(this.#parts.close());
  }
}

/** A tiered store whose writes go to a journal, and from there to the back. */
export function lateBehindPolicy<V>(parts: TieredParts<V>): Policy<V> {
  if (loaded !== undefined) return loaded.behindPolicy(parts);
  const late = new LatePolicy(parts);
  return {
    primitives: primitivesOf(parts, late),
    status: () => late.now?.status() ?? { back: { state: 'up' }, fenced: 0, pending: NO_PENDING },
    warming: warmingOf(parts, late),
    behind: {
      pending: () => late.now?.behind?.pending() ?? NO_PENDING,
      flush: async (call) => (await late.get(call)).behind?.flush(call),
      deadLetters: async (call) => (await late.get(call)).behind?.deadLetters(call) ?? [],
      forgetDeadLetters: async (ids, call) =>
        (await late.get(call)).behind?.forgetDeadLetters(ids, call),
      drainWithin: (drainMs) => {
        late.drainMs = drainMs;
        late.now?.behind?.drainWithin(drainMs);
      },
    },
  };
}

function primitivesOf<V>(parts: TieredParts<V>, late: LatePolicy<V>): Primitives<V> {
  const { front, back } = parts;
  const capabilities = behindCapabilities(parts);
  const values = new Values<V>(front, back);
  return {
    ...commonOf(parts),
    capabilities,
    ...(back.checkValue !== undefined && { checkValue: back.checkValue.bind(back) }),
    ...(front.peek !== undefined && { peek: (key) => late.now?.primitives.peek?.(key) }),
    readOne: (key, call) => late.use(call, ({ primitives }) => primitives.readOne(key, call)),
    readMany: (keys, call) => late.use(call, ({ primitives }) => primitives.readMany(keys, call)),
    async *scan(range, call) {
      yield* (await late.get(call)).primitives.scan(range, call);
    },
    async *scanKeys(range, call) {
      yield* (await late.get(call)).primitives.scanKeys(range, call);
    },
    commit: (writes, call) => {
      // The caller may change its values as soon as this returns.
      const owned = late.now === undefined ? values.own(writes, call.operation) : writes;
      return late.use(call, ({ primitives }) => primitives.commit(owned, call));
    },
    feed: feedOf(late),
    ...(capabilities.blocking && { blocking: blockingOf(late) }),
    close: () => late.close(),
  };
}

function feedOf<V>(late: LatePolicy<V>): Feed<V> {
  const get = async (call: Call): Promise<Feed<V>> =>
    (await late.get(call)).primitives.feed as Feed<V>;
  return {
    // As many steps as a commit takes: what is written after the call lies behind the head.
    state: (call) => late.use(call, ({ primitives }) => (primitives.feed as Feed<V>).state(call)),
    async *read(after, call) {
      yield* (await get(call)).read(after, call);
    },
    wait: async (after, call) => (await get(call)).wait(after, call),
    epochOf: (rev) => late.now?.primitives.feed?.epochOf(rev) ?? '',
  };
}

function blockingOf<V>(late: LatePolicy<V>): BlockingPrimitives<V> {
  return {
    readOne: (key) => late.blocking('get').readOne(key),
    scan: (range) => late.blocking('list').scan(range),
    scanKeys: (range) => late.blocking('keys').scanKeys(range),
    commit: (writes, operation) => late.blocking(operation).commit(writes, operation),
  };
}

function warmingOf<V>(parts: TieredParts<V>, late: LatePolicy<V>): WarmTarget<V> {
  const { env, front, back, options, timeoutMs, backBounds } = parts;
  return {
    env,
    front,
    back,
    backStore: options.back,
    stepTimeoutMs: timeoutMs ?? backBounds.usualMs,
    lifetime: new Lifetime(),
    deal: async (task, steps) => {
      const policy = await steps.run((call) => late.get(call));
      if (policy.warming === undefined)
        throw failure('unsupported', 'warm', 'the front of this tiered store cannot be warmed');
      return policy.warming.deal(task, steps);
    },
  };
}
