import type { Database, RangeOptions } from 'lmdb';
import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { Envelope } from '../../store/feed/envelope.ts';
import type { IndexPlace } from '../../store/feed/plan.ts';
import { ENVELOPES } from './envelope-io.ts';
import { decodeHead, type Tip } from './head.ts';
import { storeClosed, toStrataError } from './lmdb-errors.ts';
import { expiryBytes, readPlace } from './places.ts';
import { ReadTransaction } from './read-transaction.ts';
import { HEAD_KEY, type Tables } from './tables.ts';

/** The least key of a table whose keys are bytes. */
const FIRST: Buffer = Buffer.of(0);

/** Reads of the tables. What is read within one `run` is of one moment, that of its first read. */
export class Reader {
  readonly path: string;
  readonly tables: Tables;
  readonly #env: Env;
  readonly #transaction: ReadTransaction;
  #view: Uint8Array = new Uint8Array(0);

  constructor(tables: Tables, path: string, env: Env) {
    this.tables = tables;
    this.path = path;
    this.#env = env;
    this.#transaction = new ReadTransaction(tables.root);
  }

  /** Runs reads of one moment, now; their failures come out as `StrataError`s. */
  run<T>(operation: string, read: () => T): T {
    const transaction = this.#transaction;
    if (transaction.isClosed) throw storeClosed(operation);
    try {
      return read();
    } catch (error) {
      throw toStrataError(error, operation, this.path);
    } finally {
      transaction.reset();
    }
  }

  close(): void {
    this.#transaction.close();
  }

  nowMs(): number {
    return Math.floor(this.#env.now());
  }

  tip(): Tip {
    const record = this.tables.meta.getEntry(HEAD_KEY, this.#transaction.options);
    if (record?.version === undefined)
      throw new StrataError('corrupt', `the store at ${this.path} has lost its head`, {
        operation: 'read',
      });
    return { ...decodeHead(record.value), version: record.version };
  }

  /** The stored bytes of an entry, expired or not: a view that the next read overwrites. */
  stored(key: string): Uint8Array | undefined {
    const { values } = this.tables as unknown as { readonly values: FastReads };
    const bytes = values.getBinaryFast(key, this.#transaction.options);
    if (bytes === undefined) return undefined;
    const { buffer, byteOffset, length } = bytes;
    const view = this.#view;
    if (view.length === length && view.buffer === buffer && view.byteOffset === byteOffset)
      return view;
    this.#view = new Uint8Array(buffer, byteOffset, length);
    return this.#view;
  }

  /** As `stored`, checked. */
  envelope(key: string): Envelope | undefined {
    const stored = this.stored(key);
    return stored && new Envelope(ENVELOPES, key, stored);
  }

  value(key: string): Uint8Array | undefined {
    const envelope = this.envelope(key);
    return envelope === undefined || isExpired(envelope, this.#env.now())
      ? undefined
      : envelope.value.slice();
  }

  entry(key: string): Entry<Uint8Array> | undefined {
    const envelope = this.envelope(key);
    return envelope === undefined || isExpired(envelope, this.#env.now())
      ? undefined
      : { ...envelope.head(), value: envelope.value.slice() };
  }

  /** Place of a key's delete, while it is remembered. */
  deleted(key: string): IndexPlace | undefined {
    const { deleted } = this.tables as unknown as { readonly deleted: FastReads };
    const place = deleted.getBinaryFast(key, this.#transaction.options);
    return place && readPlace(place);
  }

  /** Records in the order of their keys, from the first unless told otherwise; to be read to the end, or left, within the same `run`. */
  range<K extends string | Buffer>(
    table: Database<Buffer, K>,
    options: RangeOptions = {},
  ): Iterable<{ readonly key: K; readonly value: Buffer }> {
    return table.getRange({ start: FIRST, ...options, ...this.#transaction.options });
  }

  keys<K extends string | Buffer>(
    table: Database<Buffer, K>,
    options: RangeOptions = {},
  ): Iterable<K> {
    return table.getKeys({ start: FIRST, ...options, ...this.#transaction.options });
  }

  /** Whether an entry has expired that is not swept yet. */
  anyExpired(nowMs: number): boolean {
    const end = expiryBytes(nowMs + 1, { rev: 0, pos: 0 });
    for (const _ of this.keys(this.tables.expiries, { end, limit: 1 })) return true;
    return false;
  }
}

/** A table as the binding has it: its types know no options here. */
interface FastReads {
  getBinaryFast(key: string, options: Pick<RangeOptions, 'transaction'>): Buffer | undefined;
}

export function isExpired({ expiresAt }: Envelope, nowMs: number): boolean {
  return expiresAt !== undefined && expiresAt <= nowMs;
}
