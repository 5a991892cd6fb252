import type { Call } from '../store/call.ts';
import type { Entry } from '../store/entry.ts';
import { StrataError } from '../store/errors.ts';
import { prefixBounds, RESERVED_PREFIX } from '../store/keys.ts';
import type { Write } from '../store/primitives.ts';
import { type Operation, toWrites } from './operations.ts';
import { readOperations } from './operations-reader.ts';
import type { AnySide } from './sides.ts';

/*
 * A group that is too large to be held in memory waits for its end in the local store, under keys
 * that nobody sees. Its states:
 *
 *   receiving   parts are written as they come, and acknowledged when they are durable
 *   whole       the last part is there; the flip may begin
 *   flipping    one transaction of the store moves all parts and the cursor to where readers look
 *   flipped     the cursor says so; listeners hear of it, then the parts are removed
 *
 * Readers see the state before the flip until its transaction is complete, and all of it after. A
 * process that dies before that leaves the old state and parts that nobody needs; one that dies
 * after leaves the new state and the same. The next subscription removes them with its first group.
 */

const STAGES = `${RESERVED_PREFIX}sync-stage/`;
/** A number in a key, so that keys are in order. */
const DIGITS = 8;

/** The operations of one frame as they came, with the value in pieces that one of them may have. */
export interface Block {
  readonly operations: Uint8Array;
  readonly pieced: Uint8Array | undefined;
}

/** What has come of a group since the part before. */
export interface StagedPart {
  /** Begins a group, whatever was staged before. */
  readonly first: boolean;
  readonly blocks: readonly Block[];
  readonly keys: number;
  /** Bytes of frames that may be acknowledged once this is durable. */
  readonly bytes: number;
}

/** Whether groups can be staged here: elsewhere a commit is in memory anyway. */
export function canStage({ primitives }: AnySide): boolean {
  return primitives.commitPages !== undefined;
}

/** Reads some of the store's keys: now, or in the transaction that flips. */
type Look = (keys: readonly string[]) => Promise<readonly (Entry<unknown> | undefined)[]>;

/** The parts of one group in the local store. */
export class GroupStage {
  readonly #local: AnySide;
  readonly #place: string;
  /** Of each block, whether a value in pieces stands beside it. */
  readonly #pieced: boolean[] = [];
  keys = 0;

  constructor(local: AnySide, prefix: string, id: string) {
    this.#local = local;
    this.#place = `${placeOf(prefix)}${id}/`;
  }

  /** Number of blocks, from 0 on. */
  get count(): number {
    return this.#pieced.length;
  }

  /** Makes a part durable; may be repeated after a failure. Errors: those of the store. */
  async add({ blocks, keys }: StagedPart, call: Call): Promise<void> {
    const writes: Write<unknown>[] = [];
    blocks.forEach(({ operations, pieced }, i) => {
      const key = this.#key(this.count + i);
      // Copies: the frames that these are views of may be much larger.
      writes.push({ type: 'set', key, value: operations.slice() });
      if (pieced !== undefined) writes.push({ type: 'set', key: `${key}p`, value: pieced });
    });
    await this.#commit(writes, call);
    for (const { pieced } of blocks) this.#pieced.push(pieced !== undefined);
    this.keys += keys;
  }

  /** The writes of one block. Errors: `data-missing` when somebody has removed it. */
  async read(block: number, look: Look): Promise<readonly Write<unknown>[]> {
    const key = this.#key(block);
    const entries = await look(this.#pieced[block] ? [key, `${key}p`] : [key]);
    const [operations, pieced] = entries.map((entry) => entry?.value);
    if (
      !(operations instanceof Uint8Array) ||
      (this.#pieced[block] && !(pieced instanceof Uint8Array))
    )
      throw new StrataError('data-missing', 'subscribe: a part of a large group is gone', {
        operation: 'subscribe',
        key,
      });
    const found: Operation<unknown>[] = [];
    readOperations(operations, pieced as Uint8Array | undefined, this.#local.values, found);
    return toWrites(found);
  }

  async remove(call: Call): Promise<void> {
    const keys = this.#pieced.flatMap((pieced, block) => {
      const key = this.#key(block);
      return pieced ? [key, `${key}p`] : [key];
    });
    await removeKeys(this.#local, keys, call);
  }

  #key(block: number): string {
    return this.#place + String(block).padStart(DIGITS, '0');
  }

  async #commit(writes: readonly Write<unknown>[], call: Call): Promise<void> {
    const done = this.#local.primitives.commit(writes, call);
    if (done instanceof Promise) await call.guard(done);
  }
}

/** What earlier subscriptions have left of stages; those of other tabs that are at work included. */
export async function stagedKeys(local: AnySide, prefix: string, call: Call): Promise<string[]> {
  const range = {
    ...prefixBounds(placeOf(prefix)),
    reverse: false,
    limit: Number.POSITIVE_INFINITY,
  };
  const keys: string[] = [];
  for await (const page of local.primitives.scanKeys(range, call)) keys.push(...page);
  return keys;
}

/** Removes parts; whoever still needs them begins anew. */
export async function removeKeys(
  local: AnySide,
  keys: readonly string[],
  call: Call,
): Promise<void> {
  if (keys.length === 0) return;
  const done = local.primitives.commit(
    keys.map((key) => ({ type: 'delete', key })),
    call,
  );
  if (done instanceof Promise) await call.guard(done);
}

function placeOf(prefix: string): string {
  return `${STAGES}${prefix}${RESERVED_PREFIX}`;
}
