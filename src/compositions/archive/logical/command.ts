import type { RedisWord } from '../../../drivers/redis/port.ts';

/** A command about one key: its words before that key and after it. */
export interface Command {
  readonly before: readonly string[];
  readonly after: readonly RedisWord[];
}

/** Bytes as a word of a command; they are not copied. */
export const word = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
