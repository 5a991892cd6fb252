import type { Capabilities } from '../../store/capabilities.ts';
import type { Store } from '../../store/store.ts';
import type { Field } from '../fields.ts';

/** Options by name, as they stand in the configuration or as the store takes them. */
export type Options = Readonly<Record<string, unknown>>;

/** What can be told of a store before it is open; as of its capabilities. */
export interface Traits extends Pick<Capabilities, 'feed' | 'durability' | 'atomic'> {
  readonly evicts: boolean;
  /** Whether an entry is its value and expiry alone. */
  readonly bare?: boolean;
}

/** What stands in place of a part when options are checked. */
export interface StandIn {
  readonly type: string;
  readonly capabilities: Traits;
}

/** Opens a store, or what else is made of stores, whose parts are open. */
export type Open<Made = Store<unknown>> = (options: Options) => Made;

/** All that configuration knows of one type of store, or of what else is made of stores. */
export interface TypeSpec<Definition = never, Made = Store<unknown>> {
  readonly kind: 'driver' | 'layer' | 'composition' | 'archive';
  readonly doc: string;
  readonly fields: Readonly<Record<Exclude<keyof Definition, 'type'>, Field>>;
  /** The npm package without which it does not open. */
  readonly npmName?: string;
  /** Imports what opens the store, and nothing else. */
  load(): Promise<Open<Made>>;
  /** Refuses options that contradict each other; in place of each part stands a description of it. */
  check?(options: Options): void | Promise<void>;
  /** `parts` tells of the stores inside by the name of the option. */
  traits(options: Options, parts: (name: string) => readonly Traits[]): Traits;
  /** What no two stores of one composition may share. */
  place?(options: Options): string | undefined;
}

/** A store as seen from outside, whatever its values are. */
export function opened(store: Store<never>): Store<unknown> {
  return store as Store<unknown>;
}

/** What a layer can do that changes nothing of it. */
export function ofInner(_: Options, parts: (name: string) => readonly Traits[]): Traits {
  return first(parts('store'));
}

/** The traits of the part that must be given. */
export function first(parts: readonly Traits[]): Traits {
  return parts[0] ?? { feed: false, evicts: false, durability: 'memory', atomic: 'key' };
}
