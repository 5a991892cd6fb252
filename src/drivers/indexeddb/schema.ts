import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import type { Position } from '../../store/primitives.ts';
import { randomId } from '../../store/version.ts';
import { resultOf } from './requests.ts';

/*
 * The object stores of a database; keys are UTF-8 bytes, because strings would sort by UTF-16.
 *
 *   entries     key -> Stored         indexes: place [rev, pos], expiry expiresAt (sparse)
 *   tombstones  key -> Tombstone      index:   place [rev, pos]
 *   runs        first rev -> run id   the commits that one connection made in a row
 *   meta        'state' -> State, 'epochs' -> EpochStart[]
 *
 * The two `place` indexes together are the compacted change index: a key is in one of the stores
 * only, so values, deletes and changes move in one transaction. Tombstones stand apart, so that
 * keys can be listed without reading values.
 */

/** Raised when the layout changes. */
export const SCHEMA_VERSION = 1;

export const ENTRIES = 'entries';
export const TOMBSTONES = 'tombstones';
export const RUNS = 'runs';
export const META = 'meta';
export const ALL_STORES: string[] = [ENTRIES, META, RUNS, TOMBSTONES];
/** Index by [rev, pos]. */
export const PLACE = 'place';
/** Index by `expiresAt`. */
export const EXPIRY = 'expiry';
export const STATE_KEY = 'state';
export const EPOCHS_KEY = 'epochs';

/** An entry as kept. */
export interface Stored<V> extends Entry<V> {
  readonly rev: number;
  /** Place within its commit. */
  readonly pos: number;
}

/** What is left of a deleted or swept entry. */
export interface Tombstone {
  readonly key: string;
  readonly rev: number;
  readonly pos: number;
  /** When it was made, in ms since 1970. */
  readonly madeMs: number;
}

/** What a store knows of itself; read and written in every commit's transaction. */
export interface State {
  readonly storeId: string;
  readonly epoch: string;
  /** Revision of the head. */
  readonly rev: number;
  /** Id of the run to which the head belongs; empty before any commit. */
  readonly run: string;
  /** Deletes up to this revision may be forgotten. */
  readonly floor: number;
  /** Size of the tombstones; an upper estimate, made exact when it gets large. */
  readonly tombstoneBytes: number;
  /** Set while commits are kept that a loss of power may undo. */
  readonly unsettled?: true;
}

/** The first revision of an epoch. */
export interface EpochStart {
  readonly rev: number;
  readonly epoch: string;
}

/** Counted for each tombstone beside its key. */
const TOMBSTONE_OVERHEAD_BYTES = 96;

/** What a tombstone takes, by estimate. */
export function tombstoneSize(key: string): number {
  return TOMBSTONE_OVERHEAD_BYTES + key.length;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function encodeKey(key: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(key);
}

export function decodeKey(key: IDBValidKey): string {
  return decoder.decode(key as ArrayBuffer);
}

/** Lays out an empty database; part of the transaction that creates it. */
export function createSchema(db: IDBDatabase, tx: IDBTransaction, env: Env): void {
  const entries = db.createObjectStore(ENTRIES);
  entries.createIndex(PLACE, ['rev', 'pos']);
  entries.createIndex(EXPIRY, 'expiresAt');
  db.createObjectStore(TOMBSTONES).createIndex(PLACE, ['rev', 'pos']);
  db.createObjectStore(RUNS);
  db.createObjectStore(META);
  const epoch = randomId(env);
  const state: State = {
    storeId: randomId(env),
    epoch,
    rev: 0,
    run: '',
    floor: 0,
    tombstoneBytes: 0,
  };
  const meta = tx.objectStore(META);
  meta.put(state, STATE_KEY);
  meta.put([{ rev: 0, epoch }] satisfies EpochStart[], EPOCHS_KEY);
}

/** Whether a database has our layout; one of another program under the same name has not. */
export function hasSchema(db: IDBDatabase): boolean {
  return ALL_STORES.every((name) => db.objectStoreNames.contains(name));
}

/** Errors: `corrupt` when a store has lost what it knows of itself. */
export async function readState(tx: IDBTransaction): Promise<State> {
  const asked: IDBRequest<State | undefined> = tx.objectStore(META).get(STATE_KEY);
  const state = await resultOf(asked);
  if (state !== undefined) return state;
  const why = `open: the database ${JSON.stringify(tx.db.name)} lacks the record of its state`;
  throw new StrataError('corrupt', why, { operation: 'open' });
}

/** Id of a commit: that of its run with its revision, so that two histories never share one. */
export function commitId(run: string, rev: number): string {
  return rev === 0 ? '' : `${run}-${rev.toString(36)}`;
}

export function headOf({ epoch, rev, run }: State): Position {
  return { epoch, rev, id: commitId(run, rev) };
}

/** The id of any commit, or `undefined` when it is no longer known. */
export async function readCommitId(tx: IDBTransaction, rev: number): Promise<string | undefined> {
  if (rev === 0) return '';
  const upTo = IDBKeyRange.upperBound(rev);
  const cursor = await resultOf(tx.objectStore(RUNS).openCursor(upTo, 'prev'));
  return cursor === null ? undefined : commitId(cursor.value as string, rev);
}
