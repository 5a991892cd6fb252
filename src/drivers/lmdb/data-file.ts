import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { StrataError } from '../../store/errors.ts';

/*
 * What must be known of LMDB's data file before LMDB maps it into memory: behind the end of a file
 * that was cut short the map has nothing, and reading there ends the process.
 *
 * The first two pages are meta pages; the later one counts. Numbers are as the machine has them.
 *
 *   24  magic           u32   0xBEEFC0DE
 *   48  size of a page  u32
 *  144  last page       u64
 *  152  transaction     u64
 */
const MAGIC = 0xbeefc0de;
const META_BYTES = 160;

interface Meta {
  readonly pageBytes: number;
  readonly lastPage: number;
  readonly transaction: number;
}

/** LMDB leaves pages at the end unwritten that a transaction took and gave back: so many may be missing. */
const UNWRITTEN_PAGES = 64;
const PROBE: Uint8Array = new Uint8Array(64 * 1024);
const FULL: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Refuses with `corrupt` what is no file of LMDB, or has lost its end; all of it must be there where nothing can be filled in. */
export function checkDataFile(path: string, readonly: boolean): void {
  withFile(path, 'r', (file) => {
    const meta = readMeta(file, path);
    checkLength(path, fstatSync(file).size, meta, readonly ? 0 : UNWRITTEN_PAGES);
  });
}

/**
 * As `checkDataFile`, within a write transaction, when the file is at rest. Gives it its full
 * length: what is missing is then found to be damaged when it is read.
 */
export function fillDataFile(path: string): void {
  withFile(path, 'r+', (file) => {
    const meta = readMeta(file, path);
    const { pageBytes, lastPage } = meta;
    const { size } = fstatSync(file);
    checkLength(path, size, meta, UNWRITTEN_PAGES);
    if (size % pageBytes !== 0) throw damaged(`${path} ends within a page`);
    if (size < (lastPage + 1) * pageBytes) ftruncateSync(file, (lastPage + 1) * pageBytes);
  });
}

/** Whether a file can no longer grow: LMDB takes a write that was cut short for a failure of the disk. */
export function isOutOfSpace(folder: string): boolean {
  const probe = join(folder, 'probe.tmp');
  try {
    const { size } = statSync(dataFileOf(folder));
    return (
      withFile(probe, 'w', (file) => writeSync(file, PROBE, 0, PROBE.length, size)) < PROBE.length
    );
  } catch (error) {
    return FULL.has((error as NodeJS.ErrnoException).code);
  } finally {
    rmSync(probe, { force: true });
  }
}

export function dataFileOf(folder: string): string {
  return join(folder, 'data.mdb');
}

/** Brings everything that was written to disk. */
export function flushDataFile(path: string): void {
  withFile(path, 'r+', (file) => fsyncSync(file));
}

function readMeta(file: number, path: string): Meta {
  const first = readMetaPage(file, 0, path);
  const second = readMetaPage(file, first.pageBytes, path);
  return first.transaction > second.transaction ? first : second;
}

function readMetaPage(file: number, offset: number, path: string): Meta {
  const page = new DataView(new ArrayBuffer(META_BYTES));
  const bytes = readSync(file, page, 0, META_BYTES, offset);
  const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  if (bytes < META_BYTES || page.getUint32(24, littleEndian) !== MAGIC)
    throw damaged(`${path} is no file of LMDB`);
  return {
    pageBytes: page.getUint32(48, littleEndian),
    lastPage: Number(page.getBigUint64(144, littleEndian)),
    transaction: Number(page.getBigUint64(152, littleEndian)),
  };
}

function checkLength(path: string, size: number, meta: Meta, tolerated: number): void {
  const { pageBytes, lastPage } = meta;
  const missing = lastPage + 1 - size / pageBytes;
  if (missing > tolerated)
    throw damaged(`${path} has ${size} bytes, and ${Math.ceil(missing * pageBytes)} are missing`);
}

function damaged(what: string): StrataError {
  return new StrataError('corrupt', `open: the store is damaged: ${what}`, { operation: 'open' });
}

function withFile<T>(path: string, flags: string, work: (file: number) => T): T {
  const file = openSync(path, flags);
  try {
    return work(file);
  } finally {
    closeSync(file);
  }
}
