/** A client of node-redis for a cluster, whose commands go through a session. */
import type { RedisWord } from '../../../drivers/redis/port.ts';
import type { NodeRedisCluster } from '../cluster/cluster-ports.ts';
import type { Words } from './command-table.ts';
import type { Decoding } from './link.ts';
import { nodeRedisProxy } from './node-redis-proxy.ts';
import {
  type CommandOptions,
  type Parser,
  type Queued,
  type Runs,
  runsOver,
  runTransaction,
} from './node-redis-runs.ts';
import type { Session } from './session.ts';

/** What the client does with a connection that it has chosen. */
type Use = (connection: Runs, options: CommandOptions | undefined) => Promise<unknown>;
type Execute = (key: unknown, isReadonly: unknown, commands: readonly Queued[]) => Promise<unknown>;

/** What is used of a client: how it makes commands, and transactions. */
interface Client extends NodeRedisCluster {
  readonly _commandOptions?: CommandOptions;
  readonly _keyPrefix?: RedisWord;
  readonly Multi: {
    new (
      multi: Execute,
      pipeline: Execute,
      routing: unknown,
      mapping: Decoding,
      keyPrefix: unknown,
    ): object;
    readonly prototype: object;
  };
  sendCommand(
    key: RedisWord | undefined,
    isReadonly: boolean | undefined,
    words: Words,
    options?: CommandOptions,
  ): Promise<unknown>;
  /** Sends a command, or a part of it that is for one node. */
  _execute(
    parser: Parser,
    isReadonly: unknown,
    options: CommandOptions | undefined,
    use: Use,
    ...chosen: unknown[]
  ): Promise<unknown>;
  _executeWithPolicies(...args: never): Promise<unknown>;
}

/** Whether the client makes commands in the way that this is written for. */
export function isKnownNodeRedisCluster(client: NodeRedisCluster): boolean {
  const { Multi, _execute, _executeWithPolicies } = client as Partial<Client>;
  const functions = [Multi, _execute, _executeWithPolicies];
  return functions.every((one) => typeof one === 'function');
}

const MULTIS: ReadonlySet<string> = new Set(['MULTI', 'multi']);

/** The same client, but that its commands go through the session. `again` wraps a duplicate of it. */
export function archivedNodeRedisCluster(
  original: NodeRedisCluster,
  session: Session,
  again: (client: NodeRedisCluster) => unknown,
): object {
  const client = original as Client;
  const sender = senderOf(client, session);
  return nodeRedisProxy<NodeRedisCluster>({
    client,
    sender,
    session,
    again,
    variant: (one) => archivedNodeRedisCluster(one, session, again),
    own: (name) => {
      if (name === 'sendCommand') return Reflect.get(sender, name);
      if (name === '_execute' || name === '_executeWithPolicies')
        return (client[name] as (...args: never) => unknown).bind(sender);
      if (!MULTIS.has(name)) return undefined;
      return (routing?: RedisWord) => multiOf(client, session, routing);
    },
  });
}

/**
 * What node-redis calls `this` when it makes a command: it only differs in where commands go. It
 * still takes those for keys of several slots apart, as far as it does.
 */
function senderOf(client: Client, session: Session): object {
  const made: object = Object.create(client, {
    _self: { get: () => made },
    _keyPrefix: { value: client._keyPrefix },
    _execute: {
      value: (
        parser: Parser,
        isReadonly: unknown,
        options: CommandOptions | undefined,
        use: Use,
        ...chosen: unknown[]
      ) => {
        const runs = runsOver((words, own) =>
          session.command(words, own?.typeMapping, () => {
            const native: Use = (connection, options) =>
              connection.sendCommand([...words], options);
            return client._execute(parser, isReadonly, own, native, ...chosen);
          }),
        );
        return use(runs, options);
      },
    },
    sendCommand: {
      value: (
        key: RedisWord | undefined,
        isReadonly: boolean | undefined,
        words: Words,
        own?: CommandOptions,
      ) => {
        const options = { ...client._commandOptions, ...own };
        return session.command(words, options.typeMapping, () =>
          client.sendCommand(key, isReadonly, words, options),
        );
      },
    },
  });
  return made;
}

function multiOf(client: Client, session: Session, routing: RedisWord | undefined): object {
  const { Multi, _commandOptions: options, _keyPrefix } = client;
  const multi: Execute = (_, __, commands) => runTransaction(session, commands);
  const pipeline: Execute = (_, __, commands) =>
    Promise.all(
      commands.map(({ args }) =>
        session.command(args, options?.typeMapping, () =>
          client.sendCommand(undefined, undefined, args, options),
        ),
      ),
    );
  return new Multi(multi, pipeline, routing, options?.typeMapping, _keyPrefix);
}
