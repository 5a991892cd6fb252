import { createHash } from 'node:crypto';
import type { Call } from '../../../store/call.ts';
import type { Entry, EntryHead } from '../../../store/entry.ts';
import { failure, type StrataError } from '../../../store/errors.ts';
import type { Connection } from '../connection.ts';
import type { RedisPort, RedisWord } from '../port.ts';
import { copyOf } from '../records.ts';
import { runScript, type Script } from '../script.ts';

/** How far a read of a key came: a string, nothing, or something that is none. */
const NO_EXPIRY = -1;
const NO_STRING = -3;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The strings of a Redis whose names begin with a prefix: names, reads, and the way there. */
export class Strings {
  readonly connection: Connection;
  readonly prefix: string;
  readonly #prefixBytes: number;

  constructor(connection: Connection, prefix: string) {
    this.connection = connection;
    this.prefix = prefix;
    this.#prefixBytes = Buffer.byteLength(prefix);
  }

  nameOf(key: string): string {
    return this.prefix + key;
  }

  /** The key of a name; `undefined` for one that no key has. */
  keyOf(name: Buffer, maxKeyBytes: number): string | undefined {
    const bytes = name.subarray(this.#prefixBytes);
    if (bytes.length === 0 || bytes.length > maxKeyBytes) return undefined;
    try {
      return decoder.decode(bytes);
    } catch {
      return undefined;
    }
  }

  port(call: Call): Promise<RedisPort> {
    const { port } = this.connection;
    return port === undefined ? this.connection.connect(call.operation) : Promise.resolve(port);
  }

  /** Sends a command that changes nothing. Failures are `StrataError`s. */
  async ask(words: readonly RedisWord[], call: Call): Promise<unknown> {
    try {
      const port = await this.port(call);
      call.throwIfEnded();
      return await port.send(words);
    } catch (error) {
      throw this.failure(error, call);
    }
  }

  /** Runs a script that changes nothing, on some keys. Failures are `StrataError`s. */
  async run(script: Script, keys: readonly string[], call: Call): Promise<unknown[]> {
    try {
      const port = await this.port(call);
      call.throwIfEnded();
      const names = keys.map((key) => this.nameOf(key));
      return (await runScript(port, script, names, [])) as unknown[];
    } catch (error) {
      throw this.failure(error, call);
    }
  }

  failure(error: unknown, call: Call): StrataError {
    if (error instanceof Error && /WRONGTYPE/.test(error.message))
      return noString(call.operation, call.key ?? '');
    if (error instanceof Error && /Unknown Redis command/.test(error.message))
      return failure('unsupported', call.operation, 'plain mode needs Redis 7.0 or newer', {
        cause: error,
      });
    return this.connection.failure(error, call);
  }
}

/** The entries of keys, out of the reply to a reading of them. */
export function entriesOf(
  keys: readonly string[],
  reply: readonly unknown[],
  operation: string,
): (Entry<Uint8Array> | undefined)[] {
  return keys.map((key, nth) => {
    const value = reply[2 * nth];
    const expiry = Number(reply[2 * nth + 1]);
    if (expiry === NO_STRING) throw noString(operation, key);
    if (!(value instanceof Uint8Array)) return undefined;
    const own = copyOf(value);
    return { ...headOf(key, own, expiry === NO_EXPIRY ? undefined : expiry), value: own };
  });
}

/**
 * What is known of a string. Nobody counts its writes: its version is made of value and expiry, and
 * when it was written is not told.
 */
export function headOf(key: string, value: Uint8Array, expiresAt: number | undefined): EntryHead {
  const hash = createHash('sha256')
    .update(`${expiresAt ?? ''}:`)
    .update(value);
  const version = hash.digest('base64url').slice(0, 22);
  return { key, version, modifiedAt: 0, ...(expiresAt !== undefined && { expiresAt }) };
}

/** What stands under a name is another program's, of another kind. */
export function noString(operation: string, key: string, kind?: string): StrataError {
  const what = kind === undefined ? 'no string' : `a ${kind}, and no string`;
  return failure('corrupt', operation, `${JSON.stringify(key)} holds ${what}`, { key });
}
