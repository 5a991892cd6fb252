import type { RedisKeys } from './redis-keys.ts';

const made = new WeakMap<object, object>();

/** Remembers the hot side that an archive was made of, for what works beside it. */
export function keepHotKeys<A extends object>(archive: A, hot: object): A {
  made.set(archive, hot);
  return archive;
}

/** The hot side that an archive was made of. What is of one Redis server has a connection. */
export function hotKeysOf(archive: object): Partial<RedisKeys> | undefined {
  return made.get(archive);
}
