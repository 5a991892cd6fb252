import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import { StrataError } from '../../store/errors.ts';
import { Envelope, type EnvelopeIo } from '../../store/feed/envelope.ts';
import type { KeyRange } from '../../store/keys.ts';
import type { FeedState, Position } from '../../store/primitives.ts';
import { toStrataError } from './sqlite-errors.ts';
import { Tables } from './tables.ts';

const PAGE_ROWS = 256;
/** A page ends early when its entries reach this. */
const PAGE_BYTES: number = 1024 * 1024;

/** How envelopes are made and checked here. */
export const ENVELOPES: EnvelopeIo = {
  checksum: (bytes) => crc32(bytes),
  alloc: (length) => new Uint8Array(length),
};

/** Where a store stands: its head and the least revision from which it can be followed. */
export interface StoreHead {
  readonly head: Position;
  readonly floor: number;
}

/** One connection to a store's database: its reads, its transactions and its errors. */
export class SqliteEngine {
  readonly path: string;
  readonly db: DatabaseSync;
  readonly tables: Tables;
  readonly storeId: string;
  readonly #nowMs: () => number;
  #epochs: readonly (readonly [firstRev: number, epoch: string])[];
  /** Up to this revision the epochs are known. */
  #notedRev = -1;

  constructor(db: DatabaseSync, path: string, nowMs: () => number) {
    this.db = db;
    this.path = path;
    this.tables = new Tables(db);
    this.#nowMs = nowMs;
    this.storeId = this.tables.storeId.first()?.[0] ?? '';
    this.#epochs = this.tables.epochs.all();
    if (this.storeId === '' || this.#epochs.length === 0)
      throw new StrataError('corrupt', `open: the store at ${path} has lost its id`, {
        operation: 'open',
      });
  }

  /** Runs work on the database; its failures come out as `StrataError`s. */
  run<T>(operation: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw toStrataError(error, operation, this.path);
    }
  }

  /** Several reads of one moment. */
  snapshot<T>(operation: string, work: () => T): T {
    return this.run(operation, () => {
      this.db.exec('BEGIN');
      try {
        return work();
      } finally {
        this.db.exec('COMMIT');
      }
    });
  }

  /** Ends a transaction that failed, where SQLite has not done so itself. */
  rollBack(): void {
    if (this.db.isTransaction) this.db.exec('ROLLBACK');
  }

  readOne(operation: string, key: string): Entry<Uint8Array> | undefined {
    return this.run(operation, () => this.#find(key));
  }

  readValue(operation: string, key: string): Uint8Array | undefined {
    return this.run(operation, () => {
      const stored = this.tables.find.first(Buffer.from(key))?.[2];
      if (stored === undefined || stored === null) return undefined;
      const envelope = new Envelope(ENVELOPES, key, stored);
      return isExpired(envelope, this.#nowMs) ? undefined : envelope.value;
    });
  }

  readMany(operation: string, keys: readonly string[]): (Entry<Uint8Array> | undefined)[] {
    if (keys.length === 1) return [this.readOne(operation, keys[0] as string)];
    return this.snapshot(operation, () => keys.map((key) => this.#find(key)));
  }

  /** The range in pages, each of one moment. */
  *scan(operation: string, range: KeyRange): Generator<Entry<Uint8Array>[]> {
    for (const rows of this.#pages(operation, range, 'entries'))
      yield rows.map(({ key, stored }) => toEntry(new Envelope(ENVELOPES, key, stored)));
  }

  *scanKeys(operation: string, range: KeyRange): Generator<string[]> {
    for (const rows of this.#pages(operation, range, 'keys')) yield rows.map(({ key }) => key);
  }

  async *scanPages(range: KeyRange, call: Call): AsyncGenerator<Entry<Uint8Array>[]> {
    for (const page of this.scan(call.operation, range)) {
      call.throwIfEnded();
      yield page;
    }
  }

  async *scanKeyPages(range: KeyRange, call: Call): AsyncGenerator<string[]> {
    for (const page of this.scanKeys(call.operation, range)) {
      call.throwIfEnded();
      yield page;
    }
  }

  state(operation: string): FeedState {
    return this.run(operation, () => ({ storeId: this.storeId, head: this.head().head }));
  }

  /** To be called within `run`. */
  head(): StoreHead {
    const row = this.tables.head.first();
    if (row === undefined)
      throw new StrataError('corrupt', `the store at ${this.path} has lost its state`, {
        operation: 'read',
      });
    const [rev, id, epoch, floor] = row;
    // Another process may have begun a new one.
    if (epoch !== this.#epochs.at(-1)?.[1]) this.#epochs = this.tables.epochs.all();
    this.#notedRev = rev;
    return { head: { epoch, rev, id }, floor };
  }

  epochOf(rev: number): string {
    if (rev > this.#notedRev) this.run('epochOf', () => this.head());
    const found = this.#epochs.findLast(([firstRev]) => firstRev <= rev) ?? this.#epochs[0];
    return found?.[1] ?? '';
  }

  #find(key: string): Entry<Uint8Array> | undefined {
    const stored = this.tables.find.first(Buffer.from(key))?.[2];
    if (stored === undefined || stored === null) return undefined;
    const envelope = new Envelope(ENVELOPES, key, stored);
    return isExpired(envelope, this.#nowMs) ? undefined : toEntry(envelope);
  }

  *#pages(
    operation: string,
    range: KeyRange,
    what: 'entries' | 'keys',
  ): Generator<{ readonly key: string; readonly stored: Uint8Array }[]> {
    let after: Uint8Array | undefined;
    let left = range.limit;
    while (left > 0) {
      const limit = Math.min(PAGE_ROWS, left);
      const rows = this.run(operation, () => {
        const page: { readonly key: string; readonly stored: Uint8Array }[] = [];
        let bytes = 0;
        for (const [key, stored] of this.tables.range(range, after, what, this.#nowMs(), limit)) {
          after = key;
          page.push({ key: keyText(key), stored });
          bytes += stored?.length ?? 0;
          if (bytes >= PAGE_BYTES) break;
        }
        return page;
      });
      if (rows.length === 0) return;
      left -= rows.length;
      yield rows;
    }
  }
}

/** A stored key as text. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString();
}

export function toEntry(envelope: Envelope): Entry<Uint8Array> {
  return { ...envelope.head(), value: envelope.value };
}

function isExpired({ expiresAt }: Envelope, nowMs: () => number): boolean {
  return expiresAt !== undefined && expiresAt <= nowMs();
}
