import { StrataError } from '../../store/errors.ts';

export interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly text: string;
  /** Bytes of the input up to and including this line. */
  readonly endsAt: number;
}

/** A line longer than this is refused rather than collected in memory. */
export const MAX_LINE_BYTES: number = 256 * 1024 * 1024;

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const BYTE_ORDER_MARK = '\ufeff';

/** An error about one line of the input. */
export function lineError(
  operation: string,
  number: number,
  what: string,
  cause?: unknown,
): StrataError {
  return new StrataError('invalid-argument', `${operation}: line ${number}: ${what}`, {
    operation,
    cause,
    details: { line: number },
  });
}

/**
 * The lines of a stream of bytes, however it is cut; blank ones are passed over. Holds one line
 * and one chunk. Errors: `invalid-argument` for a line that is no UTF-8 or too long.
 */
export async function* readLines(
  operation: string,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Line> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let number = 0;
  let endsAt = 0;
  const take = (last: Uint8Array, newline: number): Line | undefined => {
    const bytes = parts.length === 0 ? last : Buffer.concat([...parts, last]);
    parts = [];
    held = 0;
    number++;
    endsAt += bytes.length + newline;
    const text = decode(operation, number, bytes);
    return text.trim() === '' ? undefined : { number, text, endsAt };
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (;;) {
      const at = chunk.indexOf(NEWLINE, from);
      if (at === -1) break;
      const line = take(chunk.subarray(from, at), 1);
      if (line !== undefined) yield line;
      from = at + 1;
    }
    if (from === chunk.length) continue;
    held += chunk.length - from;
    if (held > MAX_LINE_BYTES)
      throw lineError(operation, number + 1, `has more than ${MAX_LINE_BYTES} bytes`);
    parts.push(chunk.subarray(from));
  }
  if (held === 0) return;
  const last = take(new Uint8Array(0), 0);
  if (last !== undefined) yield last;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(operation: string, number: number, bytes: Uint8Array): string {
  let text: string;
  try {
    text = decoder.decode(bytes.at(-1) === RETURN ? bytes.subarray(0, -1) : bytes);
  } catch (cause) {
    throw lineError(operation, number, 'is no UTF-8', cause);
  }
  return number === 1 && text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}
