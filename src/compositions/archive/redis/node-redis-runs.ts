/** What node-redis runs commands and transactions on, in the place of a connection. */
import type { RedisWord } from '../../../drivers/redis/port.ts';
import { watchError } from '../../../drivers/redis/watch-error.ts';
import { nameOf, type Words } from './command-table.ts';
import type { Decoding } from './link.ts';
import type { Session } from './session.ts';

export interface CommandOptions {
  readonly typeMapping?: object;
}

/** What a command is made into before it is sent. */
export interface Parser {
  readonly redisArgs: RedisWord[];
  readonly preserve?: unknown;
}

export type Transform = (reply: unknown, preserve: unknown, mapping: Decoding) => unknown;

export interface Queued {
  readonly args: RedisWord[];
}

/** Gives replies as the server has them. */
export type Send = (words: Words, options: CommandOptions | undefined) => Promise<unknown>;

/** The methods of a connection that commands are run by. */
export interface Runs {
  _executeCommand(
    command: unknown,
    parser: Parser,
    options: CommandOptions | undefined,
    transform?: Transform,
  ): Promise<unknown>;
  _executeScript(
    script: { readonly SCRIPT: string },
    parser: Parser,
    options: CommandOptions | undefined,
    transform?: Transform,
  ): Promise<unknown>;
  sendCommand(words: RedisWord[], options?: CommandOptions): Promise<unknown>;
}

export function runsOver(send: Send): Runs {
  return {
    async _executeCommand(_, parser, options, transform) {
      return transformed(await send(parser.redisArgs, options), parser, options, transform);
    },
    async _executeScript({ SCRIPT }, parser, options, transform) {
      const words = parser.redisArgs;
      const reply = await send(words, options).catch((error: unknown) => {
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
        const name = nameOf(words[0]).replace('EVALSHA', 'EVAL');
        return send([name, SCRIPT, ...words.slice(2)], options);
      });
      return transformed(reply, parser, options, transform);
    },
    sendCommand: (words, options) => send(words, options),
  };
}

/** Runs a transaction, which fails as it does with the client. */
export async function runTransaction(
  session: Session,
  commands: readonly Queued[],
): Promise<unknown> {
  // As the client does: it decodes the replies of a transaction without a mapping.
  const { queued, exec } = await session.transaction(
    commands.map(({ args }) => args),
    undefined,
  );
  const refused = queued.find((said) => said instanceof Error);
  if (refused !== undefined) throw refused;
  if (exec instanceof Error) throw exec;
  if (exec === null) throw await watchError();
  return exec;
}

function transformed(
  reply: unknown,
  { preserve }: Parser,
  options: CommandOptions | undefined,
  transform: Transform | undefined,
): unknown {
  return transform === undefined ? reply : transform(reply, preserve, options?.typeMapping);
}
