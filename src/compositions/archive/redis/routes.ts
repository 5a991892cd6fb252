import type { RedisPort, RedisWord } from '../../../drivers/redis/port.ts';
import type { Env } from '../../../store/env.ts';
import { isStrataError } from '../../../store/errors.ts';
import type { KeyBounds } from '../hot-key.ts';
import type { CommandTable, Words } from './command-table.ts';
import type { ScriptNames } from './envelope.ts';

/** What is needed of the archive. */
export interface GuardedArchive {
  readonly bounds: KeyBounds;
  readonly env: Env;
  /** Brings back what was evicted of these keys. */
  ensure(keys: readonly Buffer[]): Promise<void>;
  /** Marks those of these keys that are there. */
  mark(keys: readonly Buffer[]): Promise<void>;
  /** A command over the archive's own connection. */
  ask(words: readonly RedisWord[]): Promise<unknown>;
}

/** How long calls wait for a connection, and for a slot that is moving. */
export const PATIENCE_MS = 5_000;
const PAUSE_MS = 100;

/** A connection that serves keys, and how scripts on them are called. */
export interface Route {
  readonly port: RedisPort;
  readonly names: ScriptNames;
  /** Whether the node has to be asked, as a slot is on its way to it. */
  readonly asking: boolean;
}

/**
 * Where commands go, by the slot of their keys: over one connection, or to the nodes of a cluster.
 * Where there is one server, everything is in slot 0.
 */
export interface Routes {
  readonly inCluster: boolean;
  /** The server's table of commands, once there was a connection. */
  readonly table: CommandTable | undefined;
  /** The slot of keys, by their bytes as strings. Errors: `invalid-argument` where they have several. */
  slotOf(operation: string, ids: Iterable<string>): number;
  names(slot: number): ScriptNames;
  /** The connection for a slot, when there is one that can be used now. */
  route(slot: number): Route | undefined;
  /** The connection, made where needed; tried once. */
  connect(operation: string, slot: number): Promise<Route>;
  /** The server's table of commands; `anew` where a module may have come. */
  learn(operation: string, anew?: boolean): Promise<CommandTable>;
  /** A command without effect, beside those that are waiting. */
  send(operation: string, words: Words): Promise<unknown>;
  /** Follows what a node said of a slot that it has not; `often` where that does not come to an end. */
  elsewhere(slot: number, said: Error, often: boolean): Promise<void>;
  /** Lists a slot as one that may have marks. */
  list(operation: string, slot: number, clock: string): Promise<void>;
  pause(): Promise<void>;
  close(): void;
}

/** Tries for a while to connect. */
export async function patiently<T>(env: Env, connect: () => Promise<T>): Promise<T> {
  const startMs = env.monotonicMs();
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      const elapsedMs = env.monotonicMs() - startMs;
      if (!isStrataError(error) || !error.retryable || elapsedMs > PATIENCE_MS) throw error;
      await pauseOf(env);
    }
  }
}

export function pauseOf(env: Env): Promise<void> {
  return new Promise((resolve) => {
    env.setTimer(resolve, PAUSE_MS * (0.5 + env.random()));
  });
}
