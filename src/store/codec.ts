import { failure, type StrataError, show } from './errors.ts';

/** Turns values into bytes and back. `encode` refuses what it cannot carry with `invalid-argument`; `decode` fails with `corrupt`. */
export interface Codec<V> {
  /** Shown in pictures and `info`. */
  readonly name: string;
  /** Fresh bytes that share nothing with the value. */
  encode(value: V): Uint8Array;
  /** A fresh value that shares nothing with the bytes. */
  decode(bytes: Uint8Array): V;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function corrupt(what: string, cause?: unknown): StrataError {
  return failure('corrupt', 'decode', what, { cause });
}

function refuse(value: unknown, expected: string, cause?: unknown): StrataError {
  return failure(
    'invalid-argument',
    'encode',
    `the value is ${show(value)}; expected ${expected}`,
    { cause },
  );
}

/**
 * JSON in UTF-8. Refuses what JSON would silently change or drop at the top level (`undefined`,
 * functions, symbols, NaN and infinities) and what it cannot write (cycles, big integers).
 */
export function json<V = unknown>(): Codec<V> {
  return {
    name: 'json',
    encode(value) {
      let text: string | undefined;
      try {
        text = JSON.stringify(value);
      } catch (cause) {
        throw refuse(value, 'a value that JSON can carry', cause);
      }
      if (text === undefined || (typeof value === 'number' && !Number.isFinite(value)))
        throw refuse(value, 'a value that JSON can carry');
      return encoder.encode(text);
    },
    decode(bytes) {
      try {
        return JSON.parse(decoder.decode(bytes)) as V;
      } catch (cause) {
        throw corrupt(`${bytes.length} bytes are no JSON`, cause);
      }
    },
  };
}

/** Strings in UTF-8. */
export function text(): Codec<string> {
  return {
    name: 'text',
    encode(value) {
      if (typeof value !== 'string' || !value.isWellFormed())
        throw refuse(value, 'a string of well-formed Unicode');
      return encoder.encode(value);
    },
    decode(bytes) {
      try {
        return decoder.decode(bytes);
      } catch (cause) {
        throw corrupt(`${bytes.length} bytes are no UTF-8`, cause);
      }
    },
  };
}

/** Bytes as they are. */
export function raw(): Codec<Uint8Array> {
  return {
    name: 'raw',
    encode(value) {
      if (!(value instanceof Uint8Array)) throw refuse(value, 'a Uint8Array');
      return value.slice();
    },
    decode: (bytes) => bytes.slice(),
  };
}

/** The part of npm `msgpackr` that `messagePack` uses. */
export interface MessagePackModule {
  pack(value: unknown): Uint8Array;
  unpack(bytes: Uint8Array): unknown;
}

/** MessagePack by a given implementation: `messagePack(await import('msgpackr'))`. Carries dates, binary and undefined members, which JSON does not. */
export function messagePack<V = unknown>(module: MessagePackModule): Codec<V> {
  return {
    name: 'messagepack',
    encode(value) {
      // Packed as nothing, it would be written and never read.
      if (value === undefined || typeof value === 'function')
        throw refuse(value, 'a value that MessagePack can carry');
      try {
        return Uint8Array.from(module.pack(value));
      } catch (cause) {
        throw refuse(value, 'a value that MessagePack can carry', cause);
      }
    },
    decode(bytes) {
      try {
        return module.unpack(bytes) as V;
      } catch (cause) {
        throw corrupt(`${bytes.length} bytes are no MessagePack`, cause);
      }
    },
  };
}
