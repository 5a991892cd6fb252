import type { Call } from '../../../store/call.ts';
import type { Env } from '../../../store/env.ts';
import type { Primitives } from '../../../store/primitives.ts';
import type { ReadonlyStore } from '../../../store/readonly-store.ts';
import type { Lifetime } from './lifetime.ts';

/**
 * What is to become of keys: `fill` copies those that the front does not have; `refresh` also
 * replaces those that differ; `mirror` also removes those that the back does not have.
 */
export type Wish = 'fill' | 'refresh' | 'mirror';

/** What has become of keys. */
export interface Dealt {
  readonly copied: number;
  readonly skipped: number;
  readonly removed: number;
  readonly missing: number;
  /** With `expected`: the first key that the back has in another version. It and those after it are left. */
  readonly changed?: string;
}

/** What is asked of a target. */
export interface Task {
  readonly keys: readonly string[];
  readonly wish: Wish;
  /** The versions in which the keys are to be copied, or not at all. */
  readonly expected?: ReadonlyMap<string, string>;
}

/** A front and a back between which entries are copied, by the rules of whoever uses them. */
export interface WarmTarget<V> {
  readonly env: Env;
  readonly front: Primitives<V>;
  readonly back: Primitives<V>;
  /** The back as a store, to be walked. */
  readonly backStore: ReadonlyStore<V>;
  /** Longest time for one read or write, in ms. */
  readonly stepTimeoutMs: number;
  readonly lifetime: Lifetime;
  /** Brings keys of the front to what is wished for. Never replaces or brings back anything newer. */
  deal(task: Task, steps: Steps): Promise<Dealt>;
}

/** Makes the calls for single steps of a warming: each has a bound of its own and ends with the whole. */
export interface Steps {
  run<T>(work: (call: Call) => T | Promise<T>): Promise<T>;
}
