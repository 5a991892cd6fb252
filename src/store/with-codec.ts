import type { Awaitable } from './awaitable.ts';
import type { Codec } from './codec.ts';
import type { Change, Entry } from './entry.ts';
import { failure, isStrataError, type StrataError } from './errors.ts';
import { RESERVED_PREFIX } from './keys.ts';
import type { BlockingPrimitives, Feed, FeedPage, Primitives, Write } from './primitives.ts';

/** Primitives that are sure to have a synchronous half. */
export type PrimitivesWithBlocking<V> = Primitives<V> & {
  readonly blocking: BlockingPrimitives<V>;
};

/**
 * A store of bytes as a store of values: everything of an entry but its value passes unchanged.
 * The bytes stay reachable as `bytes`, so that replication moves them undecoded.
 *
 * Errors: `invalid-argument`, naming the key, for a value that the codec refuses or whose bytes are
 * too many, before anything of its batch is applied; `corrupt` for bytes that the codec cannot read.
 */
export function withCodec<V>(
  primitives: PrimitivesWithBlocking<Uint8Array>,
  codec: Codec<V>,
): PrimitivesWithBlocking<V>;
export function withCodec<V>(primitives: Primitives<Uint8Array>, codec: Codec<V>): Primitives<V>;
export function withCodec<V>(bytes: Primitives<Uint8Array>, codec: Codec<V>): Primitives<V> {
  const values = new CodedValues(bytes, codec);
  const { shape, capabilities, env, timeoutMs, feed, blocking } = bytes;
  return {
    shape: { ...shape, details: { ...shape.details, codec: codec.name } },
    capabilities,
    env,
    ...(timeoutMs !== undefined && { timeoutMs }),
    codec,
    bytes,
    readOne: (key, call) =>
      then(bytes.readOne(key, call), (entry) => values.entry(call.operation, entry)),
    ...(bytes.readValue !== undefined && {
      readValue: (key, call) =>
        then(bytes.readValue?.(key, call), (stored) => values.value(call.operation, key, stored)),
    }),
    readMany: (keys, call) =>
      then(bytes.readMany(keys, call), (entries) =>
        entries.map((entry) => values.entry(call.operation, entry)),
      ),
    async *scan(range, call) {
      for await (const page of bytes.scan(range, call))
        yield page.map((entry) => values.decoded(call.operation, entry));
    },
    scanKeys: (range, call) => bytes.scanKeys(range, call),
    commit: (writes, call) => bytes.commit(values.writes(call.operation, writes), call),
    ...(feed !== undefined && { feed: codedFeed(feed, values) }),
    ...(blocking !== undefined && { blocking: codedBlocking(blocking, values) }),
    close: () => bytes.close(),
  };
}

function codedFeed<V>(feed: Feed<Uint8Array>, values: CodedValues<V>): Feed<V> {
  return {
    state: (call) => feed.state(call),
    async *read(after, call): AsyncGenerator<FeedPage<V>> {
      for await (const { changes, end } of feed.read(after, call))
        yield {
          changes: values.changes(call.operation, changes),
          ...(end !== undefined && { end }),
        };
    },
    wait: (after, call) => feed.wait(after, call),
    epochOf: (rev) => feed.epochOf(rev),
  };
}

function codedBlocking<V>(
  blocking: BlockingPrimitives<Uint8Array>,
  values: CodedValues<V>,
): BlockingPrimitives<V> {
  const { state } = blocking;
  return {
    readOne: (key) => values.entry('get', blocking.readOne(key)),
    ...(blocking.readValue !== undefined && {
      readValue: (key) => values.value('get', key, blocking.readValue?.(key)),
    }),
    *scan(range) {
      for (const entry of blocking.scan(range)) yield values.decoded('list', entry);
    },
    scanKeys: (range) => blocking.scanKeys(range),
    commit: (writes, operation) => blocking.commit(values.writes(operation, writes), operation),
    ...(state !== undefined && { state: () => state.call(blocking) }),
  };
}

/** Applies `fn` now where the result is at hand. */
function then<A, B>(result: Awaitable<A>, fn: (value: A) => B): Awaitable<B> {
  return result instanceof Promise ? result.then(fn) : fn(result);
}

/** The two directions of a codec, with errors that say which key of which store they concern. */
class CodedValues<V> {
  readonly #bytes: Primitives<Uint8Array>;
  readonly #codec: Codec<V>;

  constructor(bytes: Primitives<Uint8Array>, codec: Codec<V>) {
    this.#bytes = bytes;
    this.#codec = codec;
  }

  writes(operation: string, writes: readonly Write<V>[]): Write<Uint8Array>[] {
    return writes.map((write) =>
      write.type === 'set'
        ? { ...write, value: this.#encode(operation, write.key, write.value) }
        : write,
    );
  }

  value(operation: string, key: string, stored: Uint8Array | undefined): V | undefined {
    return stored === undefined ? undefined : this.#decode(operation, key, stored);
  }

  entry(operation: string, entry: Entry<Uint8Array> | undefined): Entry<V> | undefined {
    return entry === undefined ? undefined : this.decoded(operation, entry);
  }

  decoded(operation: string, entry: Entry<Uint8Array>): Entry<V> {
    return { ...entry, value: this.#decode(operation, entry.key, entry.value) };
  }

  /** Without reserved keys that hold no value of this codec: what replication keeps among the bytes. */
  changes(operation: string, changes: readonly Change<Uint8Array>[]): Change<V>[] {
    const decoded: Change<V>[] = [];
    for (const change of changes) {
      const { key } = change;
      if (change.type === 'delete') decoded.push(change);
      else
        try {
          decoded.push({ ...change, value: this.#decode(operation, key, change.value) });
        } catch (error) {
          if (!key.startsWith(RESERVED_PREFIX)) throw error;
        }
    }
    return decoded;
  }

  #encode(operation: string, key: string, value: V): Uint8Array {
    let encoded: Uint8Array;
    try {
      encoded = this.#codec.encode(value);
    } catch (cause) {
      throw this.#failed(operation, key, 'encode', cause);
    }
    const { maxValueBytes } = this.#bytes.capabilities;
    if (maxValueBytes !== undefined && encoded.length > maxValueBytes)
      throw failure(
        'invalid-argument',
        operation,
        `the value of ${JSON.stringify(key)} has ${encoded.length} bytes as ${this.#codec.name}; expected at most ${maxValueBytes}`,
        { key },
      );
    this.#bytes.checkValue?.(operation, key, encoded);
    return encoded;
  }

  #decode(operation: string, key: string, stored: Uint8Array): V {
    let value: V;
    try {
      value = this.#codec.decode(stored);
    } catch (cause) {
      throw this.#failed(operation, key, 'decode', cause);
    }
    // It would read as a miss, which the entry is not.
    if (value === undefined)
      throw this.#failed(operation, key, 'decode', new TypeError('it gave undefined'));
    return value;
  }

  #failed(
    operation: string,
    key: string,
    direction: 'encode' | 'decode',
    cause: unknown,
  ): StrataError {
    const code = isStrataError(cause)
      ? cause.code
      : direction === 'encode'
        ? 'invalid-argument'
        : 'corrupt';
    const why = cause instanceof Error ? cause.message : String(cause);
    return failure(
      code,
      operation,
      `the codec ${this.#codec.name} cannot ${direction} the value of ${JSON.stringify(key)}: ${why}`,
      { key, cause },
    );
  }
}
