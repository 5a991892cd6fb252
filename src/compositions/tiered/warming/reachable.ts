import type { Entry } from '../../../store/entry.ts';
import { type Roots, type Walker, walk } from '../../../walk/index.ts';
import type { WarmRun } from './run.ts';
import type { Dealt, WarmTarget } from './target.ts';

/** So often a walk is begun anew because something has changed since its links were followed. */
const MAX_PASSES = 10;

/**
 * Copies what is reachable, each entry after all that it points to. An entry whose links were
 * followed is copied in that very version or not at all: when it has changed, the walk begins anew
 * and passes over what is copied already. One that keeps changing is left out.
 */
export class ReachableCopies<V> {
  readonly #target: WarmTarget<V>;
  readonly #run: WarmRun<V>;
  /** Keys dealt with, by the version whose links were followed. */
  readonly #done = new Map<string, string>();
  readonly #missing = new Set<string>();

  constructor(target: WarmTarget<V>, run: WarmRun<V>) {
    this.#target = target;
    this.#run = run;
  }

  async copy(roots: Roots, walker: Walker<V>): Promise<void> {
    for (let passes = 1; ; passes++)
      if (await this.#pass(roots, walker, passes >= MAX_PASSES)) break;
    this.#run.count({ copied: 0, skipped: 0, removed: 0, missing: this.#missing.size });
    this.#run.tell();
  }

  /** True when nothing had changed, or this was the `last` try. */
  async #pass(roots: Roots, walker: Walker<V>, last: boolean): Promise<boolean> {
    const { call, batchKeys, concurrency } = this.#run;
    const entries = walk(this.#target.backStore, roots, walker, {
      order: 'roots-last',
      fresh: true,
      batchKeys,
      concurrency,
      signal: call.signal,
      timeoutMs: this.#target.stepTimeoutMs,
      prune: (key, { version }) => this.#done.get(key) === version,
      onMissing: (key) => this.#missing.add(key),
    });
    let versions = new Map<string, string>();
    for await (const { key, version } of entries as AsyncIterable<Entry<V>>) {
      if (this.#done.get(key) === version) continue;
      versions.set(key, version);
      if (versions.size < batchKeys) continue;
      if (!(await this.#deal(versions, last))) return false;
      versions = new Map();
    }
    return this.#deal(versions, last);
  }

  /** Deals with entries in their order, up to one that has changed; true when none had. */
  async #deal(versions: ReadonlyMap<string, string>, last: boolean): Promise<boolean> {
    let keys = [...versions.keys()];
    while (keys.length > 0) {
      const dealt: Dealt = await this.#run.deal({ keys, wish: 'refresh', expected: versions });
      const end = dealt.changed === undefined ? keys.length : keys.indexOf(dealt.changed);
      for (const key of keys.slice(0, end)) this.#done.set(key, versions.get(key) as string);
      const leftOut = last && dealt.changed !== undefined ? 1 : 0;
      this.#run.count({ ...dealt, skipped: dealt.skipped + leftOut });
      this.#run.tell();
      if (dealt.changed !== undefined && !last) return false;
      keys = keys.slice(end + 1);
    }
    return true;
  }
}
