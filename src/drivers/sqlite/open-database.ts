import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Env } from '../../store/env.ts';
import { StrataError, type StrataErrorCode } from '../../store/errors.ts';
import { randomId } from '../../store/version.ts';
import { Query } from './query.ts';
import { APPLICATION_ID, CREATE, FORMAT } from './schema.ts';
import { isBusy, isNoDatabase, toStrataError } from './sqlite-errors.ts';

export const MEMORY_PATH = ':memory:';
const CACHE_KIB = 16_000;
const RETRY_MS = 5;
/** A log that one large commit has stretched is cut back to this. */
const WAL_BYTES_KEPT: number = 32 * 1024 * 1024;

export interface DatabaseOptions {
  /** Absolute, or `:memory:`. */
  readonly path: string;
  readonly readonly: boolean;
  readonly durability: 'memory' | 'os' | 'disk';
  readonly timeoutMs: number;
  readonly maxBytes: number | undefined;
  readonly env: Env;
}

/** Opens a store's database, making it where there is none. Nothing is changed in a file that is no store. */
export function openDatabase(options: DatabaseOptions): DatabaseSync {
  const { path, readonly, timeoutMs } = options;
  if (path !== MEMORY_PATH) checkPath(path, readonly);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { readOnly: readonly, timeout: toBusyMs(timeoutMs) });
    const found = recognise(db, options);
    configure(db, options);
    if (found === 'empty') create(db, options.env);
    return db;
  } catch (error) {
    db?.close();
    throw openError(error, path);
  }
}

/** A wait as SQLite takes it: whole, and within 32 bits. */
export function toBusyMs(timeoutMs: number): number {
  return Math.min(Math.ceil(timeoutMs), 2 ** 31 - 1);
}

function recognise(db: DatabaseSync, { path, readonly }: DatabaseOptions): 'store' | 'empty' {
  const [application = 0] = new Query<[number]>(db, 'PRAGMA application_id').first() ?? [];
  const [format = 0] = new Query<[number]>(db, 'PRAGMA user_version').first() ?? [];
  if (application === APPLICATION_ID) {
    if (format === FORMAT) return 'store';
    throw failed(
      'unsupported',
      `${path} has the format ${format}; this version of the package reads ${FORMAT}`,
    );
  }
  const [tables] = new Query<[number]>(db, 'SELECT count(*) FROM sqlite_schema').first() ?? [];
  if (application === 0 && tables === 0 && !readonly) return 'empty';
  throw failed(
    'invalid-argument',
    `${path} is a SQLite database but no store; expected a path that this driver made, or a new one`,
  );
}

function configure(db: DatabaseSync, options: DatabaseOptions): void {
  const { path, readonly, durability, maxBytes } = options;
  db.exec(`
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA cache_size = -${CACHE_KIB};
  `);
  if (readonly) return;
  if (path !== MEMORY_PATH) {
    enterWal(db, options);
    // fullfsync is what fsync means elsewhere; only macOS knows the difference.
    db.exec(`
      PRAGMA synchronous = ${durability === 'disk' ? 'FULL' : 'NORMAL'};
      PRAGMA fullfsync = ON;
      PRAGMA journal_size_limit = ${WAL_BYTES_KEPT};
    `);
  }
  if (maxBytes !== undefined) {
    const [pageBytes = 4_096] = new Query<[number]>(db, 'PRAGMA page_size').first() ?? [];
    db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxBytes / pageBytes))}`);
  }
}

function enterWal(db: DatabaseSync, { path, timeoutMs }: DatabaseOptions): void {
  // Two processes that make one store at once may meet here, where SQLite does not wait.
  for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
    try {
      const [mode] = new Query<[string]>(db, 'PRAGMA journal_mode = WAL').first() ?? [];
      if (mode === 'wal') return;
      throw failed(
        'unsupported',
        `${path} lies on a file system without the shared memory that a write-ahead log needs`,
      );
    } catch (error) {
      if (!isBusy(error) || waitedMs >= timeoutMs) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

function create(db: DatabaseSync, env: Env): void {
  db.exec('BEGIN IMMEDIATE');
  const [application] = new Query<[number]>(db, 'PRAGMA application_id').first() ?? [];
  if (application !== APPLICATION_ID) {
    db.exec(CREATE);
    db.prepare('INSERT INTO state VALUES (1, ?, 0, 0)').run(randomId(env));
    db.prepare('INSERT INTO epochs VALUES (0, ?)').run(randomId(env));
  }
  db.exec('COMMIT');
}

function checkPath(path: string, readonly: boolean): void {
  const found = statIfThere(path);
  try {
    if (found === undefined && !readonly) {
      mkdirSync(dirname(path), { recursive: true });
      accessSync(dirname(path), constants.W_OK);
      return;
    }
    if (found === undefined || !found.isFile())
      throw failed(
        'invalid-argument',
        `${path} is ${found === undefined ? 'missing' : 'no file'}; expected a SQLite file${readonly ? '' : ' or a new path'}`,
      );
    accessSync(path, readonly ? constants.R_OK : constants.R_OK | constants.W_OK);
    // Its log and its shared memory stand beside it.
    if (!readonly) accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    throw fromFileSystem(error, path);
  }
}

function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw fromFileSystem(error, path);
  }
}

const FILE_SYSTEM_CODES: Readonly<Record<string, StrataErrorCode>> = {
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  ENOTDIR: 'invalid-argument',
  EEXIST: 'invalid-argument',
  ENAMETOOLONG: 'invalid-argument',
  ELOOP: 'invalid-argument',
  ENOENT: 'invalid-argument',
  ERR_INVALID_ARG_VALUE: 'invalid-argument',
};

function fromFileSystem(error: unknown, path: string): unknown {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (error instanceof StrataError) return error;
  return failed(FILE_SYSTEM_CODES[code] ?? 'unavailable', `${path}: ${message}`, error);
}

/** What a failure while opening says of the path. */
export function openError(error: unknown, path: string): unknown {
  if (error instanceof StrataError) return error;
  if (isNoDatabase(error))
    return wasStore(path)
      ? failed('corrupt', `the store at ${path} is damaged: its first page is no SQLite`, error)
      : failed('invalid-argument', `${path} is no SQLite file; expected a store`, error);
  // A table of a store that is not there.
  if ((error as { errcode?: unknown }).errcode === 1)
    return failed('corrupt', `the store at ${path} is damaged: ${(error as Error).message}`, error);
  return toStrataError(error, 'open', path);
}

/** Whether what is left of a first page shows that it was one of ours. */
function wasStore(path: string): boolean {
  const page = Buffer.alloc(4_096);
  const file = openSync(path, 'r');
  try {
    readSync(file, page, 0, page.length, 0);
  } finally {
    closeSync(file);
  }
  return page.readUInt32BE(68) === APPLICATION_ID || page.includes('CREATE TABLE commits');
}

function failed(code: StrataErrorCode, message: string, cause?: unknown): StrataError {
  return new StrataError(code, `open: ${message}`, { operation: 'open', cause });
}
