import { Connection } from '../../../drivers/redis/connection.ts';
import { isReply } from '../../../drivers/redis/failures.ts';
import { withPatience } from '../../../drivers/redis/patience.ts';
import type { RedisPort, RedisPorts, RedisWord } from '../../../drivers/redis/port.ts';
import { failure } from '../../../store/errors.ts';
import { CommandTable, type Words } from './command-table.ts';
import type { ScriptNames, Sent } from './envelope.ts';
import { type GuardedArchive, patiently, pauseOf, type Route, type Routes } from './routes.ts';
import { checkAllowed } from './rules.ts';
import { SERVER_SCRIPTS } from './scripts.ts';

/** How replies are decoded, where the client has a say in that: what its library takes. */
export type Decoding = object | undefined;

/** Words with how their reply is decoded, for connections of libraries that want to know. */
export interface DecodedWords extends Array<RedisWord> {
  decoding?: Decoding;
}

/** The connection of a client with an archive, with what has to be known of its server. */
export class Link implements Routes {
  readonly inCluster = false;
  readonly #archive: GuardedArchive;
  readonly #allowed: ReadonlySet<string>;
  readonly #connection: Connection;
  #names: ScriptNames;
  #table: CommandTable | undefined;

  /** `allowed` are names of commands, which the server must have. */
  constructor(ports: RedisPorts, archive: GuardedArchive, allowed: ReadonlySet<string>) {
    this.#archive = archive;
    this.#allowed = allowed;
    this.#names = namesOf(archive.bounds.namespace, '', '');
    this.#connection = new Connection(
      () => Promise.resolve(ports),
      (port) => this.#prepare(port),
    );
  }

  slotOf(): number {
    return 0;
  }

  names(): ScriptNames {
    return this.#names;
  }

  route(): Route | undefined {
    const { port } = this.#connection;
    return port && { port, names: this.#names, asking: false };
  }

  /** The server's table of commands, once there was a connection. */
  get table(): CommandTable | undefined {
    return this.#table;
  }

  async connect(operation: string): Promise<Route> {
    const port = await this.#connection.connect(operation);
    return { port, names: this.#names, asking: false };
  }

  /** The server's table of commands; `anew` where a module may have come. */
  async learn(operation: string, anew = false): Promise<CommandTable> {
    const { port } = await this.#connected(operation);
    if (anew) this.#table = new CommandTable(await port.send(['COMMAND']));
    return this.#table as CommandTable;
  }

  /** A command beside those that are waiting. */
  async send(operation: string, words: Words): Promise<unknown> {
    const { port } = await this.#connected(operation);
    return port.send(words);
  }

  elsewhere(): Promise<void> {
    return this.pause();
  }

  list(): Promise<void> {
    return Promise.resolve();
  }

  pause(): Promise<void> {
    return pauseOf(this.#archive.env);
  }

  close(): void {
    this.#connection.close();
  }

  #connected(operation: string): Promise<Route> {
    return patiently(this.#archive.env, () => this.connect(operation));
  }

  async #prepare(port: RedisPort): Promise<void> {
    const { bounds, env } = this.#archive;
    const [guard, marks, commands] = await Promise.all([
      port.send(['SCRIPT', 'LOAD', SERVER_SCRIPTS.guard]),
      port.send(['SCRIPT', 'LOAD', SERVER_SCRIPTS.marks]),
      port.send(['COMMAND']),
    ]);
    this.#names = namesOf(bounds.namespace, String(guard), String(marks));
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

const namesOf = (namespace: string, guard: string, marks: string): ScriptNames => ({
  own: [`${namespace}:`],
  watched: `${namespace}:evicted`,
  inCluster: false,
  scripts: SERVER_SCRIPTS,
  guard,
  marks,
});

/**
 * Sends at once, and waits for all answers; errors of the server are answers. A node that is to be
 * `asking` takes each command only behind another that says so, but all of a transaction behind one.
 */
export async function sendAll(
  { port, asking }: Pick<Route, 'port' | 'asking'>,
  sent: readonly Sent[],
  decoding: Decoding,
): Promise<unknown[]> {
  let within = false;
  const answers = sent.map(({ words, role, carries = role === 'exec' }) => {
    // The command behind it tells.
    if (asking && !within) port.send(['ASKING']).catch(() => undefined);
    within ||= words[0] === 'MULTI';
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
