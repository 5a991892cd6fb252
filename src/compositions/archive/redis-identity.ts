import type { RedisWord } from '../../drivers/redis/port.ts';
import type { Env } from '../../store/env.ts';
import { randomId } from '../../store/version.ts';

/** The archive's own key with the name that a Redis, or a cluster, gives itself. */
export const identityKey = (namespace: string): string => `${namespace}:id`;

/** Tells such a key from keys of others; see `isIdentity` of the scripts. */
const MARKER = 'archive:';

/**
 * The name of a Redis; the first who asks gives it one, which stays. It is read first, since a
 * server without room takes no SET, also none that changes nothing.
 */
export class RedisIdentity {
  readonly #key: string;
  readonly #env: Env;

  constructor(env: Env, namespace: string) {
    this.#key = identityKey(namespace);
    this.#env = env;
  }

  async ask(send: (words: readonly RedisWord[]) => Promise<unknown>): Promise<string> {
    const standing = await send(['GET', this.#key]);
    if (standing !== null) return String(standing);
    // Another one each time: a Redis that was emptied is not to get its old name again.
    const ours = `${MARKER}${randomId(this.#env)}`;
    return String((await send(['SET', this.#key, ours, 'NX', 'GET'])) ?? ours);
  }
}
