import { KEY_NAMES } from './lua/prelude.ts';

/** The names under which a store lies. */
export interface Layout {
  /** In the order of every script. */
  readonly keys: readonly string[];
  /** The hash of heads and envelopes. */
  readonly data: string;
  /** The channel that rings at every commit. */
  readonly channel: string;
}

/** The layout under a prefix: the braces keep all of it in one hash slot. */
export function layoutOf(prefix: string): Layout {
  const keys = KEY_NAMES.map((name) => `{${prefix}}:${name}`);
  return { keys, data: `{${prefix}}:data`, channel: `{${prefix}}:bell` };
}
