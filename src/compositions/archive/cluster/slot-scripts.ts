import type { RedisWord } from '../../../drivers/redis/port.ts';
import type { Env } from '../../../store/env.ts';
import { failure, isStrataError } from '../../../store/errors.ts';
import type { ScriptName, SlotScriptName } from '../lua.ts';
import type { ScriptRunner } from '../redis-connection.ts';
import type { ClusterConnection } from './cluster-connection.ts';
import { tagOf } from './hash-slots.ts';
import type { SlotList } from './slot-list.ts';

/** Times that a slot is listed while others take it off. */
const LISTINGS = 8;

/** Runs scripts on keys of one slot; lists it when it gets its first mark. */
export class SlotScripts implements ScriptRunner {
  readonly env: Env;
  readonly #connection: ClusterConnection;
  readonly #list: SlotList;
  readonly #slot: number;
  readonly #own: readonly string[];

  constructor(connection: ClusterConnection, list: SlotList, namespace: string, slot: number) {
    this.env = connection.env;
    this.#connection = connection;
    this.#list = list;
    this.#slot = slot;
    const ns = `${namespace}:{${tagOf(slot)}}:`;
    this.#own = [`${ns}index`, `${ns}marks`, `${ns}due`, `${ns}retry`];
  }

  async run(
    operation: string,
    name: ScriptName | SlotScriptName,
    keys: readonly RedisWord[],
    args: readonly RedisWord[],
  ): Promise<unknown> {
    const all = [...this.#own, ...keys];
    for (let tries = 0; tries < LISTINGS; tries++) {
      try {
        return await this.#connection.run(operation, this.#slot, name, all, args);
      } catch (error) {
        const clock = unlistedAt(error);
        if (clock === undefined) throw error;
        await this.#list.add(operation, this.#slot, clock);
        await this.#connection.run(operation, this.#slot, 'list', this.#own, [clock]);
      }
    }
    const what = `the slot ${this.#slot} is taken off the list again and again`;
    throw failure('unavailable', operation, what);
  }

  read(operation: string, words: readonly RedisWord[]): Promise<unknown> {
    return this.#connection.send(operation, this.#slot, () => words);
  }
}

/** The clock of a slot that refused a mark, as it is not listed. */
function unlistedAt(error: unknown): string | undefined {
  if (!isStrataError(error) || !(error.cause instanceof Error)) return undefined;
  return /^UNLISTED (\d+)/.exec(error.cause.message)?.[1];
}
