import { isReply, replyFailure } from '../../../drivers/redis/failures.ts';
import type { RedisPort, RedisWord } from '../../../drivers/redis/port.ts';
import { Call, DEFAULT_TIMEOUT_MS } from '../../../store/call.ts';
import type { Env } from '../../../store/env.ts';
import { failure, isStrataError, type StrataError } from '../../../store/errors.ts';
import { systemEnv } from '../../../store/system-env.ts';
import { type ScriptName, SLOT_SOURCES, type SlotScriptName } from '../lua.ts';
import { checkServer, type HotConnectionOptions } from '../redis-connection.ts';
import { ClusterNodes, splitAddress } from './cluster-nodes.ts';
import type { ClusterPorts } from './cluster-ports.ts';

/** What a node says that has not, not yet or no longer what was asked for: nothing was done. */
const NOT_DONE = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN|READONLY) /;
const ELSEWHERE = /^(MOVED|ASK) \d+ (\S*):(\d+)/;
/** What a script is told in its midst, so that it may have done a part. */
const BROKEN_OFF = 'Script attempted to access';
/** Moves that are followed without a wait. */
const MOVES = 5;
const FIRST_WAIT_MS = 10;
const LONGEST_WAIT_MS = 500;

type Words = readonly RedisWord[];

/**
 * Sends to the node that serves a slot, and goes after the slot when it moves. What was refused is
 * sent again until the time is up; what was sent and not answered is not.
 */
export class ClusterConnection {
  readonly env: Env;
  readonly #timeoutMs: number;
  readonly #nodes: ClusterNodes;
  readonly #shas = new Map<ScriptName | SlotScriptName, string>();

  constructor(ports: ClusterPorts, options: HotConnectionOptions) {
    this.env = options.env ?? systemEnv;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#nodes = new ClusterNodes(this.env, ports, async (port) => {
      await checkServer(port, 'cluster', options.allowPolicy);
      for (const [name, source] of SLOT_SOURCES)
        this.#shas.set(name, String(await port.send(['SCRIPT', 'LOAD', source])));
    });
  }

  /** Runs a script on keys of one slot. Errors as `HotConnection.run`. */
  async run(
    operation: string,
    slot: number,
    name: ScriptName | SlotScriptName,
    keys: Words,
    args: Words,
  ): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.send(operation, slot, () => [
        'EVALSHA',
        this.#shas.get(name) as string,
        ...rest,
      ]);
    } catch (error) {
      if (!isStrataError(error) || !String(error.cause).includes('NOSCRIPT')) throw error;
      return this.send(operation, slot, () => ['EVAL', SLOT_SOURCES.get(name) as string, ...rest]);
    }
  }

  /** Sends a command about keys of one slot; `words` are asked for when there is a connection. */
  async send(operation: string, slot: number, words: () => Words): Promise<unknown> {
    const untilMs = this.env.monotonicMs() + this.#timeoutMs;
    for (let tries = 0; ; tries++) {
      const leftMs = Math.max(1, untilMs - this.env.monotonicMs());
      const call = new Call(this.env, operation, undefined, { timeoutMs: leftMs });
      try {
        return await call.guard(this.#sent(call, slot, words));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const waitMs = error.isMove && tries < MOVES ? 0 : waitOf(tries);
        if (this.env.monotonicMs() + waitMs >= untilMs || !(await this.#isWorthATry(error, slot)))
          throw error.failure(operation);
        if (waitMs > 0) await this.#wait(waitMs * (0.5 + this.env.random() / 2));
      }
    }
  }

  /** A node that cannot be reached is not waited for, unless another one has the slot by now. */
  async #isWorthATry(refusal: Refusal, slot: number): Promise<boolean> {
    if (refusal.isMove) return true;
    const reread = this.#nodes.reread('archive').then(
      () => true,
      () => false,
    );
    if (!refusal.isUnreached) return true;
    return (await reread) && (await this.#nodes.serving('archive', slot)) !== refusal.address;
  }

  /** A command to one node, which changes nothing. */
  async read(operation: string, address: string, words: Words): Promise<unknown> {
    const call = new Call(this.env, operation, undefined, { timeoutMs: this.#timeoutMs });
    const asked = async (): Promise<unknown> => {
      const port = await this.#nodes.connect(operation, address);
      return port.send(words).catch((error: unknown) => {
        if (isReply(error)) throw replyFailure(error, operation);
        throw failure('unavailable', operation, 'the connection to Redis ended', { cause: error });
      });
    };
    return call.guard(asked());
  }

  masters(operation: string): Promise<readonly string[]> {
    const call = new Call(this.env, operation, undefined, { timeoutMs: this.#timeoutMs });
    return call.guard(this.#nodes.masters(operation));
  }

  close(): Promise<void> {
    return this.#nodes.close();
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.env.setTimer(resolve, ms);
    });
  }

  async #sent(call: Call, slot: number, words: () => Words): Promise<unknown> {
    const address = await this.#nodes.serving(call.operation, slot);
    const port = await this.#connected(call, address);
    try {
      return await this.#answer(call, address, () => port.send(words()));
    } catch (error) {
      const [, how, host, at] =
        error instanceof Refusal ? (ELSEWHERE.exec(error.message) ?? []) : [];
      if (how === undefined) throw error;
      const named = `${host === '' ? splitAddress(address)[0] : host}:${at}`;
      if (how === 'MOVED') {
        this.#nodes.moved(slot, named);
        throw error;
      }
      const other = await this.#connected(call, named);
      return this.#answer(call, named, () => {
        const asking = other.send(['ASKING']);
        // The command behind it tells.
        asking.catch(() => undefined);
        return other.send(words());
      });
    }
  }

  async #connected(call: Call, address: string): Promise<RedisPort> {
    try {
      return await this.#nodes.connect(call.operation, address);
    } catch (error) {
      if (!isStrataError(error, 'unavailable')) throw error;
      throw new Refusal(error, address);
    }
  }

  async #answer(call: Call, address: string, send: () => Promise<unknown>): Promise<unknown> {
    call.throwIfEnded();
    call.markSent();
    try {
      return await send();
    } catch (cause) {
      if (isReply(cause) && NOT_DONE.test(cause.message)) throw new Refusal(cause, address);
      if (isReply(cause) && !cause.message.includes(BROKEN_OFF))
        throw replyFailure(cause, call.operation);
      throw failure(
        'unknown-outcome',
        call.operation,
        'Redis gave no answer to the end, and the step may have been taken',
        { cause },
      );
    }
  }
}

/** Nothing was done, and why. */
class Refusal extends Error {
  readonly address: string;

  constructor(cause: Error, address: string) {
    super(cause.message, { cause });
    this.address = address;
  }

  get isMove(): boolean {
    return this.message.startsWith('MOVED');
  }

  get isUnreached(): boolean {
    return isStrataError(this.cause);
  }

  failure(operation: string): StrataError {
    const { cause } = this;
    return isStrataError(cause) ? cause : replyFailure(cause as Error, operation);
  }
}

const waitOf = (tries: number): number => Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries);
