import type { Store } from '../../store/store.ts';
import type { Field } from '../fields.ts';

/** Options by name, as they stand in the configuration or as the store takes them. */
export type Options = Readonly<Record<string, unknown>>;

/** What can be told of a store before it is open. */
export interface Traits {
  readonly feed: boolean;
  readonly evicts: boolean;
}

/** Opens a store whose parts are open. */
export type Open = (options: Options) => Store<unknown>;

/** All that configuration knows of one type of store. */
export interface TypeSpec<Definition = never> {
  readonly kind: 'driver' | 'layer' | 'composition';
  readonly doc: string;
  readonly fields: Readonly<Record<Exclude<keyof Definition, 'type'>, Field>>;
  /** The npm package without which it does not open. */
  readonly npmName?: string;
  /** Imports what opens the store, and nothing else. */
  load(): Promise<Open>;
  /** Refuses options that contradict each other; in place of each part stands a description of it. */
  check?(options: Options): void | Promise<void>;
  /** `part` tells of a store inside, by its path. */
  traits(options: Options, part: (path: string) => Traits): Traits;
  /** What no two stores of one composition may share. */
  place?(options: Options): string | undefined;
}

/** A store as seen from outside, whatever its values are. */
export function opened(store: Store<never>): Store<unknown> {
  return store as Store<unknown>;
}
