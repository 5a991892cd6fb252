import type { Env } from '../store/env.ts';
import type { GroupSource } from './group-frames.ts';
import { SourceSums } from './source-sums.ts';

/** So many scopes keep their sums. */
const MAX_SUMS = 16;

/** The sums of the scopes of a publication, for all subscribers of each. */
export class SharedSums {
  readonly #env: Env;
  /** Least recently used first. */
  readonly #sums: Map<string, SourceSums> = new Map();

  constructor(env: Env) {
    this.#env = env;
  }

  /** Those of one scope; `undefined` when all that may be kept are in use. */
  of(source: GroupSource, prefix: string): SourceSums | undefined {
    const id = `${prefix}\u0000${source.scope.shareId}`;
    const known = this.#sums.get(id);
    if (known === undefined && this.#sums.size >= MAX_SUMS) {
      const idle = [...this.#sums].find(([, { users }]) => users === 0);
      if (idle === undefined) return undefined;
      this.#sums.delete(idle[0]);
      idle[1].close();
    }
    const sums = known ?? new SourceSums(source, prefix, this.#env);
    this.#sums.delete(id);
    this.#sums.set(id, sums);
    return sums;
  }

  close(): void {
    for (const sums of this.#sums.values()) sums.close();
    this.#sums.clear();
  }
}
