import { createReadStream, type ReadStream, statSync } from 'node:fs';
import { fromSystemError } from './system-errors.ts';

/** A stream of bytes to read, and how many they are where that is known beforehand. */
export interface Input {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly totalBytes: number | undefined;
}

/** Opens a file, or standard input for `-`. Ends early when the signal aborts. */
export function openInput(operation: string, path: string, signal: AbortSignal): Input {
  if (path === '-')
    return {
      chunks: guarded(operation, 'standard input', process.stdin, signal),
      totalBytes: undefined,
    };
  let totalBytes: number | undefined;
  let stream: ReadStream;
  try {
    const stat = statSync(path);
    if (stat.isFile()) totalBytes = stat.size;
    stream = createReadStream(path, { highWaterMark: 256 * 1024 });
  } catch (error) {
    throw fromSystemError(error, operation, path);
  }
  return { chunks: guarded(operation, path, stream, signal), totalBytes };
}

async function* guarded(
  operation: string,
  what: string,
  stream: NodeJS.ReadableStream & { destroy?(): unknown },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const stop = (): void => void stream.destroy?.();
  signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const chunk of stream) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  } catch (error) {
    // A stream destroyed by us ends with an error of its own; the signal's is the true one.
    if (!signal.aborted) throw fromSystemError(error, operation, what);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** All of it, for a value. */
export async function readAll(input: Input): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of input.chunks) chunks.push(chunk);
  return Buffer.concat(chunks);
}
