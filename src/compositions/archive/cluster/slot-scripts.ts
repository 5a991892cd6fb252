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

/** What the archive keeps of the keys of a slot, in the order in which scripts take them. */
export function slotKeys(namespace: string, slot: number): readonly [string, ...string[]] {
  const ns = `${namespace}:{${tagOf(slot)}}:`;
  return [`${ns}index`, `${ns}marks`, `${ns}due`, `${ns}retry`];
}

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
    this.#own = slotKeys(namespace, slot);
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
        await this.list(operation, clock);
      }
    }
    const what = `the slot ${this.#slot} is taken off the list again and again`;
    throw failure('unavailable', operation, what);
  }

  /** Lists the slot, which had this clock, as one that may have marks; not when it has gone on since. */
  async list(operation: string, clock: string): Promise<void> {
    await this.#list.add(operation, this.#slot, clock);
    await this.#connection.run(operation, this.#slot, 'list', this.#own, [clock]);
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
