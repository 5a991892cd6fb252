import { failure } from '../store/errors.ts';
import type { CallOptions } from '../store/operations.ts';
import type { Content } from './content.ts';
import { type ChunkSizes, Cutter } from './cutter.ts';
import { inOrder } from './in-order.ts';
import { missing } from './refs.ts';
import { TreeBuilder } from './tree-builder.ts';
import { decodeNode, sizeOf, type TreeNode } from './tree-node.ts';

/** Bytes as they come: all at once, or as a stream (a `ReadableStream`, a Node stream, a generator). */
export type ByteSource = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** How far a split has come. */
export interface SplitProgress {
  readonly chunks: number;
  readonly bytes: number;
  /** Chunks that the store did not have. */
  readonly addedChunks: number;
  readonly addedBytes: number;
}

/** What a split gave. */
export interface SplitResult extends SplitProgress {
  /** Of the tree over the chunks: what `join` takes. */
  readonly ref: string;
  /** Whether the store did not have this very content, split like this. */
  readonly added: boolean;
}

/** One node or chunk of a tree, with where its content lies. */
export interface TreePart {
  readonly kind: 'node' | 'chunk';
  readonly ref: string;
  /** 0 for the root. */
  readonly depth: number;
  readonly offset: number;
  readonly size: number;
}

/** A stretch of content, from one byte up to another. */
export interface ByteRange {
  /** The first byte; default 0. */
  readonly start?: number;
  /** Behind the last byte; default the end. */
  readonly end?: number;
}

/** How trees are written and read. */
export interface TreeOptions extends CallOptions {
  readonly concurrency: number;
}

/** Cuts a source into chunks, stores them, and a tree over them. */
export async function splitInto(
  content: Content,
  source: ByteSource,
  sizes: ChunkSizes,
  { concurrency, ...call }: TreeOptions,
  onProgress?: (progress: SplitProgress) => void,
): Promise<SplitResult> {
  const progress = { chunks: 0, bytes: 0, addedChunks: 0, addedBytes: 0 };
  let added = false;
  const builder = new TreeBuilder(async (bytes) => {
    const done = await content.give('tree', bytes, call);
    added = done.added;
    return done.ref;
  });
  const stored = inOrder(chunksOf(source, sizes), concurrency, async (chunk) => {
    return { ...(await content.give('blob', chunk, call)), size: chunk.length };
  });
  for await (const { ref, added: isNew, size } of stored) {
    await builder.add({ ref, size });
    progress.chunks++;
    progress.bytes += size;
    if (isNew) {
      progress.addedChunks++;
      progress.addedBytes += size;
    }
    onProgress?.({ ...progress });
  }
  const { ref } = await builder.finish();
  return { ref, added, ...progress };
}

/** The chunks of a source. */
async function* chunksOf(source: ByteSource, sizes: ChunkSizes): AsyncGenerator<Uint8Array> {
  const cutter = new Cutter(sizes);
  const parts = source instanceof Uint8Array ? [source] : source;
  for await (const part of parts) {
    if (!(part instanceof Uint8Array))
      throw failure('invalid-argument', 'split', 'the source gives something that is no bytes');
    yield* cutter.push(part);
  }
  const last = cutter.finish();
  if (last !== undefined) yield last;
}

/** The size of what a ref names. Errors: `data-missing`. */
export async function sizeOfRef(
  content: Content,
  operation: string,
  ref: string,
  options: CallOptions,
): Promise<number> {
  const root = await rootOf(content, operation, ref, options);
  return root instanceof Uint8Array ? root.length : sizeOf(root);
}

/** The content of a tree, or of a blob, within a range, in pieces and in order; each is held against its ref. */
export async function* joined(
  content: Content,
  operation: string,
  ref: string,
  range: ByteRange,
  { concurrency, ...call }: TreeOptions,
): AsyncGenerator<Uint8Array> {
  const { start = 0, end = Number.POSITIVE_INFINITY } = range;
  const root = await rootOf(content, operation, ref, call);
  if (root instanceof Uint8Array) {
    const part = root.subarray(start, Math.min(end, root.length));
    if (part.length > 0) yield part;
    return;
  }
  const reader = new TreeReader(content, operation, call);
  const leaves = reader.leaves(root, ref, start, end);
  yield* inOrder(leaves, concurrency, async (part) => {
    const bytes = await content.need(operation, 'blob', part.ref, call);
    if (bytes.length !== part.size)
      throw failure('corrupt', operation, `the tree ${ref} tells a wrong size of ${part.ref}`);
    return bytes.subarray(
      Math.max(0, start - part.offset),
      Math.min(bytes.length, end - part.offset),
    );
  });
}

/** Every node and chunk of a tree, each node before what is beneath it; chunks are not read. */
export async function* partsOf(
  content: Content,
  ref: string,
  options: CallOptions,
): AsyncGenerator<TreePart> {
  const root = await rootOf(content, 'tree', ref, options);
  if (root instanceof Uint8Array)
    yield { kind: 'chunk', ref, depth: 0, offset: 0, size: root.length };
  else
    yield* new TreeReader(content, 'tree', options).parts(
      root,
      ref,
      0,
      0,
      0,
      Number.POSITIVE_INFINITY,
    );
}

/** The root of a tree, or the bytes of a blob. */
async function rootOf(
  content: Content,
  operation: string,
  ref: string,
  options: CallOptions,
): Promise<TreeNode | Uint8Array> {
  const node = await content.get(operation, 'tree', ref, options);
  if (node !== undefined) return decodeNode(operation, ref, node);
  const bytes = await content.get(operation, 'blob', ref, options);
  if (bytes === undefined) throw missing(operation, 'content', ref);
  return bytes;
}

class TreeReader {
  readonly #content: Content;
  readonly #operation: string;
  readonly #options: CallOptions;

  constructor(content: Content, operation: string, options: CallOptions) {
    this.#content = content;
    this.#operation = operation;
    this.#options = options;
  }

  async *leaves(node: TreeNode, ref: string, start: number, end: number): AsyncGenerator<TreePart> {
    for await (const part of this.parts(node, ref, 0, 0, start, end))
      if (part.kind === 'chunk') yield part;
  }

  /** A node and what is beneath it, as far as it touches the range. */
  async *parts(
    node: TreeNode,
    ref: string,
    depth: number,
    offset: number,
    start: number,
    end: number,
  ): AsyncGenerator<TreePart> {
    yield { kind: 'node', ref, depth, offset, size: sizeOf(node) };
    let at = offset;
    for (const child of node.children) {
      const from = at;
      at += child.size;
      if (at <= start || from >= end) continue;
      if (node.level === 0) {
        yield { kind: 'chunk', ...child, depth: depth + 1, offset: from };
        continue;
      }
      const bytes = await this.#content.need(this.#operation, 'tree', child.ref, this.#options);
      const below = decodeNode(this.#operation, child.ref, bytes);
      if (below.level !== node.level - 1 || sizeOf(below) !== child.size)
        throw failure('corrupt', this.#operation, `the tree ${ref} does not fit together`);
      yield* this.parts(below, child.ref, depth + 1, from, start, end);
    }
  }
}
