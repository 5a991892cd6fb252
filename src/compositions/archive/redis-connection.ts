import { Connection } from '../../drivers/redis/connection.ts';
import { isReply, readFailure, replyFailure } from '../../drivers/redis/failures.ts';
import { withPatience } from '../../drivers/redis/patience.ts';
import type { RedisPort, RedisPorts, RedisWord } from '../../drivers/redis/port.ts';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { failure, invalidArgument } from '../../store/errors.ts';
import { systemEnv } from '../../store/system-env.ts';
import { type ScriptName, SOURCES } from './lua.ts';

/** How the hot side talks to Redis. */
export interface HotConnectionOptions {
  /** A `maxmemory-policy` that is accepted although it could remove keys that are in Redis only. */
  readonly allowPolicy?: string;
  /** Bound of each step, in ms; default 5,000. */
  readonly timeoutMs?: number;
  readonly env?: Env;
}

/** Runs the archive's scripts, whose user keys are all of one server, or of one slot of a cluster. */
export interface ScriptRunner {
  readonly env: Env;
  run(
    operation: string,
    name: ScriptName,
    keys: readonly RedisWord[],
    args: readonly RedisWord[],
  ): Promise<unknown>;
  /** Sends a command that may be sent twice. */
  read(operation: string, words: readonly RedisWord[]): Promise<unknown>;
}

/** Runs the archive's scripts over a connection that is made anew when it was lost. */
export class HotConnection implements ScriptRunner {
  readonly env: Env;
  readonly #timeoutMs: number | undefined;
  readonly #connection: Connection;
  readonly #namespace: string;
  readonly #shas = new Map<ScriptName, string>();

  constructor(ports: RedisPorts, namespace: string, options: HotConnectionOptions) {
    this.env = options.env ?? systemEnv;
    this.#timeoutMs = options.timeoutMs;
    this.#namespace = namespace;
    this.#connection = new Connection(
      () => Promise.resolve(ports),
      async (port) => {
        await checkServer(port, 'standalone', options.allowPolicy);
        for (const [name, source] of SOURCES)
          this.#shas.set(name, String(await port.send(['SCRIPT', 'LOAD', source])));
      },
    );
  }

  /**
   * Runs a script on keys. Errors: `unavailable` and `timeout` where nothing was sent; `unknown-outcome`
   * where it was and no answer came; what Redis refused.
   */
  run(
    operation: string,
    name: ScriptName,
    keys: readonly RedisWord[],
    args: readonly RedisWord[],
  ): Promise<unknown> {
    const call = this.#call(operation);
    const words = [String(keys.length + 1), this.#namespace, ...keys, ...args];
    return call.guard(this.#sent(call, name, words));
  }

  async #sent(call: Call, name: ScriptName, rest: readonly RedisWord[]): Promise<unknown> {
    const { operation } = call;
    const port = await this.#connection.connect(operation);
    call.throwIfEnded();
    call.markSent();
    try {
      return await port
        .send(['EVALSHA', this.#shas.get(name) as string, ...rest])
        .catch((error) => {
          if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
          return port.send(['EVAL', SOURCES.get(name) as string, ...rest]);
        });
    } catch (cause) {
      if (isReply(cause)) throw replyFailure(cause, operation);
      throw failure(
        'unknown-outcome',
        operation,
        'the connection to Redis ended before its answer, and the step may have been taken',
        { cause },
      );
    }
  }

  /** A command that changes nothing. */
  read(operation: string, words: readonly RedisWord[]): Promise<unknown> {
    const asked = async (): Promise<unknown> => {
      const port = await this.#connection.connect(operation);
      return port.send(words).catch((error: unknown) => {
        throw readFailure(error, operation);
      });
    };
    return this.#call(operation).guard(asked());
  }

  async close(): Promise<void> {
    // What is still under way after a while is in doubt, and told so when the connection ends.
    await withPatience(this.#connection.settle()).catch(() => undefined);
    this.#connection.close();
  }

  #call(operation: string): Call {
    const { env } = this;
    const timeoutMs = this.#timeoutMs;
    return new Call(env, operation, undefined, timeoutMs === undefined ? {} : { timeoutMs });
  }
}

/** Refuses a server on which what the archive promises would not hold. */
export async function checkServer(
  port: RedisPort,
  expected: 'standalone' | 'cluster',
  allowPolicy: string | undefined,
): Promise<void> {
  const info = String(await port.send(['INFO', 'server']));
  const version = /redis_version:(\d+)\.(\S+)/.exec(info);
  const mode = /redis_mode:(\w+)/.exec(info)?.[1];
  if (version === null || Number(version[1]) < 7)
    throw failure(
      'unsupported',
      'redisKeys',
      `the server is Redis ${version?.[1]}.${version?.[2]}; expected 7.0 or later`,
    );
  if ((mode === 'cluster') !== (expected === 'cluster'))
    throw failure(
      'unsupported',
      'redisKeys',
      mode === 'cluster'
        ? 'the server is of a cluster; expected the client of a cluster (Cluster of ioredis, createCluster of node-redis)'
        : `the server is no cluster, but ${mode}; expected the client of one server`,
    );
  // A server that does not tell its settings is believed.
  const told = await port.send(['CONFIG', 'GET', 'maxmemory*']).catch((error: unknown) => {
    if (isReply(error)) return [];
    throw error;
  });
  const words = Array.isArray(told) ? told.map(String) : [];
  const setting = (name: string): string | undefined => words[words.indexOf(name) + 1];
  const policy = words.includes('maxmemory-policy') ? setting('maxmemory-policy') : 'noeviction';
  if (policy?.endsWith('-lfu') && policy !== allowPolicy)
    throw invalidArgument(
      'redisKeys',
      "the server's maxmemory-policy",
      policy,
      'noeviction, or its name as the option allowPolicy: under it Redis knows of no idle times, and refuses to evict by them',
    );
  if (policy !== 'noeviction' && setting('maxmemory') !== '0' && policy !== allowPolicy)
    throw invalidArgument(
      'redisKeys',
      "the server's maxmemory-policy",
      policy,
      'noeviction, or its name as the option allowPolicy: it could remove keys that are nowhere else',
    );
}
