import type { Env } from '../store/env.ts';
import { failure, invalidArgument, StrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import type { CallOptions } from '../store/operations.ts';
import * as is from '../store/option-rules.ts';
import { CALL_RULES, checkOptions, type OptionRules } from '../store/options.ts';
import type { Store } from '../store/store.ts';
import { sweep } from '../walk/sweep.ts';
import type { SweepProgress, SweepResult } from '../walk/sweep-options.ts';
import type { Walker } from '../walk/walker.ts';
import { ANCHORS, Anchors } from './anchors.ts';
import { Content, type PutResult } from './content.ts';
import type { ChunkSizes } from './cutter.ts';
import { inOrder } from './in-order.ts';
import { checkRef, keyOf, kindOf, PREFIX, prefixOf, type RefKind, refOf } from './refs.ts';
import { decodeNode } from './tree-node.ts';
import {
  type ByteRange,
  type ByteSource,
  joined,
  partsOf,
  type SplitProgress,
  type SplitResult,
  sizeOfRef,
  splitInto,
  type TreePart,
} from './trees.ts';

/** Options of `blobs`. */
export interface BlobsOptions {
  /** Blobs read or written at once by one call; default 8. */
  readonly concurrency?: number;
  /**
   * How long content may lie in the store before something must reach it, in ms: `sweep` leaves
   * what is younger alone. From the first `put` or the begin of a `split` until the anchor, half of
   * it may pass. Default 24 hours; the same for all who use one store.
   */
  readonly graceMs?: number;
}

/** How a source is cut. The same sizes are needed to find the same chunks again. */
export interface SplitOptions extends CallOptions {
  /** No chunk but the last is smaller, in bytes; default a quarter of `meanBytes`. */
  readonly minBytes?: number;
  /** About the usual size, in bytes, a power of two; default 262,144. */
  readonly meanBytes?: number;
  /** No chunk is larger, in bytes; default four times `meanBytes`. */
  readonly maxBytes?: number;
  /** Called after each chunk, in order. */
  readonly onProgress?: (progress: SplitProgress) => void;
}

/** Options of `Blobs.sweep`. */
export interface BlobSweepOptions extends CallOptions {
  /**
   * True: where there are no anchors, everything that is old enough goes. Default false: that is
   * refused with `invalid-argument`, also as a dry run.
   */
  readonly allowNoRoots?: boolean;
  /** Removes nothing, and counts what would go. */
  readonly dryRun?: boolean;
  /** Hears of every blob and node that was removed. */
  readonly onSwept?: (ref: string, kind: RefKind) => void;
  /** Called after each batch. */
  readonly onProgress?: (progress: SweepProgress) => void;
}

/** What became of one blob of several: with neither `bytes` nor `error`, the store does not have it. */
export interface GetOutcome {
  readonly ref: string;
  readonly bytes?: Uint8Array;
  readonly error?: StrataError;
}

/** What became of one blob of several. */
export interface PutOutcome {
  readonly ref: string;
  readonly added?: boolean;
  readonly error?: StrataError;
}

const RULES: OptionRules = {
  concurrency: is.positive,
  graceMs: {
    expected: 'a number of ms of at least 0',
    accepts: (v) => Number.isFinite(v) && (v as number) >= 0,
  },
};
const SPLIT_RULES: OptionRules = {
  minBytes: is.positive,
  meanBytes: is.positive,
  maxBytes: is.positive,
  onProgress: is.fn,
  ...CALL_RULES,
};
const RANGE_RULES: OptionRules = { start: is.count, end: is.count, ...CALL_RULES };
const LIST_RULES: OptionRules = {
  after: is.text,
  kind: is.oneOf('blob', 'tree'),
  limit: is.count,
  ...CALL_RULES,
};
const SWEEP_RULES: OptionRules = {
  allowNoRoots: is.boolean,
  dryRun: is.boolean,
  onSwept: is.fn,
  onProgress: is.fn,
  ...CALL_RULES,
};
const DAY_MS = 86_400_000;
/** Content is large: a sweep reads it in small batches. */
const SWEEP_BATCH_KEYS = 8;
const MIN_CHUNK_BYTES = 64;
const MAX_CHUNK_BYTES: number = 64 * 1024 * 1024;

/**
 * Content-addressed bytes over any byte store: see `blobs`. Its keys begin with `blobs/`; what else
 * the store holds is not touched. Every call takes `signal` and `timeoutMs`, which bounds each step.
 */
export class Blobs {
  /** Names for refs, with their history. */
  readonly anchors: Anchors;
  readonly #store: Store<Uint8Array>;
  readonly #content: Content;
  readonly #concurrency: number;
  readonly #graceMs: number;

  /** Use `blobs(store)`. */
  constructor(store: Store<Uint8Array>, options: BlobsOptions) {
    checkOptions('blobs', options, RULES);
    const { concurrency = 8, graceMs = DAY_MS } = options;
    const env: Env = primitivesOf(store, 'blobs').env;
    this.#store = store;
    this.#concurrency = concurrency;
    this.#graceMs = graceMs;
    this.#content = new Content(store, env, graceMs);
    this.anchors = new Anchors(store, env);
  }

  /** Stores bytes; `added` is false where the store had them. */
  async put(bytes: Uint8Array, options: CallOptions = {}): Promise<PutResult> {
    checkBytes('put', bytes);
    checkOptions('put', options, CALL_RULES);
    return this.#content.put('blob', bytes, options);
  }

  /** The bytes of a ref, or `undefined`. Errors: `corrupt` where the store has others under it. */
  async get(ref: string, options: CallOptions = {}): Promise<Uint8Array | undefined> {
    checkRef('get', ref);
    checkOptions('get', options, CALL_RULES);
    return this.#content.get('get', 'blob', ref, options);
  }

  /** Whether the store has a blob, or a tree, of this ref; not whether it is whole. */
  async has(ref: string, options: CallOptions = {}): Promise<boolean> {
    checkRef('has', ref);
    checkOptions('has', options, CALL_RULES);
    const keys = [keyOf('blob', ref), keyOf('tree', ref)];
    return (await this.#store.hasMany(keys, options)).size > 0;
  }

  /** Stores several blobs, and tells of each, in their order; one that fails does not stop the others. */
  async putMany(all: Iterable<Uint8Array>, options: CallOptions = {}): Promise<PutOutcome[]> {
    checkOptions('putMany', options, CALL_RULES);
    const list = [...all];
    for (const bytes of list) checkBytes('putMany', bytes);
    return Array.fromAsync(
      inOrder(list, this.#concurrency, async (bytes): Promise<PutOutcome> => {
        try {
          return await this.#content.put('blob', bytes, options);
        } catch (error) {
          return { ref: await refOf(bytes), error: toFailure(error) };
        }
      }),
    );
  }

  /** Reads several blobs, and tells of each, in their order; one that fails does not stop the others. */
  async getMany(refs: Iterable<string>, options: CallOptions = {}): Promise<GetOutcome[]> {
    checkOptions('getMany', options, CALL_RULES);
    const list = [...refs];
    for (const ref of list) checkRef('getMany', ref);
    return Array.fromAsync(
      inOrder(list, this.#concurrency, async (ref): Promise<GetOutcome> => {
        try {
          const bytes = await this.#content.get('getMany', 'blob', ref, options);
          return { ref, ...(bytes !== undefined && { bytes }) };
        } catch (error) {
          return { ref, error: toFailure(error) };
        }
      }),
    );
  }

  /** The refs of all blobs (chunks of trees among them), or of all nodes of trees, ascending, beyond `after`. */
  async *listRefs(
    options: CallOptions & {
      readonly after?: string;
      readonly kind?: RefKind;
      readonly limit?: number;
    } = {},
  ): AsyncGenerator<string> {
    checkOptions('listRefs', options, LIST_RULES);
    const { after, kind = 'blob', ...rest } = options;
    if (after !== undefined) checkRef('listRefs', after, 'the option after');
    const prefix = prefixOf(kind);
    const range = { prefix, ...(after !== undefined && { gt: prefix + after }), ...rest };
    for await (const key of this.#store.keys(range)) yield key.slice(prefix.length);
  }

  /** Removes a blob, whoever may still point to it; true where it was there. `sweep` removes what nobody does. */
  async delete(ref: string, options: CallOptions = {}): Promise<boolean> {
    checkRef('delete', ref);
    checkOptions('delete', options, CALL_RULES);
    return this.#store.delete(keyOf('blob', ref), options);
  }

  /**
   * Cuts a source where its content says (FastCDC), stores the chunks, and a tree over them, whose
   * ref it gives. Holds some chunks, whatever the size of the source. What the store has already of
   * an earlier version is not stored again.
   */
  async split(source: ByteSource, options: SplitOptions = {}): Promise<SplitResult> {
    checkOptions('split', options, SPLIT_RULES);
    checkSource(source);
    const { minBytes, meanBytes, maxBytes, onProgress, ...call } = options;
    const sizes = this.#sizes(minBytes, meanBytes, maxBytes);
    return splitInto(
      this.#content,
      source,
      sizes,
      { ...call, concurrency: this.#concurrency },
      onProgress,
    );
  }

  /**
   * The content of a tree, or of a blob, in pieces; a range of it reads no more than it needs.
   * Errors: `data-missing` for a ref or a chunk that is not there, `corrupt` for a damaged one.
   */
  async *join(ref: string, options: ByteRange & CallOptions = {}): AsyncGenerator<Uint8Array> {
    checkRef('join', ref);
    checkOptions('join', options, RANGE_RULES);
    const { start = 0, end, ...call } = options;
    if (end !== undefined && end < start)
      throw invalidArgument('join', 'the option end', end, `a number of at least start, ${start}`);
    const range = { start, ...(end !== undefined && { end }) };
    yield* joined(this.#content, 'join', ref, range, { ...call, concurrency: this.#concurrency });
  }

  /** The size of a tree's content, or of a blob, in bytes. Errors: `data-missing`. */
  async size(ref: string, options: CallOptions = {}): Promise<number> {
    checkRef('size', ref);
    checkOptions('size', options, CALL_RULES);
    return sizeOfRef(this.#content, 'size', ref, options);
  }

  /** Every node and chunk of a tree, in the order of the content; chunks are not read. */
  async *tree(ref: string, options: CallOptions = {}): AsyncGenerator<TreePart> {
    checkRef('tree', ref);
    checkOptions('tree', options, CALL_RULES);
    yield* partsOf(this.#content, ref, options);
  }

  /**
   * Removes blobs and trees that no anchor reaches and that are older than `graceMs`, while others
   * go on writing. Reads what it keeps. Errors: `invalid-argument` where there are no anchors,
   * unless `allowNoRoots` says that there may be none; those of `sweep` of `stratakv/walk`.
   */
  async sweep(options: BlobSweepOptions = {}): Promise<SweepResult> {
    checkOptions('sweep', options, SWEEP_RULES);
    const { onSwept, ...rest } = options;
    const { signal, timeoutMs } = rest;
    const call = { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
    if (rest.allowNoRoots !== true) await this.#needAnchors(call);
    const roots = (): AsyncIterable<string> => this.#store.keys({ prefix: ANCHORS, ...call });
    return sweep(this.#store, roots, this.#walker, {
      ...rest,
      prefix: PREFIX,
      olderThanMs: this.#graceMs,
      batchKeys: SWEEP_BATCH_KEYS,
      ...(onSwept !== undefined && {
        onSwept: (key: string) => {
          const kind = kindOf(key);
          if (kind !== undefined) onSwept(key.slice(prefixOf(kind).length), kind);
        },
      }),
    });
  }

  /** Without anchors everything that is old would go: more often a mistake than meant. */
  async #needAnchors(call: CallOptions): Promise<void> {
    for await (const _ of this.#store.keys({ prefix: ANCHORS, limit: 1, ...call })) return;
    throw failure(
      'invalid-argument',
      'sweep',
      'there are no anchors, so that everything that is old enough would go; expected at least one, or allowNoRoots: true',
    );
  }

  /** What anchors and nodes point to. */
  readonly #walker: Walker<Uint8Array> = (key, value) => {
    if (key.startsWith(ANCHORS)) return this.anchors.keptKeys(key, value);
    if (kindOf(key) !== 'tree') return [];
    const { level, children } = decodeNode('sweep', key.slice(prefixOf('tree').length), value);
    return children.map(({ ref }) => keyOf(level === 0 ? 'blob' : 'tree', ref));
  };

  #sizes(min: number | undefined, mean = 262_144, max: number | undefined = mean * 4): ChunkSizes {
    const sizes = { min: min ?? Math.max(MIN_CHUNK_BYTES, mean / 4), mean, max };
    const most = Math.min(
      MAX_CHUNK_BYTES,
      this.#store.capabilities.maxValueBytes ?? MAX_CHUNK_BYTES,
    );
    if (sizes.min < MIN_CHUNK_BYTES || sizes.min > mean || mean > max || max > most)
      throw failure(
        'invalid-argument',
        'split',
        `the sizes are min ${sizes.min}, mean ${mean}, max ${max}; expected ${MIN_CHUNK_BYTES} <= min <= mean <= max <= ${most}`,
      );
    if (!Number.isInteger(Math.log2(mean)))
      throw invalidArgument('split', 'the option meanBytes', mean, 'a power of two');
    return sizes;
  }
}

function checkBytes(operation: string, bytes: unknown): void {
  if (!(bytes instanceof Uint8Array))
    throw invalidArgument(operation, 'the blob', bytes, 'a Uint8Array');
}

function checkSource(source: unknown): void {
  const given = typeof source === 'object' && source !== null;
  if (!given || !(Symbol.iterator in source || Symbol.asyncIterator in source))
    throw invalidArgument('split', 'the source', source, 'a Uint8Array, or an iterable of them');
}

function toFailure(error: unknown): StrataError {
  if (error instanceof StrataError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return failure('unavailable', 'blobs', why, { cause: error });
}
