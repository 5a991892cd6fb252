import type { DatabaseSync } from 'node:sqlite';
import type { Bound, KeyRange } from '../../store/keys.ts';
import { Query } from './query.ts';

/** What stands under a key. Without an entry it is a tombstone. */
export type Row = readonly [rev: number, pos: number, entry: Uint8Array | null];
export type KeyedEntry = readonly [key: Uint8Array, entry: Uint8Array];
export type ChangeRow = readonly [
  key: Uint8Array,
  rev: number,
  pos: number,
  entry: Uint8Array | null,
];
export type HeadRow = readonly [rev: number, id: string, epoch: string, floor: number];

/** Every key lies between these: keys are not empty, and no UTF-8 has the byte 0xff. */
const BELOW_KEYS: Uint8Array = Uint8Array.of(0);
const ABOVE_KEYS: Uint8Array = Uint8Array.of(0xff);
/** Counted for each tombstone beside its key. */
export const TOMBSTONE_OVERHEAD_BYTES = 96;

/** The statements over a store's tables, prepared once. */
export class Tables {
  readonly find: Query<Row>;
  readonly put: Query;
  readonly head: Query<HeadRow>;
  readonly addCommit: Query;
  readonly trimCommits: Query;
  readonly commitId: Query<readonly [id: string]>;
  readonly changes: Query<ChangeRow>;
  readonly epochs: Query<readonly [firstRev: number, epoch: string]>;
  readonly renewEpoch: Query;
  readonly storeId: Query<readonly [storeId: string]>;
  readonly anyExpired: Query<readonly [one: number]>;
  readonly buryExpired: Query<readonly [keyBytes: number]>;
  readonly oldestTombstones: Query<
    readonly [id: number, rev: number, keyBytes: number, deletedAt: number]
  >;
  readonly forget: Query;
  readonly tombstoneBytes: Query<readonly [bytes: number]>;
  readonly changeState: Query;
  readonly dataVersion: Query<readonly [version: number]>;
  readonly openers: Query<readonly [token: string, pid: number, started: string]>;
  readonly addOpener: Query;
  readonly removeOpener: Query;
  readonly #db: DatabaseSync;
  readonly #ranges = new Map<string, Query<KeyedEntry>>();

  constructor(db: DatabaseSync) {
    this.#db = db;
    const query = <R extends readonly unknown[] = readonly []>(sql: string): Query<R> =>
      new Query<R>(db, sql);
    this.find = query('SELECT rev, pos, entry FROM entries WHERE key = ?');
    this.put = query(`
      INSERT INTO entries (key, rev, pos, expires_at, deleted_at, entry) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET rev = excluded.rev, pos = excluded.pos,
        expires_at = excluded.expires_at, deleted_at = excluded.deleted_at, entry = excluded.entry`);
    this.head = query(`
      SELECT ifnull(last.rev, 0), ifnull(last.id, ''),
        (SELECT epoch FROM epochs ORDER BY first_rev DESC LIMIT 1), state.floor
      FROM state LEFT JOIN (SELECT rev, id FROM commits ORDER BY rev DESC LIMIT 1) AS last`);
    this.addCommit = query('INSERT INTO commits VALUES (?, ?)');
    this.trimCommits = query('DELETE FROM commits WHERE rev <= ?');
    this.commitId = query('SELECT id FROM commits WHERE rev = ?');
    this.changes = query(`
      SELECT key, rev, pos, entry FROM entries WHERE (rev, pos) > (?, ?) ORDER BY rev, pos LIMIT ?`);
    this.epochs = query('SELECT first_rev, epoch FROM epochs ORDER BY first_rev');
    this.renewEpoch = query('INSERT OR REPLACE INTO epochs VALUES (?, ?)');
    this.storeId = query('SELECT store_id FROM state');
    this.anyExpired = query('SELECT 1 FROM entries WHERE expires_at <= ? LIMIT 1');
    this.buryExpired = query(`
      UPDATE entries SET entry = NULL, expires_at = NULL, deleted_at = ?1
      WHERE id IN (SELECT id FROM entries WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
      RETURNING length(key)`);
    this.oldestTombstones = query(`
      SELECT id, rev, length(key), deleted_at FROM entries WHERE deleted_at IS NOT NULL
      ORDER BY deleted_at LIMIT ?`);
    this.forget = query('DELETE FROM entries WHERE id = ?');
    this.tombstoneBytes = query('SELECT tombstone_bytes FROM state');
    this.changeState = query(
      'UPDATE state SET floor = max(floor, ?), tombstone_bytes = tombstone_bytes + ?',
    );
    this.dataVersion = query('PRAGMA data_version');
    this.openers = query('SELECT token, pid, started FROM openers');
    this.addOpener = query('INSERT INTO openers VALUES (?, ?, ?)');
    this.removeOpener = query('DELETE FROM openers WHERE token = ?');
  }

  /** Rows of a range that are no tombstones and not expired, beyond `after` where given. */
  range(
    { lower, upper, reverse }: KeyRange,
    after: Uint8Array | undefined,
    what: 'entries' | 'keys',
    nowMs: number,
    limit: number,
  ): Iterable<KeyedEntry> {
    const from = after !== undefined && !reverse ? beyond(after) : bound(lower, BELOW_KEYS);
    const to = after !== undefined && reverse ? beyond(after) : bound(upper, ABOVE_KEYS);
    const sql = `
      SELECT key, ${what === 'entries' ? 'entry' : 'NULL'} FROM entries
      WHERE key ${from.inclusive ? '>=' : '>'} ? AND key ${to.inclusive ? '<=' : '<'} ?
        AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?)
      ORDER BY key ${reverse ? 'DESC' : 'ASC'} LIMIT ?`;
    let query = this.#ranges.get(sql);
    if (query === undefined) {
      query = new Query<KeyedEntry>(this.#db, sql);
      this.#ranges.set(sql, query);
    }
    return query.each(from.key, to.key, nowMs, limit);
  }
}

interface ByteBound {
  readonly key: Uint8Array;
  readonly inclusive: boolean;
}

/** A bound as bytes; the empty string, which SQLite would take for NULL, lies below every key. */
function bound(given: Bound | undefined, open: Uint8Array): ByteBound {
  if (given === undefined) return { key: open, inclusive: open === BELOW_KEYS };
  if (given.key === '') return { key: BELOW_KEYS, inclusive: open === BELOW_KEYS };
  return { key: Buffer.from(given.key), inclusive: given.inclusive };
}

function beyond(key: Uint8Array): ByteBound {
  return { key, inclusive: false };
}
