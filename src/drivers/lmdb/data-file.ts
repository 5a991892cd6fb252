import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync } from 'node:fs';
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

/** Refuses a file that is none of LMDB's: `corrupt`. */
export function checkDataFile(path: string): void {
  withFile(path, 'r', (file) => {
    readMeta(file, path);
  });
}

/**
 * Gives the file its full length, within a write transaction: LMDB leaves unused pages at the end
 * unwritten, and pages that are missing otherwise are then found to be damaged when they are read.
 */
export function fillDataFile(path: string): void {
  withFile(path, 'r+', (file) => {
    const { pageBytes, lastPage } = readMeta(file, path);
    const bytes = (lastPage + 1) * pageBytes;
    if (fstatSync(file).size < bytes) ftruncateSync(file, bytes);
  });
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
    throw new StrataError('corrupt', `open: the store is damaged: ${path} is no file of LMDB`, {
      operation: 'open',
    });
  return {
    pageBytes: page.getUint32(48, littleEndian),
    lastPage: Number(page.getBigUint64(144, littleEndian)),
    transaction: Number(page.getBigUint64(152, littleEndian)),
  };
}

function withFile(path: string, flags: string, work: (file: number) => void): void {
  const file = openSync(path, flags);
  try {
    work(file);
  } finally {
    closeSync(file);
  }
}
