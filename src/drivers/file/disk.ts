import * as fs from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** The beginning of a file, with the size of the whole. */
export interface FileStart {
  readonly bytes: Uint8Array;
  readonly size: number;
}

/** What the driver asks of a file system. Failures are the system's own errors. */
export interface Disk {
  /** `undefined` where there is no such file. */
  read(path: string): Uint8Array | undefined;
  readStart(path: string, length: number): FileStart | undefined;
  /** The names in a folder, in any order; `undefined` where there is no such folder. */
  list(folder: string): string[] | undefined;
  /** Writes a new file, brought to disk where `flush` says so. */
  write(path: string, parts: readonly Uint8Array[], flush: boolean): void;
  writeLater(path: string, parts: readonly Uint8Array[], flush: boolean): Promise<void>;
  /** Replaces what the new name holds, in one step. */
  rename(from: string, to: string): void;
  /** A second name for a file; fails where it exists. */
  link(from: string, to: string): void;
  /** False where there was no such file. */
  remove(path: string): boolean;
  /** Makes a folder, and those above it; nothing where it exists. */
  makeFolder(path: string): void;
  /** False where it is not empty or not there. */
  removeFolder(path: string): boolean;
  /** Brings the names in a folder to disk. */
  flushFolder(path: string): void;
  flushFolderLater(path: string): Promise<void>;
}

/** The file system of this machine. */
export const systemDisk: Disk = {
  read: (path) => absentAs(() => fs.readFileSync(path)),
  readStart: (path, length) => absentAs(() => readStart(path, length)),
  list: (folder) => absentAs(() => fs.readdirSync(folder)),
  write: writeNow,
  writeLater,
  rename: (from, to) => fs.renameSync(from, to),
  link: (from, to) => fs.linkSync(from, to),
  remove: (path) => absentAs(() => fs.unlinkSync(path) === undefined) === true,
  makeFolder: (path) => void fs.mkdirSync(path, { recursive: true }),
  removeFolder,
  flushFolder: flushNow,
  flushFolderLater: flushLater,
};

/** Windows knows no flush of a folder; its names reach the disk with the file. */
const flushesFolders: boolean = process.platform !== 'win32';

function absentAs<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function readStart(path: string, length: number): FileStart {
  const file = fs.openSync(path, 'r');
  try {
    const { size } = fs.fstatSync(file);
    const bytes = Buffer.allocUnsafe(Math.min(length, size));
    let at = 0;
    while (at < bytes.length) {
      const read = fs.readSync(file, bytes, at, bytes.length - at, at);
      if (read === 0) break;
      at += read;
    }
    return { bytes: bytes.subarray(0, at), size };
  } finally {
    fs.closeSync(file);
  }
}

function writeNow(path: string, parts: readonly Uint8Array[], flush: boolean): void {
  const file = fs.openSync(path, 'wx');
  try {
    for (const part of parts) {
      for (let at = 0; at < part.length; ) at += fs.writeSync(file, part, at, part.length - at);
    }
    if (flush) fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

async function writeLater(
  path: string,
  parts: readonly Uint8Array[],
  flush: boolean,
): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'wx');
    for (const part of parts) {
      for (let at = 0; at < part.length; )
        at += (await file.write(part, at, part.length - at)).bytesWritten;
    }
    if (flush) await file.sync();
  } finally {
    await file?.close();
  }
}

function removeFolder(path: string): boolean {
  try {
    fs.rmdirSync(path);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(code)) return false;
    throw error;
  }
}

function flushNow(path: string): void {
  if (!flushesFolders) return;
  const folder = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(folder);
  } finally {
    fs.closeSync(folder);
  }
}

async function flushLater(path: string): Promise<void> {
  if (!flushesFolders) return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
