import type { ClusterConnection } from './cluster-connection.ts';
import { slotOf } from './hash-slots.ts';

/** KEYS: the list. ARGV: slot, clock. Takes the slot off, unless it was listed under a later clock. */
const REMOVE = `
local clock = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not clock or tonumber(clock) > tonumber(ARGV[2]) then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])`;

/**
 * The slots that may have marks, in one key of the cluster: a sorted set of their numbers, each with
 * the clock that it had when it was listed.
 *
 * A slot takes marks only while it says of itself that it is listed, and it says so only when its
 * clock is the one that the list has, or an earlier one. Whoever takes a slot off makes it say no,
 * and its clock go on, before; and leaves it on the list when it was listed under a later clock. So
 * whatever comes between, a slot with marks is on the list.
 */
export class SlotList {
  readonly #connection: ClusterConnection;
  readonly #key: Buffer;
  readonly #slot: number;

  constructor(connection: ClusterConnection, namespace: string) {
    this.#connection = connection;
    this.#key = Buffer.from(`${namespace}:slots`);
    this.#slot = slotOf(this.#key);
  }

  async all(operation: string): Promise<readonly number[]> {
    const found = await this.#send(operation, ['ZRANGE', this.#key, '0', '-1']);
    return (found as Buffer[]).map((slot) => Number(String(slot)));
  }

  async add(operation: string, slot: number, clock: string): Promise<void> {
    await this.#send(operation, ['ZADD', this.#key, 'GT', clock, String(slot)]);
  }

  async remove(operation: string, slot: number, clock: string): Promise<void> {
    await this.#send(operation, ['EVAL', REMOVE, '1', this.#key, String(slot), clock]);
  }

  #send(operation: string, words: readonly (string | Buffer)[]): Promise<unknown> {
    return this.#connection.send(operation, this.#slot, () => words);
  }
}
