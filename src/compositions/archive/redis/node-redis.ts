/** A client of node-redis whose commands go through a session. */
import { type NodeRedisClient, portsByDuplicates } from '../../../drivers/redis/node-redis.ts';
import type { RedisPorts, RedisWord } from '../../../drivers/redis/port.ts';
import { failure } from '../../../store/errors.ts';
import type { Words } from './command-table.ts';
import type { DecodedWords, Decoding } from './link.ts';
import { nodeRedisProxy } from './node-redis-proxy.ts';
import { type CommandOptions, type Queued, runsOver, runTransaction } from './node-redis-runs.ts';
import type { Session } from './session.ts';

type Execute = (commands: readonly Queued[]) => Promise<unknown>;

/** What is used of a client: how it makes commands, and transactions. */
interface Client extends NodeRedisClient {
  readonly _commandOptions?: CommandOptions;
  readonly _keyPrefix?: RedisWord;
  readonly Multi: {
    new (multi: Execute, pipeline: Execute, mapping: Decoding, keyPrefix: unknown): object;
    readonly prototype: object;
  };
  sendCommand(words: readonly RedisWord[], options?: CommandOptions): Promise<unknown>;
  _executeCommand(...args: never): Promise<unknown>;
  _executeScript(...args: never): Promise<unknown>;
}

/** Whether the client makes commands in the way that this is written for. */
export function isKnownNodeRedis(client: NodeRedisClient): boolean {
  const { Multi, _executeCommand, _executeScript } = client as Partial<Client>;
  const functions = [Multi, _executeCommand, _executeScript];
  return functions.every((one) => typeof one === 'function');
}

/** Connections like the one of a client, which decode as it does. */
export function portsLikeNodeRedis(client: NodeRedisClient): RedisPorts {
  return portsByDuplicates(client, { commandOptions: { timeout: undefined } }, (words) => {
    const { decoding } = words as Partial<DecodedWords>;
    return decoding && { typeMapping: decoding };
  });
}

const WATCHES: ReadonlySet<string> = new Set(['WATCH', 'watch']);
const UNWATCHES: ReadonlySet<string> = new Set(['UNWATCH', 'unwatch']);
const MULTIS: ReadonlySet<string> = new Set(['MULTI', 'multi']);
const UNSUPPORTED: ReadonlySet<string> = new Set([
  'select',
  'SELECT',
  'legacy',
  'createPool',
  'reset',
  '_executeMulti',
  '_executePipeline',
]);
/** Those of them that give no promise. */
const MAKERS: ReadonlySet<string> = new Set(['legacy', 'createPool']);

/** The same client, but that its commands go through the session. `again` wraps a duplicate of it. */
export function archivedNodeRedis(
  original: NodeRedisClient,
  session: Session,
  again: (client: NodeRedisClient) => unknown,
): object {
  const client = original as Client;
  const sender = new Sender(client, session).asClient();
  const refused = (name: string) => () => {
    const error = failure('unsupported', name, `${name} of a client with an archive`);
    if (MAKERS.has(name)) throw error;
    return Promise.reject(error);
  };
  return nodeRedisProxy<NodeRedisClient>({
    client,
    sender,
    session,
    again,
    variant: (one) => archivedNodeRedis(one, session, again),
    own: (name) => {
      if (name in OVERRIDES) return Reflect.get(sender, name);
      if (WATCHES.has(name)) return Reflect.get(sender, 'watch');
      if (UNWATCHES.has(name)) return Reflect.get(sender, 'unwatch');
      if (MULTIS.has(name)) return Reflect.get(sender, 'multi');
      return UNSUPPORTED.has(name) ? refused(name) : undefined;
    },
  });
}

const OVERRIDES = { sendCommand: true, executeScript: true } as const;

/** What node-redis calls `this` when it makes a command: it only differs in where commands go. */
class Sender {
  readonly #client: Client;
  readonly #session: Session;

  constructor(client: Client, session: Session) {
    this.#client = client;
    this.#session = session;
  }

  asClient(): object {
    const client = this.#client;
    const options = client._commandOptions;
    const runs = runsOver((words, own) => this.#send(words, own));
    const made: object = Object.create(client, {
      _self: { get: () => made },
      _keyPrefix: { value: client._keyPrefix },
      _executeCommand: { value: runs._executeCommand },
      _executeScript: { value: runs._executeScript },
      sendCommand: {
        value: (words: RedisWord[], own?: CommandOptions) =>
          this.#send(words, { ...options, ...own }),
      },
      watch: { value: (keys: RedisWord | readonly RedisWord[]) => this.#watch(keys) },
      unwatch: { value: () => this.#session.unwatch() },
      multi: { value: () => this.#multi() },
    });
    return made;
  }

  #send(words: Words, options: CommandOptions | undefined): Promise<unknown> {
    return this.#session.command(words, options?.typeMapping, () =>
      this.#client.sendCommand(words, options),
    );
  }

  #watch(keys: RedisWord | readonly RedisWord[]): Promise<unknown> {
    const list = (Array.isArray(keys) ? keys : [keys]) as readonly RedisWord[];
    return this.#session.watch(['WATCH', ...list.map((key) => this.#prefixed(key))]);
  }

  #prefixed(key: RedisWord): RedisWord {
    const prefix = this.#client._keyPrefix;
    if (prefix === undefined || prefix.length === 0) return key;
    if (typeof prefix === 'string' && typeof key === 'string') return prefix + key;
    return Buffer.concat([Buffer.from(prefix), Buffer.from(key)]);
  }

  #multi(): object {
    const { Multi, _commandOptions: options, _keyPrefix } = this.#client;
    const multi: Execute = (commands) => runTransaction(this.#session, commands);
    const pipeline: Execute = (commands) =>
      Promise.all(commands.map(({ args }) => this.#send(args, options)));
    return new Multi(multi, pipeline, options?.typeMapping, _keyPrefix);
  }
}
