/** A client of node-redis whose commands go through a session. */
import { type NodeRedisClient, portsByDuplicates } from '../../../drivers/redis/node-redis.ts';
import type { RedisPorts, RedisWord } from '../../../drivers/redis/port.ts';
import { failure } from '../../../store/errors.ts';
import type { Words } from './command-table.ts';
import { asIts } from './itself.ts';
import type { DecodedWords, Decoding } from './link.ts';
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
/** Give the same client with other options of its commands. */
const VARIANTS: ReadonlySet<string> = new Set([
  'withCommandOptions',
  'withTypeMapping',
  'withAbortSignal',
  'asap',
]);
const CLOSING: ReadonlySet<string> = new Set(['close', 'quit', 'QUIT']);
const DESTROYING: ReadonlySet<string> = new Set(['destroy', 'disconnect']);
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
/** Go through other methods, so that they are run on the archived client. */
const COMPOSED = /^(scan|hScan|hScanValues|hScanNoValues|sScan|zScan)Iterator$/;

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
  const proxy: object = new Proxy(client, {
    get(target, name) {
      // Of a module: an object of commands that go to whom it was asked of.
      if (Object.hasOwn(target.Multi.prototype, name)) {
        const value: unknown = Reflect.get(target, name, sender);
        return typeof value === 'function' ? value.bind(sender) : value;
      }
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || typeof name !== 'string') return value;
      if (name in OVERRIDES) return Reflect.get(sender, name);
      if (WATCHES.has(name)) return Reflect.get(sender, 'watch');
      if (UNWATCHES.has(name)) return Reflect.get(sender, 'unwatch');
      if (MULTIS.has(name)) return Reflect.get(sender, 'multi');
      if (UNSUPPORTED.has(name)) return refused(name);
      if (COMPOSED.test(name)) return value.bind(proxy);
      if (VARIANTS.has(name))
        return (...args: unknown[]) =>
          archivedNodeRedis(value.apply(target, args) as NodeRedisClient, session, again);
      if (name === 'duplicate')
        return (overrides?: object) => again(target.duplicate(overrides) as NodeRedisClient);
      return ending(
        name,
        asIts(value as (...args: never) => unknown, target, () => proxy),
        session,
      );
    },
  });
  return proxy;
}

/** Ends the session with the client. */
export function ending(
  name: string,
  method: (...args: unknown[]) => unknown,
  session: Session,
): (...args: unknown[]) => unknown {
  if (CLOSING.has(name)) return (...args) => session.close().then(() => method(...args));
  if (!DESTROYING.has(name)) return method;
  return (...args) => {
    session.destroy();
    return method(...args);
  };
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
