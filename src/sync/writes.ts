import type { Condition, EntryHead } from '../store/entry.ts';
import type { BatchWrite } from '../store/operations.ts';
import type { WriteOutcome } from '../store/primitives.ts';
import { readMeta } from './meta.ts';
import { MAX_WRITES } from './protocol.ts';
import { ByteReader, ByteWriter, malformed } from './wire.ts';

/*
 * Writes of a subscriber, and what became of them, one after the other:
 *
 *   write    flags, key (text); as the flags say: the version wanted (text), expiry (uint),
 *            metadata (text); for a set its value (length as uint, then the bytes)
 *   outcome  flags; as they say: version (text), revision (uint), time written (uint),
 *            expiry (uint)
 */

const DELETE = 1;
const IF_ABSENT = 2;
const IF_VERSION = 4;
const EXPIRY = 8;
const META = 16;
const IMMUTABLE = 32;
/** The value came in the pieces before this frame. */
const PIECED = 64;

const EXISTED = 1;
const ENTRY = 2;

const MAX_VERSION_BYTES = 2_048;
const MAX_KEY_TEXT_BYTES = 4_096;

/** One write as it travels. */
export type WireWrite = BatchWrite<Uint8Array>;

/** Adds one write. With `pieced` its value is left out, because pieces bring it. */
export function putWrite(into: ByteWriter, write: WireWrite, pieced = false): void {
  const { key } = write;
  const condition = write.if;
  let flags = write.type === 'delete' ? DELETE : 0;
  if (condition === 'absent') flags |= IF_ABSENT;
  else if (condition !== undefined) flags |= IF_VERSION;
  if (write.type === 'set') {
    if (write.expiresAt !== undefined) flags |= EXPIRY;
    if (write.meta !== undefined) flags |= META;
    if (write.immutable === true) flags |= IMMUTABLE;
    if (pieced) flags |= PIECED;
  }
  into.byte(flags);
  into.text(key);
  if (condition !== undefined && condition !== 'absent') into.text(condition.version);
  if (write.type === 'delete') return;
  if (write.expiresAt !== undefined) into.uint(Math.ceil(write.expiresAt));
  if (write.meta !== undefined) into.text(JSON.stringify(write.meta));
  if (!pieced) into.raw(write.value);
}

/** Reads the writes of a frame. Keys are left to whoever applies them. */
export function readWrites(block: Uint8Array, pieced: Uint8Array | undefined): WireWrite[] {
  const reader = new ByteReader(block);
  const writes: WireWrite[] = [];
  let waiting = pieced;
  while (reader.left > 0) {
    if (writes.length >= MAX_WRITES) throw malformed(`more than ${MAX_WRITES} writes`);
    const flags = reader.byte();
    if (flags > 127) throw malformed(`unknown flags ${flags}`);
    const key = reader.text(MAX_KEY_TEXT_BYTES);
    const condition = readCondition(reader, flags);
    if (flags & DELETE) {
      if (flags & ~(DELETE | IF_ABSENT | IF_VERSION)) throw malformed(`unknown flags ${flags}`);
      writes.push({ type: 'delete', key, ...(condition && { if: condition }) });
      continue;
    }
    const expiresAt = flags & EXPIRY ? reader.uint() : undefined;
    const meta = flags & META ? readMeta(reader.text()) : undefined;
    if (flags & PIECED && waiting === undefined) throw malformed('a value in pieces is not there');
    const value = flags & PIECED ? (waiting as Uint8Array) : reader.raw().slice();
    if (flags & PIECED) waiting = undefined;
    writes.push({
      type: 'set',
      key,
      value,
      ...(condition && { if: condition }),
      ...(expiresAt !== undefined && { expiresAt }),
      ...(meta !== undefined && { meta }),
      ...(flags & IMMUTABLE && { immutable: true }),
    });
  }
  if (waiting !== undefined) throw malformed('a value in pieces that nobody asked for');
  return writes;
}

function readCondition(reader: ByteReader, flags: number): Condition | undefined {
  if (flags & IF_ABSENT && flags & IF_VERSION) throw malformed('two conditions');
  if (flags & IF_ABSENT) return 'absent';
  return flags & IF_VERSION ? { version: reader.text(MAX_VERSION_BYTES) } : undefined;
}

/** What became of each write, for the one who asked for them. */
export function encodeOutcomes(outcomes: readonly WriteOutcome[]): Uint8Array {
  const into = new ByteWriter();
  for (const { existed, entry } of outcomes) {
    const flags =
      (existed ? EXISTED : 0) |
      (entry === undefined ? 0 : ENTRY) |
      (entry?.expiresAt === undefined ? 0 : EXPIRY) |
      (entry?.immutable ? IMMUTABLE : 0);
    into.byte(flags);
    if (entry === undefined) continue;
    into.text(entry.version);
    into.uint(entry.rev ?? 0);
    into.uint(Math.max(0, Math.round(entry.modifiedAt)));
    if (entry.expiresAt !== undefined) into.uint(Math.ceil(entry.expiresAt));
  }
  return into.view().slice();
}

/** Reads outcomes for the keys that were written. */
export function readOutcomes(block: Uint8Array, keys: readonly string[]): WriteOutcome[] {
  const reader = new ByteReader(block);
  const outcomes = keys.map((key): WriteOutcome => {
    const flags = reader.byte();
    const existed = (flags & EXISTED) !== 0;
    return flags & ENTRY ? { existed, entry: readHead(reader, flags, key) } : { existed };
  });
  reader.finish();
  return outcomes;
}

function readHead(reader: ByteReader, flags: number, key: string): EntryHead {
  const version = reader.text(MAX_VERSION_BYTES);
  const rev = reader.uint();
  const modifiedAt = reader.uint();
  const expiresAt = flags & EXPIRY ? reader.uint() : undefined;
  return {
    key,
    version,
    rev,
    modifiedAt,
    ...(expiresAt !== undefined && { expiresAt }),
    ...(flags & IMMUTABLE && { immutable: true as const }),
  };
}
