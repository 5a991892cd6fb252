import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { Envelope } from '../../store/feed/envelope.ts';
import type { IndexPlace } from '../../store/feed/plan.ts';
import { ENVELOPES } from './envelope-io.ts';
import { decodeHead, type Tip } from './head.ts';
import { toStrataError } from './lmdb-errors.ts';
import { expiryBytes, readPlace } from './places.ts';
import { HEAD_KEY, type Tables } from './tables.ts';

/**
 * Reads of the tables. All that is read without giving up the thread after `renew` is of one
 * moment: that of the first read after it.
 */
export class Reader {
  readonly path: string;
  readonly tables: Tables;
  readonly #env: Env;
  #view: Uint8Array = new Uint8Array(0);

  constructor(tables: Tables, path: string, env: Env) {
    this.tables = tables;
    this.path = path;
    this.#env = env;
  }

  /** Runs reads of one moment, now; their failures come out as `StrataError`s. */
  run<T>(operation: string, read: () => T): T {
    try {
      this.renew();
      return read();
    } catch (error) {
      throw toStrataError(error, operation, this.path);
    }
  }

  /** Lets the next read see everything committed by then, by whatever process. */
  renew(): void {
    this.tables.root.resetReadTxn();
  }

  nowMs(): number {
    return Math.floor(this.#env.now());
  }

  tip(): Tip {
    const record = this.tables.meta.getEntry(HEAD_KEY);
    if (record?.version === undefined)
      throw new StrataError('corrupt', `the store at ${this.path} has lost its head`, {
        operation: 'read',
      });
    return { ...decodeHead(record.value), version: record.version };
  }

  /** The stored bytes of an entry, expired or not: a view that the next read overwrites. */
  stored(key: string): Uint8Array | undefined {
    const bytes = this.tables.values.getBinaryFast(key);
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
    const place = this.tables.deleted.getBinary(key);
    return place && readPlace(place);
  }

  /** Whether an entry has expired that is not swept yet. */
  anyExpired(nowMs: number): boolean {
    const end = expiryBytes(nowMs + 1, { rev: 0, pos: 0 });
    for (const _ of this.tables.expiries.getKeys({ start: Buffer.of(0), end, limit: 1 }))
      return true;
    return false;
  }
}

export function isExpired({ expiresAt }: Envelope, nowMs: number): boolean {
  return expiresAt !== undefined && expiresAt <= nowMs;
}
