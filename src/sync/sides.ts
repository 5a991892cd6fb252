import { Call } from '../store/call.ts';
import { toWrites } from '../store/checks.ts';
import type { Codec } from '../store/codec.ts';
import { defineStore } from '../store/define-store.ts';
import { invalidArgument, isStrataError, StrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import type { BatchResult, BatchWrite } from '../store/operations.ts';
import { packedCommits } from '../store/packed-commits.ts';
import type { Feed, Primitives, Write } from '../store/primitives.ts';
import type { ReadonlyStore } from '../store/readonly-store.ts';
import { toBatchResult } from '../store/results.ts';
import type { Store } from '../store/store.ts';
import type { ValueTaker } from './operations-reader.ts';
import type { WireWrite } from './writes.ts';

/*
 * The wire carries bytes. A store that has its values as bytes gives and takes them as they are;
 * any other needs a codec: its own, or one given.
 */

const NO_CODEC = 'bytes, or a store with a codec, or the option codec (such as json())';

/** A store as the publishing side sees it. */
export interface SourceSide {
  readonly primitives: Primitives<unknown>;
  /** What the feed's changes are read from, with values as they are there. */
  readonly entries: Primitives<unknown>;
  readonly feed: Feed<unknown>;
  readonly codecName: string;
  toBytes(key: string, value: unknown): Uint8Array;
  /**
   * Applies writes of a subscriber in one commit, with every check of the store itself; `record` is
   * a reserved key that goes first with them, as the first of the results.
   */
  batch(writes: readonly WireWrite[], record?: Write<unknown>): Promise<BatchResult>;
  /** A short text as a value that the store can hold under a reserved key, and back. */
  holdText(text: string): unknown;
  readText(stored: unknown): string | undefined;
}

export function sourceSide<V>(store: ReadonlyStore<V>, codec: Codec<V> | undefined): SourceSide {
  const primitives = primitivesOf(store, 'publish');
  const known = codec ?? primitives.codec;
  // A codec that is given is what the wire shall carry, even where the store has other bytes.
  const undecoded = codec === undefined ? primitives.bytes : undefined;
  const feed: Feed<unknown> | undefined =
    undecoded === undefined ? primitives.feed : undecoded.feed;
  if (feed === undefined || !store.capabilities.feed)
    throw new StrataError(
      'unsupported',
      `publish: ${primitives.shape.type} stores have no feed; wrap the store in watchable()`,
      { operation: 'publish' },
    );
  const encode = undecoded === undefined ? known : undefined;
  const target = known === undefined && undecoded !== undefined ? defineStore(undecoded) : store;
  const decode = known?.decode.bind(known);
  return {
    primitives: primitives as unknown as Primitives<unknown>,
    entries: (undecoded ?? primitives) as unknown as Primitives<unknown>,
    feed,
    codecName: known?.name ?? 'raw',
    toBytes: (key, value) => toBytes('publish', key, value as V, encode),
    holdText: (text) => (encode === undefined ? new TextEncoder().encode(text) : text),
    readText,
    batch: async (writes, record) => {
      const batch = decode === undefined ? writes : decoded(writes, decode);
      if (record === undefined) return (target as Store<unknown>).batch(batch);
      const checker = primitivesOf(target as Store<unknown>);
      const checked = toWrites(checker, 'batch', batch);
      if (undecoded === undefined) return batchWith(checker, checked, record);
      const encoded = checked.map((write) =>
        write.type === 'delete' || known === undefined
          ? write
          : { ...write, value: known.encode(write.value as V) },
      );
      return batchWith(undecoded as Primitives<unknown>, encoded, record);
    },
  };
}

/** As `batch` of a store, with a reserved key that no caller could name. */
async function batchWith(
  primitives: Primitives<unknown>,
  writes: readonly Write<unknown>[],
  record: Write<unknown>,
): Promise<BatchResult> {
  const call = new Call(primitives.env, 'batch', undefined, undefined, primitives.timeoutMs);
  const all = [record, ...writes];
  const done = await call.chain(primitives.commit(all, call), (outcome) => outcome);
  const { rev, results } = toBatchResult(all, done);
  return { ...(rev !== undefined && { rev }), results };
}

function readText(stored: unknown): string | undefined {
  if (stored instanceof Uint8Array) return new TextDecoder().decode(stored);
  return typeof stored === 'string' ? stored : undefined;
}

function decoded<V>(
  writes: readonly WireWrite[],
  decode: (bytes: Uint8Array) => V,
): BatchWrite<V>[] {
  return writes.map((write) => {
    if (write.type === 'delete') return write;
    try {
      return { ...write, value: decode(write.value) };
    } catch (cause) {
      const { key } = write;
      throw new StrataError(
        'invalid-argument',
        `write: the value of ${JSON.stringify(key)} is not what the store's codec reads`,
        { operation: 'write', key, cause },
      );
    }
  });
}

/** A value as bytes: encoded, or refused when it is none and there is no codec. */
function toBytes<V>(
  operation: string,
  key: string,
  value: V,
  codec: Codec<V> | undefined,
): Uint8Array {
  if (codec !== undefined) return codec.encode(value);
  if (value instanceof Uint8Array) return value;
  throw invalidArgument(operation, `the value of ${JSON.stringify(key)}`, value, NO_CODEC, key);
}

/** A store as the subscribing side fills it. */
export interface LocalSide<V> {
  /** What groups are applied to. */
  readonly primitives: Primitives<unknown>;
  readonly codecName: string | undefined;
  /** Makes what `primitives` stores of a value's bytes in a frame. */
  readonly values: ValueTaker<unknown>;
  /** A stored value as an application sees it, sharing nothing with the store. */
  toPublic(stored: unknown): V;
  toBytes(key: string, value: V): Uint8Array;
  /** A short text as a value that the store can hold, and back. */
  holdText(text: string): unknown;
  readText(stored: unknown): string | undefined;
}

/** Where the type of the values does not matter. */
export type AnySide = Pick<LocalSide<unknown>, 'primitives' | 'values' | 'holdText' | 'readText'>;

export function localSide<V>(store: Store<V>, codec: Codec<V> | undefined): LocalSide<V> {
  const own = primitivesOf(store, 'subscribe');
  const known = codec ?? own.codec;
  const undecoded = codec === undefined ? own.bytes : undefined;
  const primitives = (undecoded ?? own) as unknown as Primitives<unknown>;
  const coded = undecoded === undefined ? known : undefined;
  const guard = primitives.guard?.bind(primitives);
  return {
    primitives,
    codecName: known?.name,
    values:
      coded !== undefined
        ? decodedValues(coded)
        : guard
          ? pooledValues(packedCommits(primitives) !== undefined)
          : ownValues,
    toPublic: (stored) => {
      if (undecoded !== undefined && known !== undefined) return known.decode(stored as Uint8Array);
      return (guard === undefined ? stored : guard(stored)) as V;
    },
    toBytes: (key, value) => toBytes('write', key, value, known),
    holdText: (text) => (coded === undefined ? new TextEncoder().encode(text) : text),
    readText,
  };
}

/** Every value its own bytes. */
const ownValues: ValueTaker<Uint8Array> = {
  take: (frame, start, end) => frame.slice(start, end),
};

/** Values up to this size share a copy of this part of the frame. */
const POOLED_BYTES = 1_024;
const POOL_BYTES = 4_096;

/**
 * Small values that follow each other share one copy: much cheaper than one each, and one that
 * stays keeps only a few of its neighbours in memory. For stores that copy what they hand out.
 */
function pooledValues(packs: boolean): ValueTaker<Uint8Array> {
  let source: Uint8Array | undefined;
  let pool = new ArrayBuffer(0);
  let poolStart = 0;
  return {
    packs,
    take(frame, start, end) {
      if (end - start > POOLED_BYTES) return frame.slice(start, end);
      if (source !== frame || start < poolStart || end > poolStart + pool.byteLength) {
        source = frame;
        poolStart = start;
        pool = frame.slice(start, Math.max(end, start + POOL_BYTES)).buffer as ArrayBuffer;
      }
      return new Uint8Array(pool, start - poolStart, end - start);
    },
  };
}

function decodedValues<V>(codec: Codec<V>): ValueTaker<V> {
  return {
    take(frame, start, end) {
      try {
        return codec.decode(frame.subarray(start, end));
      } catch (cause) {
        if (isStrataError(cause)) throw cause;
        throw new StrataError('corrupt', `sync: the codec ${codec.name} cannot read a value`, {
          operation: 'sync',
          cause,
        });
      }
    },
  };
}
