import type { RedisWord } from '../../../drivers/redis/port.ts';
import type { Env } from '../../../store/env.ts';
import { failure, isStrataError } from '../../../store/errors.ts';
import { isInside, type KeyBounds } from '../hot-key.ts';
import { deliveredTo, groupOf, lastId, lookAt, tailsOf, type Wait } from './blocking.ts';
import { bytesOf, idOf, type Words } from './command-table.ts';
import type { Guard } from './guard.ts';
import type { Decoding } from './link.ts';
import { bare, type Planned } from './plan.ts';

/** Pauses between two looks grow from the first to the longest. */
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 100;

/**
 * Commands that wait for data, on keys that are archived. Within a transaction they do not wait, so
 * that they are guarded and marked like all others: tried, and while there is nothing, tried again
 * when a look at the keys, which changes nothing, finds something.
 */
export class Waiting {
  readonly #guard: Guard;
  readonly #env: Env;
  readonly #bounds: KeyBounds;
  readonly #most: number;
  /** Ends the pauses. */
  readonly #pauses = new Set<() => void>();
  #waiting = 0;
  #closed = false;

  constructor(guard: Guard, env: Env, bounds: KeyBounds, most: number) {
    this.#guard = guard;
    this.#env = env;
    this.#bounds = bounds;
    this.#most = most;
  }

  /** `native` waits as the client does, where none of the keys is archived. */
  async run(
    wait: Wait,
    command: Planned,
    decoding: Decoding,
    native: () => Promise<unknown>,
  ): Promise<unknown> {
    const untilMs = this.#env.monotonicMs() + (wait.forMs ?? 0);
    const planned = await this.#pinned(wait, command);
    const reply = await this.#guard.run(planned, decoding);
    if (reply !== null || wait.forMs === undefined) return reply;
    if (planned.needs.length === 0) return native();
    if (this.#waiting >= this.#most)
      throw failure(
        'overloaded',
        'archivedRedis',
        `${this.#waiting} commands wait for data already`,
      );
    this.#waiting++;
    try {
      return await this.#until(untilMs, wait, planned, decoding);
    } finally {
      this.#waiting--;
    }
  }

  /** Lets nothing wait any more. */
  close(): void {
    this.#closed = true;
    for (const end of this.#pauses) end();
  }

  async #until(
    untilMs: number,
    wait: Wait,
    planned: Planned,
    decoding: Decoding,
  ): Promise<unknown> {
    for (let looks = 0; ; looks++) {
      const leftMs = untilMs - this.#env.monotonicMs();
      if (leftMs <= 0) return null;
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** looks);
      await this.#pause(Math.min(leftMs, pauseMs * (0.5 + this.#env.random() / 2)));
      if (this.#closed) throw failure('closed', 'archivedRedis', 'the client was closed');
      if (!(await this.#hasSome(wait, planned.words))) continue;
      const reply = await this.#guard.run(planned, decoding).catch((error: unknown) => {
        if (isPassing(wait, error)) return null;
        throw error;
      });
      if (reply !== null) return reply;
    }
  }

  async #hasSome(wait: Wait, words: Words): Promise<boolean> {
    const found = await Promise.all(
      wait.places.map((at) => this.#keyHasSome(wait, words[at] as RedisWord, words)),
    );
    return found.includes(true);
  }

  async #keyHasSome(wait: Wait, key: RedisWord, words: Words): Promise<boolean> {
    const look = lookAt(wait.look, key);
    if (look === undefined) return true;
    try {
      const reply = await this.#read(look, key);
      if (wait.look !== 'group') return Number(reply) > 0;
      const id = deliveredTo(groupOf(words), reply);
      if (id === undefined) return true;
      return (await this.#read(['XREAD', 'COUNT', '1', 'STREAMS', key, id], key)) !== null;
    } catch (error) {
      if (isPassing(wait, error)) return false;
      // Of a stream that is gone, for instance: the server tells it of the command.
      if (wait.look === 'group') return true;
      throw error;
    }
  }

  /** With what `$` stands for now: it would stand for something later at each try. */
  async #pinned(wait: Wait, command: Planned): Promise<Planned> {
    const tails = tailsOf(command.words, wait);
    if (tails.length === 0 || command.needs.length === 0) return command;
    const words = [...command.words];
    await Promise.all(
      tails.map(async ([at, key]) => {
        words[at] = await this.#read(['XINFO', 'STREAM', key], key).then(
          lastId,
          (error: unknown) => {
            if (error instanceof Error && error.message.startsWith('ERR no such key')) return '0-0';
            throw error;
          },
        );
      }),
    );
    return { ...command, words };
  }

  #read(words: Words, key: RedisWord): Promise<unknown> {
    const bytes = bytesOf(key);
    const needs = isInside(bytes, this.#bounds) ? [bytes] : [];
    const uses = new Map([[idOf(key), false]]);
    return this.#guard.run({ ...bare(words), uses, needs }, undefined);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#pauses.delete(end);
        resolve();
      };
      const timer = this.#env.setTimer(end, ms);
      this.#pauses.add(end);
    });
  }
}

/** What does not end a wait: a key that is of another type for the time being, or too much to do. */
function isPassing({ look }: Wait, error: unknown): boolean {
  if (isStrataError(error, 'overloaded')) return true;
  return look !== 'group' && error instanceof Error && error.message.startsWith('WRONGTYPE');
}
