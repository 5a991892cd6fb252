/** Content-addressed bytes over any byte store: blobs, trees over large content, anchors. */
import type { Store } from '../store/store.ts';
import { Blobs, type BlobsOptions } from './blobs.ts';

export type { Anchor, AnchorOptions, Anchors } from './anchors.ts';
export type {
  BlobSweepOptions,
  Blobs,
  BlobsOptions,
  GetOutcome,
  PutOutcome,
  SplitOptions,
} from './blobs.ts';
export type { PutResult } from './content.ts';
export type { RefKind } from './refs.ts';
export type {
  ByteRange,
  ByteSource,
  SplitProgress,
  SplitResult,
  TreePart,
} from './trees.ts';

/**
 * Bytes under their own SHA-256, in any byte store: written once, immutable, held against their
 * hash when they are read. Large content is split into chunks that versions of it share. Anchors
 * give names to refs; what no anchor reaches, `sweep` removes. Closing the store is the caller's.
 *
 * ```ts
 * const files = blobs(store);
 * const { ref } = await files.split(createReadStream('backup.tar'));
 * await files.anchors.put('backup', ref);
 * for await (const part of files.join(ref)) output.write(part);
 * ```
 */
export function blobs(store: Store<Uint8Array>, options: BlobsOptions = {}): Blobs {
  return new Blobs(store, options);
}
