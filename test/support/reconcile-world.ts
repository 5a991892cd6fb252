/** Copies of a store that cannot resume from their cursors. */
import { expect } from 'vitest';
import { memory } from '../../src/drivers/memory/index.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { Position } from '../../src/store/primitives.ts';
import type { StoreWithBlocking } from '../../src/store/store.ts';
import { recordKey } from '../../src/sync/cursor-record.ts';
import {
  type Connector,
  channelPair,
  type Publication,
  type PublishLimits,
  publish,
  type Subscription,
  subscribe,
  type Transport,
} from '../../src/sync/index.ts';
import { MESSAGES } from '../../src/sync/protocol.ts';
import { type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';
import { bytes, words } from './bytes.ts';
import { Line } from './sync-world.ts';

export type Local = StoreWithBlocking<Uint8Array>;

export const LIMITS: PublishLimits = { comparedKeys: 0 };

/** Puts an entry into a copy that says it comes from where the others do. */
export async function forge(local: Local, like: string, key: string): Promise<void> {
  const origin = (await local.getEntry(like))?.origin;
  if (origin === undefined) throw new Error(`${like} is no copy`);
  primitivesOf(local).blocking?.commit(
    [{ type: 'set', key, value: bytes('forged'), origin: { ...origin, version: 'forged.1' } }],
    'set',
  );
}

/** Makes the cursor of a copy one that its source cannot continue. */
export function loseCursor(local: Local, change: Partial<Position> = { epoch: 'another' }): void {
  const inside = primitivesOf(local).blocking;
  const stored = inside?.readOne(recordKey(''));
  const record = JSON.parse(words(stored?.value) ?? '');
  const [epoch, rev, id] = record.cursor.split('.');
  const at = { epoch, rev: Number.parseInt(rev, 36), id, ...change };
  record.cursor = `${at.epoch}.${at.rev.toString(36)}.${at.id}`;
  const value = bytes(JSON.stringify(record));
  inside?.commit([{ type: 'set', key: recordKey(''), value }], 'set');
}

async function fill(store: Local, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1_000)
    await store.setMany(
      Array.from({ length: Math.min(1_000, count - i) }, (_, j) => [
        `key:${i + j}`,
        new Uint8Array(100).fill(j),
      ]),
    );
}

export interface World {
  readonly world: SimulatedEnv;
  readonly store: Local;
  readonly local: Local;
  readonly publication: Publication;
  readonly line: Line;
}

/** A store with so many keys, and a copy of it that is not connected. */
export async function copied(keys: number, seed = 3): Promise<World> {
  const world = simulatedEnv(seed);
  const store = memory<Uint8Array>({ env: world, tombstoneBytes: 1_000, logBytes: 20_000 });
  await fill(store, keys);
  const local = memory<Uint8Array>({ env: world });
  const publication = publish(store, { limits: LIMITS });
  const line = new Line(publication);
  const first = subscribe(line, local);
  await world.advance(1);
  await first.ready;
  await first.close();
  return { world, store, local, publication, line };
}

export async function connected(
  { world, line, local }: World,
  ms = 5,
): Promise<Subscription<Uint8Array>> {
  const subscription = subscribe(line, local);
  await world.advance(ms);
  await subscription.ready;
  return subscription;
}

/** Connections whose batches wait until they are let through. */
export class Gate implements Connector {
  readonly #publication: Publication;
  #held: (() => void)[] = [];
  #isOpen = false;

  constructor(publication: Publication) {
    this.#publication = publication;
  }

  get waiting(): number {
    return this.#held.length;
  }

  /** Lets so many through, or all from now on. */
  open(count: number = Number.POSITIVE_INFINITY): void {
    this.#isOpen = count === Number.POSITIVE_INFINITY;
    for (const deliver of this.#held.splice(0, count)) deliver();
  }

  connect(): Transport {
    const [here, there] = channelPair();
    this.#publication.accept(there);
    return {
      get bufferedBytes() {
        return here.bufferedBytes;
      },
      send: (frame) => here.send(frame),
      close: (code, reason) => here.close(code, reason),
      start: (handlers) =>
        here.start({
          ...handlers,
          message: (frame) => {
            if (this.#isOpen || frame[0] !== MESSAGES.batch.code) handlers.message(frame);
            else this.#held.push(() => handlers.message(frame));
          },
        }),
    };
  }
}

export const same = async (store: Local, local: Local): Promise<void> => {
  const [wanted, held] = [await stamps(store), await stamps(local)];
  expect(held).toEqual(wanted);
};

async function stamps(store: Local): Promise<string[]> {
  const all: string[] = [];
  for await (const { key, value, version, origin } of store.list())
    all.push(`${key} ${words(value)} ${origin?.version ?? version}`);
  return all;
}
