import { Connection } from '../../../drivers/redis/connection.ts';
import { isReply } from '../../../drivers/redis/failures.ts';
import { withPatience } from '../../../drivers/redis/patience.ts';
import type { RedisPort, RedisPorts, RedisWord } from '../../../drivers/redis/port.ts';
import type { Env } from '../../../store/env.ts';
import { failure, isStrataError } from '../../../store/errors.ts';
import type { KeyBounds } from '../hot-key.ts';
import { CommandTable, type Words } from './command-table.ts';
import type { ScriptNames, Sent } from './envelope.ts';
import { checkAllowed } from './rules.ts';
import { GUARD, MARKS } from './scripts.ts';

/** How replies are decoded, where the client has a say in that: what its library takes. */
export type Decoding = object | undefined;

/** Words with how their reply is decoded, for connections of libraries that want to know. */
export interface DecodedWords extends Array<RedisWord> {
  decoding?: Decoding;
}

/** What is needed of the archive. */
export interface GuardedArchive {
  readonly bounds: KeyBounds;
  readonly env: Env;
  /** Brings back what was evicted of these keys. */
  ensure(keys: readonly Buffer[]): Promise<void>;
  /** A command over the archive's own connection. */
  ask(words: readonly RedisWord[]): Promise<unknown>;
}

/** How long calls wait for a connection. */
export const PATIENCE_MS = 5_000;
const PAUSE_MS = 100;

/** The connection of a client with an archive, with what has to be known of its server. */
export class Link {
  readonly #archive: GuardedArchive;
  readonly #allowed: ReadonlySet<string>;
  readonly #connection: Connection;
  #names: ScriptNames;
  #table: CommandTable | undefined;

  /** `allowed` are names of commands, which the server must have. */
  constructor(ports: RedisPorts, archive: GuardedArchive, allowed: ReadonlySet<string>) {
    this.#archive = archive;
    this.#allowed = allowed;
    this.#names = { namespace: archive.bounds.namespace, guard: '', marks: '' };
    this.#connection = new Connection(
      () => Promise.resolve(ports),
      (port) => this.#prepare(port),
    );
  }

  /** The connection, when there is one that can be used now. */
  get port(): RedisPort | undefined {
    return this.#connection.port;
  }

  get names(): ScriptNames {
    return this.#names;
  }

  /** The server's table of commands, once there was a connection. */
  get table(): CommandTable | undefined {
    return this.#table;
  }

  /** The connection, made where needed; tried once. */
  connect(operation: string): Promise<RedisPort> {
    return this.#connection.connect(operation);
  }

  /** The connection; tried for a while. */
  async connected(operation: string): Promise<RedisPort> {
    const startMs = this.#archive.env.monotonicMs();
    for (;;) {
      try {
        return await this.#connection.connect(operation);
      } catch (error) {
        const elapsedMs = this.#archive.env.monotonicMs() - startMs;
        if (!isStrataError(error) || !error.retryable || elapsedMs > PATIENCE_MS) throw error;
        await this.pause();
      }
    }
  }

  /** The server's table of commands; `anew` where a module may have come. */
  async learn(operation: string, anew = false): Promise<CommandTable> {
    const port = await this.connected(operation);
    if (anew) this.#table = new CommandTable(await port.send(['COMMAND']));
    return this.#table as CommandTable;
  }

  /** A command beside those that are waiting. */
  async send(operation: string, words: Words): Promise<unknown> {
    const port = await this.connected(operation);
    return port.send(words);
  }

  pause(): Promise<void> {
    const { env } = this.#archive;
    return new Promise((resolve) => {
      env.setTimer(resolve, PAUSE_MS * (0.5 + env.random()));
    });
  }

  close(): void {
    this.#connection.close();
  }

  async #prepare(port: RedisPort): Promise<void> {
    const { bounds, env } = this.#archive;
    const [guard, marks, commands] = await Promise.all([
      port.send(['SCRIPT', 'LOAD', GUARD]),
      port.send(['SCRIPT', 'LOAD', MARKS]),
      port.send(['COMMAND']),
    ]);
    this.#names = { namespace: bounds.namespace, guard: String(guard), marks: String(marks) };
    const table = new CommandTable(commands);
    checkAllowed(this.#allowed, table);
    this.#table = table;
    // A guard over another database would find nothing evicted.
    const token = Buffer.from(env.randomBytes(16)).toString('hex');
    const place = `${bounds.namespace}:met:${token}`;
    await withPatience(this.#archive.ask(['SET', place, token, 'PX', '60000']));
    const found = await port.send(['GET', place]);
    await port.send(['UNLINK', place]);
    if (String(found) !== token)
      throw failure(
        'invalid-argument',
        'archivedRedis',
        'the client is of another server or database than the archive; expected the same',
      );
  }
}

/** Sends at once, and waits for all answers; errors of the server are answers. */
export async function sendAll(
  port: RedisPort,
  sent: readonly Sent[],
  decoding: Decoding,
): Promise<unknown[]> {
  const answers = sent.map(({ words, role, carries = role === 'exec' }) => {
    if (!carries || decoding === undefined) return port.send(words);
    const decoded: DecodedWords = [...words];
    decoded.decoding = decoding;
    return port.send(decoded);
  });
  const settled = await Promise.allSettled(answers);
  return settled.map((one, at) => {
    if (one.status === 'fulfilled') return one.value;
    if (isReply(one.reason)) return one.reason;
    // Not so of a script of the caller, whose errors may be any.
    if (sent[at]?.carries && port.ready) return one.reason;
    throw one.reason;
  });
}
