/** Keys of all types of Redis, made from a seed: sizes as they occur, and a few of each that are large. */
import { createHash } from 'node:crypto';
import type { RedisClientType } from 'redis';
import { type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';

type Word = string | Buffer;

/** A client that takes any words. */
export type AnyClient = Pick<RedisClientType, 'sendCommand'>;

/** Commands that make one key, and what the key is to be. */
export interface SampleKey {
  readonly key: Buffer;
  readonly type: 'string' | 'list' | 'set' | 'zset' | 'hash' | 'stream';
  readonly commands: readonly (readonly Word[])[];
}

const TYPES = ['string', 'string', 'hash', 'list', 'set', 'zset', 'stream'] as const;
const SCORES = ['-inf', 'inf', '-0', '0', '1e308', '5e-324', '0.1', '-17', '9007199254740993'];
const EXPIRES_AFTER_MS = 86_400_000;

/** So many keys; those of one seed are the same each time, but for the hour at which they expire. */
export function* sampleKeys(count: number, seed: number, nowMs: number): Generator<SampleKey> {
  const random = new Samples(simulatedEnv(seed));
  for (let n = 0; n < count; n++) {
    const type = TYPES[n % TYPES.length] as SampleKey['type'];
    const key = random.key(n);
    const commands = [...random.commands(type, key)];
    const at = nowMs + EXPIRES_AFTER_MS + random.upTo(EXPIRES_AFTER_MS);
    if (n % 5 === 0) commands.push(['PEXPIREAT', key, String(at)]);
    yield { key, type, commands };
  }
}

/** Writes them, many at once. */
export async function writeSamples(client: AnyClient, keys: readonly SampleKey[]): Promise<void> {
  for (let at = 0; at < keys.length; at += 500)
    await Promise.all(
      keys
        .slice(at, at + 500)
        .flatMap(({ commands }) => commands.map((words) => client.sendCommand(words as string[]))),
    );
}

/** What a key is, for comparing before and after. Times at which consumers were seen are not kept. */
export async function digestOf(client: AnyClient, { key, type }: SampleKey): Promise<string> {
  const ask = (...words: Word[]): Promise<unknown> => client.sendCommand(words as string[]);
  const [digest, expiresAt, stream] = await Promise.all([
    ask('DEBUG', 'DIGEST-VALUE', key),
    ask('PEXPIRETIME', key),
    type === 'stream' && ask('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0'),
  ]);
  const told = JSON.stringify([digest, expiresAt, stream], leftOut);
  return stream === false ? told : createHash('sha1').update(told).digest('hex');
}

/** Nor is it told how the server keeps a stream inside. */
const LEFT_OUT = new Set(['seen-time', 'active-time', 'radix-tree-keys', 'radix-tree-nodes']);

/** The client gives pairs as an object. */
const leftOut = (name: string, value: unknown): unknown => (LEFT_OUT.has(name) ? undefined : value);

class Samples {
  readonly #env: SimulatedEnv;

  constructor(env: SimulatedEnv) {
    this.#env = env;
  }

  upTo(most: number): number {
    return Math.floor(this.#env.random() * (most + 1));
  }

  key(n: number): Buffer {
    const name = Buffer.from(`sample:${n}:${'♡'.repeat(n % 3)}`);
    // Some are no text.
    return n % 11 === 0 ? Buffer.concat([name, Buffer.from(this.#env.randomBytes(6))]) : name;
  }

  commands(type: SampleKey['type'], key: Buffer): Generator<Word[]> {
    return this[type](key);
  }

  /** Mostly few, now and then as many as make Redis keep them in another way. */
  #size(): number {
    const kind = this.#env.random();
    if (kind < 0.8) return 1 + this.upTo(12);
    return kind < 0.98 ? 20 + this.upTo(180) : 200 + this.upTo(1_500);
  }

  #word(): Word {
    const kind = this.#env.random();
    if (kind < 0.25) return String(this.upTo(1e9));
    if (kind < 0.8) return 'some text, again '.repeat(1 + this.upTo(4)) + this.upTo(1e6);
    if (kind < 0.82) return '';
    return Buffer.from(this.#env.randomBytes(1 + this.upTo(kind > 0.98 ? 2_000 : 60)));
  }

  #words(count: number): Word[] {
    return Array.from({ length: count }, () => this.#word());
  }

  *string(key: Buffer): Generator<Word[]> {
    const kind = this.#env.random();
    if (kind < 0.2) yield ['SET', key, String(this.upTo(1e12))];
    else if (kind < 0.9) yield ['SET', key, `{"name":"${'ab'.repeat(this.upTo(400))}"}`];
    else yield ['SET', key, Buffer.from(this.#env.randomBytes(this.upTo(20_000)))];
    if (kind > 0.6) yield ['APPEND', key, '!'];
  }

  *list(key: Buffer): Generator<Word[]> {
    yield ['RPUSH', key, ...this.#words(this.#size())];
  }

  *set(key: Buffer): Generator<Word[]> {
    const size = this.#size();
    if (this.#env.random() < 0.3)
      yield ['SADD', key, ...Array.from({ length: size }, () => String(this.upTo(1e6)))];
    else yield ['SADD', key, ...this.#words(size)];
  }

  *zset(key: Buffer): Generator<Word[]> {
    const members = this.#words(this.#size()).flatMap((word) => {
      const odd = SCORES[this.upTo(SCORES.length * 3)];
      return [odd ?? String(this.#env.random() * 1e6), word];
    });
    yield ['ZADD', key, ...members];
  }

  *hash(key: Buffer): Generator<Word[]> {
    yield ['HSET', key, ...this.#words(this.#size() * 2)];
  }

  *stream(key: Buffer): Generator<Word[]> {
    const size = Math.min(120, this.#size());
    for (let n = 1; n <= size; n++)
      yield ['XADD', key, `${n}-${n % 3}`, ...this.#words(2 + 2 * this.upTo(2))];
    const id = (): string => `${1 + this.upTo(size - 1)}`;
    for (let groups = this.upTo(3); groups > 0; groups--) {
      yield ['XGROUP', 'CREATE', key, `group ${groups}`, this.#env.random() < 0.5 ? '0' : id()];
      yield ['XGROUP', 'CREATECONSUMER', key, `group ${groups}`, 'idle'];
      for (const consumer of ['one', 'two']) {
        const count = String(1 + this.upTo(size));
        const who = ['GROUP', `group ${groups}`, consumer, 'COUNT', count];
        yield ['XREADGROUP', ...who, 'STREAMS', key, '>'];
      }
      yield ['XACK', key, `group ${groups}`, `1-1`, `2-2`];
    }
    const kind = this.#env.random();
    if (kind < 0.3) yield ['XDEL', key, `${1}-1`, `2-2`, `${size}-${size % 3}`];
    else if (kind < 0.5) yield ['XTRIM', key, 'MAXLEN', '=', String(this.upTo(size))];
    else if (kind < 0.55) yield ['XSETID', key, `${size + 1_000}-7`];
  }
}
