import type { RedisWord } from '../../drivers/redis/port.ts';
import { sha1s } from '../../drivers/redis/sha1.ts';
import type { Env } from '../../store/env.ts';
import { isStrataError } from '../../store/errors.ts';
import { type ColdObject, DELETED } from './cold-objects.ts';
import { Gathered, MOST_TOGETHER } from './gathered.ts';
import type { HotAudit } from './hot-audit.ts';
import { isInside, type KeyBounds, type Named, namedBytes } from './hot-key.ts';
import type {
  FailCause,
  FailedKey,
  HotSide,
  HotStats,
  KeptReason,
  Mark,
  Presence,
  Restored,
  Taken,
  TakeOptions,
} from './hot-side.ts';
import { restoreObject } from './logical/restore.ts';
import { restoreEach, type SmallValue, smallValue } from './logical/restore-each.ts';
import { MOST_BOTH_BYTES, takenLogical, type ValueForm } from './logical/taken.ts';
import { RedisAudit } from './redis-audit.ts';
import type { HotConnection, ScriptRunner } from './redis-connection.ts';
import { RedisIdentity } from './redis-identity.ts';
import { markWithin, type RedisTransaction } from './redis-transaction.ts';

/** Keys that one step of a scan looks at, about. */
const SCAN_KEYS = 500;
/** Values that one step restores, about. */
const RESTORED_BYTES = 256 * 1024;
/** Such steps under way at once: Redis goes on while the next values are fetched. */
const RESTORE_STEPS = 4;

interface Settling {
  readonly mark: Mark;
  readonly sinceMs: number;
}

/** The steps on keys of one server, or of one slot of a cluster: each is a script there. */
export class RedisSteps implements Omit<HotSide, 'identity' | 'idleKeys' | 'close'> {
  readonly title = 'Redis';
  readonly env: Env;
  readonly namespace: string;
  readonly prefix: string;
  readonly #redis: ScriptRunner;
  readonly #form: ValueForm;
  /** Whether keys were recorded as evicted when it was last asked. */
  #hasRecords = false;

  constructor(redis: ScriptRunner, { namespace, prefix }: KeyBounds, form: ValueForm) {
    this.env = redis.env;
    this.namespace = namespace;
    this.prefix = prefix;
    this.#redis = redis;
    this.#form = form;
  }

  async mark(operation: string, keys: readonly Named[]): Promise<readonly Named[]> {
    const places = await this.#redis.run(operation, 'mark', bytesOf(keys), []);
    return (places as number[]).map((place) => keys[place - 1] as Named);
  }

  take(operation: string, options: TakeOptions): Promise<readonly Taken[]> {
    return this.#take(operation, 'take', options);
  }

  /** As `take`, with keys: those of them that are due. */
  takeDue(operation: string, options: Required<TakeOptions>): Promise<readonly Taken[]> {
    return this.#take(operation, 'takeDue', options);
  }

  async #take(
    operation: string,
    name: 'take' | 'takeDue',
    { leaseMs, mostKeys, mostBytes, only = [] }: TakeOptions,
  ): Promise<readonly Taken[]> {
    const args = [leaseMs, mostKeys, mostBytes, this.#form, MOST_BOTH_BYTES].map(String);
    const items = await this.#redis.run(operation, name, bytesOf(only), args);
    return (items as Buffer[][]).map(toTaken);
  }

  async settle(operation: string, mark: Mark, delayMs: number, sinceMs: number): Promise<boolean> {
    const [settled] = await this.settleAll(operation, delayMs, [{ mark, sinceMs }]);
    return settled as boolean;
  }

  /** As `settle`, of several marks. */
  protected async settleAll(
    operation: string,
    delayMs: number,
    all: readonly Settling[],
  ): Promise<boolean[]> {
    const keys = all.map(({ mark }) => mark.key.bytes);
    const args = all.flatMap(({ mark, sinceMs }) => [mark.generation, sinceMs]);
    const settled = await this.#redis.run(
      operation,
      'settle',
      keys,
      [delayMs, ...args].map(String),
    );
    return (settled as number[]).map((one) => one === 1);
  }

  async fail(operation: string, mark: Mark, delayMs: number, cause: FailCause): Promise<void> {
    const args = [mark.generation, delayMs, cause.code, cause.message].map(String);
    await this.#redis.run(operation, 'fail', [mark.key.bytes], args);
  }

  async failed(operation: string, most: number): Promise<readonly FailedKey[]> {
    const items = await this.#redis.run(operation, 'failed', [], [String(most)]);
    return (items as Buffer[][]).map(toFailed);
  }

  async turn(operation: string, name: string, ms: number): Promise<boolean> {
    const args = [name, String(Math.ceil(ms))];
    return (await this.#redis.run(operation, 'turn', [], args)) === 1;
  }

  async raise(operation: string, mark: Mark, generation: number): Promise<void> {
    const args = [mark.generation, generation].map(String);
    await this.#redis.run(operation, 'raise', [mark.key.bytes], args);
  }

  async forget(operation: string, keys: readonly Named[]): Promise<number> {
    return (await this.#redis.run(operation, 'forget', bytesOf(keys), [])) as number;
  }

  async beginEvict(
    operation: string,
    key: Named,
    idleMs: number,
    leaseMs: number,
  ): Promise<Mark | KeptReason | 'evicted'> {
    const args = [idleMs, leaseMs].map(String);
    const begun = String(await this.#redis.run(operation, 'beginEvict', [key.bytes], args));
    if (/^\d/.test(begun)) return { key, generation: Number(begun) };
    return begun as KeptReason | 'evicted';
  }

  async evict(
    operation: string,
    mark: Mark,
    idleMs: number,
    object: Pick<ColdObject, 'generation' | 'digest' | 'expiresAt'>,
  ): Promise<'evicted' | KeptReason> {
    const { generation, digest, expiresAt } = object;
    const args = [mark.generation, idleMs, generation, digest, expiresAt].map(String);
    const outcome = await this.#redis.run(operation, 'evict', [mark.key.bytes], args);
    return String(outcome) as 'evicted' | KeptReason;
  }

  async restore(
    operation: string,
    key: Named,
    generation: number,
    object: Pick<ColdObject, 'expiresAt' | 'payload' | 'logical'>,
  ): Promise<Restored> {
    return restoreObject(this.#redis, operation, key, generation, object);
  }

  async presence(operation: string, keys: readonly Named[]): Promise<readonly Presence[]> {
    const digests = this.#hasRecords ? sha1s(bytesOf(keys)) : '';
    const found = await this.#redis.run(operation, 'presence', keys.map(wordOf), [digests]);
    this.#hasRecords = found !== 1;
    if (typeof found === 'number') return keys.map(() => 'hot');
    return (found as (number | Buffer)[]).map((one) => {
      if (typeof one !== 'number') return Number(String(one));
      return one === 1 ? 'hot' : 'absent';
    });
  }

  /** Those among keys that were idle so long and are not marked. */
  async idle(operation: string, keys: readonly Buffer[], idleMs: number): Promise<Named[]> {
    const idle = (await this.#redis.run(operation, 'idle', keys, [String(idleMs)])) as number[];
    return idle.map((place) => namedBytes(keys[place - 1] as Buffer));
  }

  async stats(operation: string): Promise<HotStats> {
    const [dirty, oldest, evicted, failing] = (await this.#redis.run(
      operation,
      'stats',
      [],
      [],
    )) as unknown[];
    return {
      dirty: Number(dirty),
      failing: Number(failing),
      oldestMarkMs: Number(String(oldest)),
      evicted: Number(String(evicted)),
    };
  }
}

/** The keys of one Redis server. */
export class RedisSide extends RedisSteps implements HotSide {
  readonly #connection: HotConnection;
  readonly #identity: RedisIdentity;
  readonly restoresAtOnce: number = RESTORE_STEPS * MOST_TOGETHER;
  readonly #restorings = new Map<string, Gathered<SmallValue, Restored | 'alone'>>();
  readonly #settlings = new Map<string, Gathered<Settling, boolean>>();
  readonly audit: HotAudit;

  constructor(connection: HotConnection, bounds: KeyBounds, form: ValueForm) {
    super(connection, bounds, form);
    this.#connection = connection;
    this.#identity = new RedisIdentity(connection.env, [
      `${bounds.namespace}:id`,
      `${bounds.namespace}:clock`,
    ]);
    this.audit = new RedisAudit(connection, (operation) =>
      scanned(bounds, (words) => connection.read(operation, words)),
    );
  }

  identity(operation: string, names: boolean): Promise<string | undefined> {
    return this.#identity.ask(names, (words) => this.#connection.read(operation, words));
  }

  override settle(
    operation: string,
    mark: Mark,
    delayMs: number,
    sinceMs: number,
  ): Promise<boolean> {
    const id = `${operation} ${delayMs}`;
    let settlings = this.#settlings.get(id);
    if (settlings === undefined) {
      settlings = new Gathered((all) => this.settleAll(operation, delayMs, all), {
        onIdle: () => this.#settlings.delete(id),
      });
      this.#settlings.set(id, settlings);
    }
    return settlings.add({ mark, sinceMs });
  }

  override async restore(
    operation: string,
    key: Named,
    generation: number,
    object: Pick<ColdObject, 'expiresAt' | 'payload' | 'logical'>,
  ): Promise<Restored> {
    const small = smallValue(key, generation, object);
    if (small === undefined) return super.restore(operation, key, generation, object);
    let restorings = this.#restorings.get(operation);
    if (restorings === undefined) {
      restorings = new Gathered((all) => restoreEach(this.#connection, operation, all), {
        onIdle: () => this.#restorings.delete(operation),
        mostBytes: RESTORED_BYTES,
        atOnce: RESTORE_STEPS,
      });
      this.#restorings.set(operation, restorings);
    }
    const outcome = await restorings.add(small, small.bytes.length).catch((error: unknown) => {
      // Refused for want of memory in the midst of others: each hears of itself.
      if (isStrataError(error, 'no-space')) return 'alone' as const;
      throw error;
    });
    return outcome === 'alone' ? super.restore(operation, key, generation, object) : outcome;
  }

  markWithin(transaction: RedisTransaction, keys: readonly Named[]): void {
    markWithin(transaction, `${this.namespace}:`, bytesOf(keys));
  }

  async *idleKeys(operation: string, idleMs: number): AsyncGenerator<readonly Named[]> {
    for await (const keys of scanned(this, (words) => this.#connection.read(operation, words)))
      yield keys.length === 0 ? [] : await this.idle(operation, keys, idleMs);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

/** The keys of one node that an archive is for, in parts. */
export async function* scanned(
  bounds: KeyBounds,
  read: (words: readonly RedisWord[]) => Promise<unknown>,
): AsyncGenerator<readonly Buffer[]> {
  const pattern = `${bounds.prefix.replace(/[\\*?[\]^-]/g, '\\$&')}*`;
  let cursor = '0';
  do {
    const words = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(SCAN_KEYS)];
    const [next, found] = (await read(words)) as [Buffer, Buffer[]];
    cursor = String(next);
    yield found.filter((bytes) => isInside(bytes, bounds));
  } while (cursor !== '0');
}

/** Text is sent as such: clients put thousands of short strings together sooner than buffers. */
const wordOf = ({ isText, shown, bytes }: Named): RedisWord => (isText ? shown : bytes);
const bytesOf = (keys: readonly Named[]): Buffer[] => keys.map(({ bytes }) => bytes);

function toFailed(item: Buffer[]): FailedKey {
  const [bytes, markedAt, tries, nextTryAt, why] = item;
  const [code, ...message] = String(why).split(' ');
  return {
    key: namedBytes(bytes as Buffer).shown,
    cause: { code: code as string, message: message.join(' ') },
    tries: Number(String(tries)),
    markedAt: Number(String(markedAt)),
    nextTryAt: Number(String(nextTryAt)),
  };
}

function toTaken(item: Buffer[]): Taken {
  const [bytes, generation, tries, state, payload, digest, expiresAt, type, logical] = item;
  const isValue = String(state) === 'value';
  return {
    key: namedBytes(bytes as Buffer),
    generation: Number(String(generation)),
    tries: Number(String(tries)),
    state: String(state) as Taken['state'],
    object: {
      type: isValue ? String(type) : DELETED,
      generation: Number(String(generation)),
      expiresAt: isValue ? Number(String(expiresAt)) : 0,
      digest: isValue ? String(digest) : '',
      payload: isValue ? (payload as Buffer) : new Uint8Array(0),
      ...(isValue && takenLogical(String(type), logical)),
    },
  };
}
