import type { RedisWord } from '../../drivers/redis/port.ts';
import type { Env } from '../../store/env.ts';
import { randomId } from '../../store/version.ts';

const MARKER = 'archive:';

/**
 * KEYS: where the name is; the clock, which there is no later than the name, so that other archives
 * tell both. ARGV: a name. Gives the one that stands. Also without room: what frees some needs it.
 */
const NAME = `#!lua flags=allow-oom
if KEYS[2] then redis.call('SET', KEYS[2], '0', 'NX') end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'GET') or ARGV[1]`;

/**
 * The name of a Redis, or a cluster; the first who asks to `names` it gives it one, which stays. It is read first,
 * since a replica takes no script that may write.
 */
export class RedisIdentity {
  readonly #env: Env;
  readonly #keys: readonly [string, ...string[]];

  /** `keys`: that of the name, and that of the clock where it is in the same slot. */
  constructor(env: Env, keys: readonly [string, ...string[]]) {
    this.#env = env;
    this.#keys = keys;
  }

  async ask(
    names: boolean,
    send: (words: readonly RedisWord[]) => Promise<unknown>,
  ): Promise<string | undefined> {
    const [key] = this.#keys;
    const standing = await send(['GET', key]);
    if (standing !== null) return String(standing);
    if (!names) return undefined;
    // Another one each time: a Redis that was emptied is not to get its old name again.
    const ours = `${MARKER}${randomId(this.#env)}`;
    return String(await send(['EVAL', NAME, String(this.#keys.length), ...this.#keys, ours]));
  }
}
