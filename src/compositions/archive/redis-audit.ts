import type { RedisWord } from '../../drivers/redis/port.ts';
import type { ColdObject } from './cold-objects.ts';
import type { Claimed, Compared, Confirmed, HotAudit, Inspected } from './hot-audit.ts';
import { type Named, namedBytes } from './hot-key.ts';
import { isLogical, isSameValue } from './logical/compare.ts';
import { takenLogical } from './logical/taken.ts';
import type { ScriptRunner } from './redis-connection.ts';

/** Of a SHA-1. */
const DIGEST_LETTERS = 40;

/** Gives all keys of the archive, in parts. */
export type Scan = (operation: string) => AsyncIterable<readonly Buffer[]>;

/** The steps of an audit for the keys of one Redis server. */
export class RedisAudit implements HotAudit {
  readonly #redis: ScriptRunner;
  readonly #scan: Scan;

  constructor(redis: ScriptRunner, scan: Scan) {
    this.#redis = redis;
    this.#scan = scan;
  }

  async inspect(operation: string, keys: readonly Named[]): Promise<readonly Inspected[]> {
    const found = await this.#redis.run(operation, 'inspect', bytesOf(keys), []);
    return (found as RedisWord[][]).map((item, at) => toInspected(keys[at] as Named, item));
  }

  async compare(operation: string, key: Named, object: ColdObject): Promise<Compared> {
    const item = await this.#redis.run(operation, 'value', [key.bytes], []);
    if (!Array.isArray(item)) return 'away';
    const [digest, expiresAt, logical] = toValue(item);
    if (expiresAt !== object.expiresAt) return 'different';
    if (digest === object.digest) return 'same';
    if (logical === undefined || object.logical === undefined) return 'different';
    return isSameValue(logical, object.logical) ? 'same' : 'different';
  }

  async isSound({ payload, digest, logical }: ColdObject): Promise<boolean> {
    // Of what another kind of hot side gave it is not known.
    if (payload.length > 0 && digest.length === DIGEST_LETTERS) {
      const sum = await crypto.subtle.digest('SHA-1', Uint8Array.from(payload));
      if (Buffer.from(sum).toString('hex') !== digest) return false;
    }
    return logical === undefined || isLogical(logical);
  }

  async *keys(operation: string): AsyncGenerator<readonly Named[]> {
    for await (const keys of this.#scan(operation)) yield keys.map(namedBytes);
  }

  async claim(operation: string, keys: readonly Named[]): Promise<readonly Claimed[]> {
    const found = await this.#redis.run(operation, 'claim', bytesOf(keys), []);
    return (found as Buffer[]).map((one) => String(one) as Claimed);
  }

  async confirm(
    operation: string,
    key: Named,
    { generation, expiresAt }: Pick<ColdObject, 'generation' | 'expiresAt'>,
  ): Promise<Confirmed> {
    const args = [generation, expiresAt].map(String);
    return String(await this.#redis.run(operation, 'confirm', [key.bytes], args)) as Confirmed;
  }
}

const bytesOf = (keys: readonly Named[]): Buffer[] => keys.map(({ bytes }) => bytes);

function toInspected(key: Named, item: readonly unknown[]): Inspected {
  const [there, marked, generation, isOthers, digest, expiresAt] = item;
  return {
    key,
    isHot: there === 1,
    isMarked: marked === 1,
    ...(isOthers === 1 && { isOthers: true }),
    ...(String(generation) !== '' && { evictedAs: Number(String(generation)) }),
    ...(digest !== undefined && { digest: String(digest), expiresAt: Number(String(expiresAt)) }),
  };
}

/** Digest, expiry and logical form, of what is read as `take` reads it. */
function toValue(item: readonly unknown[]): [string, number, Uint8Array | undefined] {
  const [digest, expiresAt, type, reply] = item.slice(5);
  const { logical } = takenLogical(String(type), reply);
  return [String(digest), Number(String(expiresAt)), logical];
}
