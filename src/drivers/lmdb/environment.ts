import { accessSync, constants, mkdirSync, readdirSync, type Stats, statSync } from 'node:fs';
import { open, type RootDatabase } from 'lmdb';
import { StrataError, type StrataErrorCode } from '../../store/errors.ts';
import { checkDataFile, dataFileOf, fillDataFile } from './data-file.ts';
import { toStrataError } from './lmdb-errors.ts';
import { TABLE_COUNT } from './tables.ts';

export interface EnvironmentOptions {
  /** Absolute. */
  readonly path: string;
  readonly readonly: boolean;
  readonly durability: 'os' | 'disk';
}

/** An open LMDB environment. */
export interface Environment {
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly dataFile: string;
  close(): Promise<void>;
}

/** What this process has open, by device and inode: all handles of a process share one environment and its flags. */
const opened = new Map<string, { readonly by: EnvironmentOptions; handles: number }>();

/** Entries of a folder that stand in nobody's way. */
const HARMLESS = /^(\.|lost\+found$|lock\.mdb$|probe\.tmp$)/;

/** Opens an LMDB environment, making it where there is none. Nothing is changed at a path that is something else. */
export function openEnvironment(options: EnvironmentOptions): Environment {
  const { path, readonly } = options;
  const dataFile = dataFileOf(path);
  let release = (): void => {};
  let root: RootDatabase<Buffer, Buffer> | undefined;
  try {
    checkFolder(path, dataFile, readonly);
    release = claim(options);
    const handle = openRoot(options);
    root = handle;
    if (!readonly) handle.transactionSync(() => fillDataFile(dataFile));
    const close = (): Promise<void> => handle.close().finally(release);
    return { root: handle, dataFile, close };
  } catch (error) {
    void root?.close();
    release();
    throw toStrataError(error, 'open', path);
  }
}

function openRoot({
  path,
  readonly,
  durability,
}: EnvironmentOptions): RootDatabase<Buffer, Buffer> {
  return open<Buffer, Buffer>({
    path,
    readOnly: readonly,
    encoding: 'binary',
    keyEncoding: 'binary',
    noSubdir: false,
    maxDbs: TABLE_COUNT + 1,
    maxReaders: 512,
    // A transaction is on disk before anybody can see it, in this process or another.
    overlappingSync: false,
    // With it the last commits may be lost with the power, though never the store.
    noMetaSync: durability === 'os',
    // A transaction under way must never wait for this thread, which may itself wait for its end.
    eventTurnBatching: false,
  });
}

function claim(options: EnvironmentOptions): () => void {
  const { path, readonly, durability } = options;
  const { dev, ino } = statSync(path);
  const id = `${dev}:${ino}`;
  const claimed = opened.get(id) ?? { by: options, handles: 0 };
  const { by } = claimed;
  if (by.readonly && !readonly)
    throw failed('conflict', `this process has ${path} open for reading only; close that first`);
  if (by.durability === 'os' && durability === 'disk' && !readonly)
    throw failed(
      'conflict',
      `this process has ${path} open with the durability 'os'; close that first`,
    );
  claimed.handles++;
  opened.set(id, claimed);
  let released = false;
  return () => {
    if (released) return;
    released = true;
    if (--claimed.handles === 0) opened.delete(id);
  };
}

function checkFolder(path: string, dataFile: string, readonly: boolean): void {
  const folder = statIfThere(path);
  if (folder === undefined) {
    if (readonly) throw failed('invalid-argument', `${path} is missing; expected a store`);
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
    return;
  }
  if (!folder.isDirectory())
    throw failed('invalid-argument', `${path} is no folder; expected a store, or a new path`);
  const data = statIfThere(dataFile);
  if (data === undefined || data.size === 0) {
    const stranger = readdirSync(path).find((name) => !HARMLESS.test(name) && name !== 'data.mdb');
    if (stranger !== undefined || readonly)
      throw failed(
        'invalid-argument',
        stranger === undefined
          ? `${path} is empty; expected a store`
          : `${path} is no store and holds other things, such as ${JSON.stringify(stranger)}; expected a store, or an empty folder`,
      );
  }
  accessSync(path, readonly ? constants.R_OK | constants.X_OK : constants.W_OK | constants.X_OK);
  if (data === undefined) return;
  accessSync(dataFile, readonly ? constants.R_OK : constants.R_OK | constants.W_OK);
  if (data.size > 0) checkDataFile(dataFile, readonly);
}

function statIfThere(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

function failed(code: StrataErrorCode, message: string): StrataError {
  return new StrataError(code, `open: ${message}`, { operation: 'open' });
}
