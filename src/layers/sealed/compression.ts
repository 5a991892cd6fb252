import { failure } from '../../store/errors.ts';

/** A way to make bytes fewer, and back. */
export interface Compression {
  readonly name: 'gzip' | 'zstd';
  compress(bytes: Uint8Array): Promise<Uint8Array>;
  /** Gives up with `corrupt` as soon as there are more than `maxBytes`, and for what it cannot read. */
  decompress(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array>;
}

type Done = (error: Error | null, result: Uint8Array) => void;

/** The part of `node:zlib` that `gzip` uses. */
export interface GzipModule {
  gzip(bytes: Uint8Array, options: { readonly level?: number }, done: Done): void;
  gunzip(bytes: Uint8Array, options: { readonly maxOutputLength: number }, done: Done): void;
}

/** The part of `node:zlib` that `zstd` uses. */
export interface ZstdModule {
  readonly constants: { readonly ZSTD_c_compressionLevel: number };
  zstdCompress(
    bytes: Uint8Array,
    options: { readonly params: Record<number, number> },
    done: Done,
  ): void;
  zstdDecompress(
    bytes: Uint8Array,
    options: { readonly maxOutputLength: number },
    done: Done,
  ): void;
}

/** What is given to a decompressor at once: whatever the ratio, it yields some 16 MiB at most. */
const PIECE_BYTES = 16_384;

/**
 * gzip. Without an argument by the host's `CompressionStream`, in browsers and Node alike; with
 * `await import('node:zlib')` by that, which is faster and takes a `level` of 1 to 9 (default 6).
 */
export function gzip(zlib?: GzipModule, options: { readonly level?: number } = {}): Compression {
  if (zlib === undefined)
    return {
      name: 'gzip',
      compress: (bytes) => through(bytes, new CompressionStream('gzip'), Number.POSITIVE_INFINITY),
      decompress: (bytes, maxBytes) =>
        through(bytes, new DecompressionStream('gzip'), maxBytes).catch(unreadable('gzip')),
    };
  return {
    name: 'gzip',
    compress: (bytes) => called((done) => zlib.gzip(bytes, options, done)),
    decompress: (bytes, maxBytes) =>
      called((done) => zlib.gunzip(bytes, { maxOutputLength: atLeastOne(maxBytes) }, done)).catch(
        unreadable('gzip'),
      ),
  };
}

/**
 * Zstandard, by `await import('node:zlib')` (Node 22.15 and later; browsers have none). `level` is
 * 1 to 22, default 3.
 */
export function zstd(zlib: ZstdModule, options: { readonly level?: number } = {}): Compression {
  const params = { [zlib.constants.ZSTD_c_compressionLevel]: options.level ?? 3 };
  return {
    name: 'zstd',
    compress: (bytes) => called((done) => zlib.zstdCompress(bytes, { params }, done)),
    decompress: (bytes, maxBytes) =>
      called((done) =>
        zlib.zstdDecompress(bytes, { maxOutputLength: atLeastOne(maxBytes) }, done),
      ).catch(unreadable('zstd')),
  };
}

const atLeastOne = (bytes: number): number => Math.max(1, bytes);

function called(run: (done: Done) => void): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    run((error, result) => (error === null ? resolve(result) : reject(error)));
  });
}

function unreadable(name: string): (cause: unknown) => never {
  return (cause) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw failure('corrupt', 'thaw', `${name} cannot read the value: ${why}`, { cause });
  };
}

/** A stream's output for all of the input, at most so many bytes. */
async function through(
  bytes: Uint8Array,
  stream: CompressionStream | DecompressionStream,
  maxBytes: number,
): Promise<Uint8Array> {
  const writing = feed(bytes, stream.writable.getWriter());
  const reader: ReadableStreamDefaultReader<Uint8Array> = stream.readable.getReader();
  // Told by the reader too, whose error is the one that counts.
  writing.catch(() => {});
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > maxBytes) {
      await reader.cancel();
      throw new RangeError(`it gives more than ${maxBytes} bytes`);
    }
    pieces.push(value);
  }
  await writing;
  return joined(pieces, length);
}

async function feed(
  bytes: Uint8Array,
  writer: WritableStreamDefaultWriter<BufferSource>,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    await writer.ready;
    await writer.write(bytes.slice(at, at + PIECE_BYTES));
  }
  await writer.close();
}

/** Pieces as one array. */
export function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
