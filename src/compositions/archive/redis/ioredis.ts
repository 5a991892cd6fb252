/** A client of ioredis whose commands go through a session. */
import { type IoRedisClient, ioRedisPorts } from '../../../drivers/redis/ioredis.ts';
import type { RedisPort, RedisPorts, RedisWord } from '../../../drivers/redis/port.ts';
import { failure } from '../../../store/errors.ts';
import type { IoRedisCluster } from '../cluster/cluster-ports.ts';
import { nameOf, type Words } from './command-table.ts';
import type { TransactionReply } from './guard.ts';
import { asIts } from './itself.ts';
import type { Session } from './session.ts';

/** A command of ioredis: it makes the reply what the caller gets. */
interface Command {
  readonly name: string;
  readonly args: readonly (string | Buffer)[];
  readonly promise: Promise<unknown>;
  resolve: (reply: unknown) => void;
  reject: (error: unknown) => void;
}

/** What is used of a client beside what makes connections. */
interface Client extends IoRedisClient {
  readonly isCluster?: boolean;
  readonly options: object;
  readonly scriptsSet: Readonly<Record<string, { readonly sha: string; readonly lua: string }>>;
  readonly addedBuiltinSet: ReadonlySet<string>;
  getBuiltinCommands(): readonly string[];
  sendCommand(command: Command, stream?: unknown): Promise<unknown>;
}

/** What a pipeline sends to: the same for all its commands. */
type Stream = object | undefined;

/** Methods that end in commands without being named after one. */
const BESIDE_COMMANDS = [
  'call',
  'callBuffer',
  'send_command',
  'sendCommand',
  'pipeline',
  'multi',
  'exec',
  ...['scan', 'sscan', 'hscan', 'zscan'].flatMap((name) => [
    `${name}Stream`,
    `${name}BufferStream`,
  ]),
];
/** Commands about the connection of the client itself. */
const OWN_CONNECTION: ReadonlySet<string> = new Set(
  'AUTH HELLO QUIT SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR'.split(
    ' ',
  ),
);

/** What a connection of ioredis writes to. */
interface Corked {
  readonly stream?: { cork(): void; uncork(): void };
}

/** Connections like the one of a client; names of keys come with its prefix already. */
export function portsLikeIoRedis(client: IoRedisClient): RedisPorts {
  return {
    client: 'ioredis',
    async connect(connectTimeoutMs) {
      let made: Corked | undefined;
      const ports = ioRedisPorts({
        duplicate: (override) => {
          made = client.duplicate({ ...override, keyPrefix: '' }) as Corked;
          return made;
        },
        callBuffer: () => undefined,
      });
      const port = await ports.connect(connectTimeoutMs);
      return new GatheringPort(port, made as Corked);
    },
  };
}

/** Writes what is sent in one moment at once: ioredis would write each command by itself. */
class GatheringPort implements RedisPort {
  readonly #port: RedisPort;
  readonly #client: Corked;
  #corked = false;

  constructor(port: RedisPort, client: Corked) {
    this.#port = port;
    this.#client = client;
  }

  get ready(): boolean {
    return this.#port.ready;
  }

  send(words: readonly RedisWord[]): Promise<unknown> {
    const { stream } = this.#client;
    if (!this.#corked && stream !== undefined) {
      this.#corked = true;
      stream.cork();
      queueMicrotask(() => {
        this.#corked = false;
        stream.uncork();
      });
    }
    return this.#port.send(words);
  }

  subscribe(channel: string, heard: (message: string) => void): Promise<void> {
    return this.#port.subscribe(channel, heard);
  }

  onEnd(fn: () => void): void {
    this.#port.onEnd(fn);
  }

  disconnect(): void {
    this.#port.disconnect();
  }
}

/**
 * The same client, or cluster, but that its commands go through the session. `again` wraps a
 * duplicate of it.
 */
export function archivedIoRedis(
  original: IoRedisClient | IoRedisCluster,
  session: Session,
  again: (client: IoRedisClient | IoRedisCluster) => unknown,
): object {
  const client = original as Client;
  const commands = new Commands(client, session);
  // What ioredis calls `this` when it makes a command: it only differs in where commands go.
  const sender: object = Object.create(client, {
    sendCommand: { value: (command: Command, stream: Stream) => commands.send(command, stream) },
    // Commands of one moment go together anyway.
    options: { value: Object.create(client.options, { enableAutoPipelining: { value: false } }) },
    // Pipelines are not to look for a node.
    isCluster: { value: false },
    constructor: { value: Object },
  });
  const names = new Set([
    ...BESIDE_COMMANDS,
    ...client.getBuiltinCommands().flatMap((name) => [name, `${name}Buffer`]),
  ]);
  const isCommand = (name: string): boolean => {
    const plain = name.replace(/Buffer$/, '');
    return names.has(name) || plain in client.scriptsSet || client.addedBuiltinSet.has(plain);
  };
  const ending: Readonly<Record<string, () => void>> = {
    disconnect: () => session.destroy(),
    end: () => session.destroy(),
  };
  const proxy: object = new Proxy(client, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || typeof name !== 'string') return value;
      if (name === 'duplicate')
        return (...args: [object?]) => again(target.duplicate(...args) as IoRedisClient);
      // Of a cluster it is no command.
      if (name === 'quit' && client.isCluster)
        return (...args: unknown[]) => session.close().then(() => value.apply(target, args));
      if (isCommand(name)) return value.bind(sender);
      if (name in ending)
        return (...args: unknown[]) => {
          ending[name]?.();
          return value.apply(target, args);
        };
      return asIts(value as (...args: never) => unknown, target, () => proxy);
    },
  });
  return proxy;
}

/** Where the commands of a client go. */
class Commands {
  readonly #client: Client;
  readonly #session: Session;
  /** Commands of a transaction that is being sent, by what its pipeline sends to. */
  readonly #transactions = new WeakMap<object, Command[]>();

  constructor(client: Client, session: Session) {
    this.#client = client;
    this.#session = session;
  }

  send(command: Command, stream: Stream): Promise<unknown> {
    const collected = stream && this.#transactions.get(stream);
    const name = nameOf(command.name);
    if (collected !== undefined) {
      collected.push(command);
      if (name === 'EXEC' || name === 'DISCARD') {
        this.#transactions.delete(stream as object);
        this.#end(collected);
      }
    } else if (name === 'MULTI' && stream !== undefined) this.#transactions.set(stream, [command]);
    else this.#single(command, name);
    return command.promise;
  }

  #single(command: Command, name: string): void {
    const sent = (): Promise<unknown> => this.#client.sendCommand(command);
    if (name === 'QUIT') void this.#session.close().then(sent, (error) => command.reject(error));
    else if (OWN_CONNECTION.has(name)) void sent();
    else if (name === 'WATCH') settle(command, this.#session.watch(wordsOf(command)));
    else if (name === 'UNWATCH') settle(command, this.#session.unwatch());
    else this.#guarded(command, wordsOf(command), () => this.#native(command));
  }

  #guarded(command: Command, words: Words, native: () => Promise<unknown>): void {
    this.#session.command(words, undefined, native).then(
      (value) => command.resolve(value),
      (error: unknown) => {
        const whole = isNoScript(error) ? this.#withSource(words) : words;
        if (whole === words) command.reject(withCommand(error, command));
        else this.#guarded(command, whole, native);
      },
    );
  }

  /** Sends it as the client does, but that the caller hears of the end only when the session has. */
  #native(command: Command): Promise<unknown> {
    return new Promise((done, fail) => {
      const { resolve, reject } = command;
      command.resolve = (reply) => {
        Object.assign(command, { resolve, reject });
        done(reply);
      };
      command.reject = (error) => {
        Object.assign(command, { resolve, reject });
        fail(error);
      };
      void this.#client.sendCommand(command);
    });
  }

  /** A call of a script that was defined on the client brings it along, once the server asked for it. */
  #withSource(words: Words): Words {
    if (nameOf(words[0]) !== 'EVALSHA') return words;
    const scripts = Object.values(this.#client.scriptsSet);
    const script = scripts.find(({ sha }) => sha === String(words[1]));
    return script === undefined ? words : ['EVAL', script.lua, ...words.slice(2)];
  }

  #end(commands: readonly Command[]): void {
    const [multi, ...inside] = commands as [Command, ...Command[]];
    const last = inside.pop() as Command;
    if (nameOf(last.name) === 'DISCARD') {
      for (const command of [multi, ...inside, last]) command.resolve(Buffer.from('OK'));
      return;
    }
    const nested = inside.find(({ name }) => nameOf(name) === 'MULTI' || nameOf(name) === 'WATCH');
    const reply =
      nested === undefined
        ? this.#session.transaction(
            inside.map((command) => this.#withSource(wordsOf(command))),
            undefined,
          )
        : Promise.reject(
            failure('unsupported', nested.name, `${nested.name} within a transaction`),
          );
    reply.then(
      (told) => answer(told, multi, inside, last),
      (error: unknown) => {
        for (const command of commands) command.reject(error);
      },
    );
  }
}

function answer(
  { queued, exec }: TransactionReply,
  multi: Command,
  inside: readonly Command[],
  last: Command,
): void {
  multi.resolve(Buffer.from('OK'));
  for (const [at, command] of inside.entries()) {
    const said = queued[at];
    if (said instanceof Error) command.reject(said);
    else command.resolve(Buffer.from('QUEUED'));
  }
  if (exec instanceof Error) last.reject(exec);
  else last.resolve(exec);
}

/** As ioredis does it: an error of the server tells of which command it is. */
function withCommand(error: unknown, { name, args }: Command): unknown {
  if (error instanceof Error && error.name === 'ReplyError')
    Object.assign(error, { command: { name, args } });
  return error;
}

const isNoScript = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('NOSCRIPT');

function settle(command: Command, reply: Promise<unknown>): void {
  reply.then(
    (value) => command.resolve(value),
    (error: unknown) => command.reject(error),
  );
}

function wordsOf({ name, args }: Command): Words {
  return [name, ...args];
}
