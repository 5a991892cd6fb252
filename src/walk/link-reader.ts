import { Call } from '../store/call.ts';
import type { Entry } from '../store/entry.ts';
import type { Env } from '../store/env.ts';
import { failure, isStrataError, StrataError, show } from '../store/errors.ts';
import { checkKey } from '../store/keys.ts';
import type { ReadonlyStore } from '../store/readonly-store.ts';
import { isRootsOnly, type Keys, type Walker } from './walker.ts';

/** An entry with the keys that it points to; without `entry` where the store has none. */
export interface Visited<V> {
  readonly key: string;
  /** The entry that pointed here; absent for a root. */
  readonly from: string | undefined;
  readonly entry: Entry<V> | undefined;
  readonly links: readonly string[];
}

/** A key to visit, and who points to it. */
export interface Link {
  readonly key: string;
  readonly from: string | undefined;
}

/** What a reader is made of. */
export interface LinkReaderInit<V> {
  readonly store: ReadonlyStore<V>;
  readonly env: Env;
  readonly walker: Walker<V>;
  /** The public operation, for errors. */
  readonly operation: string;
  /** Ends reads and walker runs. */
  readonly signal: AbortSignal;
  /** Reads go past every cache. */
  readonly fresh: boolean;
  /** Bounds each read and each walker run. */
  readonly timeoutMs: number;
  readonly prune?: ((key: string, entry: Entry<V>) => boolean | Promise<boolean>) | undefined;
}

/** Reads entries in batches and asks the walker what they point to. Holds nothing. */
export class LinkReader<V> {
  readonly #init: LinkReaderInit<V>;
  readonly #rootsOnly: boolean;

  constructor(init: LinkReaderInit<V>) {
    this.#init = init;
    this.#rootsOnly = isRootsOnly(init.walker);
  }

  /** Visits one batch; one result a link, in order. */
  async visit(links: readonly Link[]): Promise<Visited<V>[]> {
    const { store, signal, timeoutMs, fresh } = this.#init;
    const keys = links.map(({ key }) => key);
    const entries = await store.getEntries(keys, { signal, timeoutMs, fresh });
    const visited: Visited<V>[] = [];
    for (const { key, from } of links) {
      const entry = entries.get(key);
      const found = entry === undefined ? [] : await this.linksOf(entry, from === undefined);
      visited.push({ key, from, entry, links: found });
    }
    return visited;
  }

  /** What an entry points to; nothing where it is pruned, or the walker looks at roots only. */
  async linksOf(entry: Entry<V>, isRoot: boolean): Promise<readonly string[]> {
    const { prune } = this.#init;
    if (this.#rootsOnly && !isRoot) return [];
    const { key } = entry;
    if (prune !== undefined && (await this.run(key, 'prune', () => prune(key, entry)))) return [];
    return this.run(key, 'the walker', () => this.#collect(entry));
  }

  /** At once where the walker gives its keys so: a promise and a deadline for each entry cost more than most walkers. */
  #collect({ key, value }: Entry<V>): string[] | Promise<string[]> {
    const given: Keys | PromiseLike<Keys> = this.#init.walker(key, value);
    // A walker without types may be an async function.
    if (isThenable(given) || !isIterable(given)) return this.#collectLater(key, given);
    return Array.from(given, (link) => this.#checked(key, link));
  }

  async #collectLater(key: string, given: Keys | PromiseLike<Keys>): Promise<string[]> {
    const keys = await given;
    const links: string[] = [];
    if (isIterable(keys)) for (const link of keys) links.push(this.#checked(key, link));
    else for await (const link of keys) links.push(this.#checked(key, link));
    return links;
  }

  #checked(key: string, link: unknown): string {
    const { operation, store } = this.#init;
    try {
      checkKey(operation, link, store.capabilities.maxKeyBytes);
      return link;
    } catch (cause) {
      const what = `the walker gave ${show(link)} for ${JSON.stringify(key)}; expected a key`;
      throw failure('invalid-argument', operation, what, { key, cause });
    }
  }

  /** Runs a function of the caller within the bounds; what it throws is told with the key at fault. */
  async run<T>(key: string, who: string, work: () => T | Promise<T>): Promise<T> {
    const { env, operation, signal, timeoutMs } = this.#init;
    const call = new Call(env, operation, key, { signal, timeoutMs });
    try {
      call.throwIfEnded();
      const result = work();
      return result instanceof Promise ? await call.guard(result) : result;
    } catch (cause) {
      if (isStrataError(cause) && cause.key !== undefined) throw cause;
      const code = cause instanceof StrataError ? cause.code : 'invalid-argument';
      const what = `${who} failed for ${JSON.stringify(key)}: ${reason(cause)}`;
      throw failure(code, operation, what, { key, cause });
    }
  }
}

/** The error for a key that something points to and the store does not have. */
export function missingEntry(
  operation: string,
  key: string,
  from: string | undefined,
): StrataError {
  const what =
    from === undefined
      ? `the root ${JSON.stringify(key)} is not in the store`
      : `${JSON.stringify(key)} is not in the store, and ${JSON.stringify(from)} points to it`;
  return failure('data-missing', operation, what, {
    key,
    ...(from !== undefined && { details: { from } }),
  });
}

function isThenable(given: unknown): given is PromiseLike<Keys> {
  return typeof (given as { then?: unknown } | null)?.then === 'function';
}

function isIterable(keys: Keys): keys is Iterable<string> {
  if (typeof keys === 'object' && keys !== null) {
    if (Symbol.iterator in keys) return true;
    if (Symbol.asyncIterator in keys) return false;
  }
  // A string would pass for an iterable of its characters.
  throw new TypeError(`it gave ${show(keys)}; expected an iterable of keys`);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : show(error);
}
