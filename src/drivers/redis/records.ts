import { crc32 } from 'node:zlib';
import type { Change, Entry, EntryHead } from '../../store/entry.ts';
import { StrataError } from '../../store/errors.ts';
import { Envelope, type EnvelopeIo, encodeEnvelope } from '../../store/feed/envelope.ts';
import type { SetWrite } from '../../store/primitives.ts';
import type { WriteIds } from '../../store/version.ts';

const io: EnvelopeIo = { checksum: (bytes) => crc32(bytes), alloc: Buffer.allocUnsafe };
/** Latest time an envelope can carry. */
const MAX_TIME = 2 ** 48 - 1;
const TOMBSTONE = 0x64;
/** Digits of an expiry in a head. */
const EXPIRY_DIGITS = 15;

/** A set as the commit script takes it. */
export interface EncodedSet {
  /** Kind, expiry and version: the head without its revision. */
  readonly described: string;
  readonly envelope: Buffer;
  readonly head: EntryHead;
}

/** Gives a write its version and its bytes. The revision comes from the script and is kept beside the envelope. */
export function encodeSet(write: SetWrite<Uint8Array>, ids: WriteIds, nowMs: number): EncodedSet {
  const writeId = ids.next();
  const version = ids.text(writeId);
  const { expiresAt, immutable, meta, origin } = write;
  const head: { -readonly [K in keyof EntryHead]: EntryHead[K] } = {
    key: write.key,
    version,
    modifiedAt: write.modifiedAt ?? nowMs,
  };
  const envelope = encodeEnvelope(
    io,
    {
      rev: 0,
      pos: 0,
      modifiedAt: head.modifiedAt,
      expiresAt,
      immutable,
      meta,
      origin,
      writeId: (into, offset) => ids.write(writeId, into, offset),
    },
    write.value,
  ) as Buffer;
  // The flags of the envelope, as one printable character.
  let described = String.fromCharCode(48 + (envelope[5] as number));
  if (expiresAt !== undefined) {
    head.expiresAt = expiresAt;
    described += String(Math.min(Math.floor(expiresAt), MAX_TIME)).padStart(EXPIRY_DIGITS, '0');
  }
  if (immutable) head.immutable = true;
  if (meta !== undefined) head.meta = meta;
  if (origin !== undefined) head.origin = origin;
  return { described: described + version, envelope, head };
}

/** The envelope of a key as it came from Redis; what is none fails with `corrupt`. */
export function openEnvelope(key: string, bytes: unknown): Envelope {
  if (!(bytes instanceof Uint8Array)) throw damagedEntry(key, 'it is no string');
  return new Envelope(io, key, bytes);
}

/** The revision in a head. */
export function revOf(key: string, head: unknown): number {
  if (!(head instanceof Buffer) || head.length < 7) throw damagedEntry(key, 'it has no head');
  return head.readUIntBE(0, 6);
}

/** An entry that the caller may keep: its value shares nothing with what the client holds. */
export function entryOf(key: string, head: unknown, envelope: unknown): Entry<Uint8Array> {
  return entryAt(key, revOf(key, head), envelope);
}

function entryAt(key: string, rev: number, envelope: unknown): Entry<Uint8Array> {
  const opened = openEnvelope(key, envelope);
  return { ...opened.head(rev), value: copyOf(opened.value) };
}

/** Bytes of the plain kind, apart from the chunk that came from the socket. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Whether a head belongs to a deleted key. */
export function isTombstone(head: unknown): boolean {
  return head instanceof Buffer && head[6] === TOMBSTONE;
}

export function isExpired(head: EntryHead, nowMs: number): boolean {
  return head.expiresAt !== undefined && head.expiresAt <= nowMs;
}

/** A change of a commit that came from the log; an empty envelope is a delete. */
export function changeOf(key: string, rev: number, envelope: Buffer): Change<Uint8Array> {
  if (envelope.length === 0) return { type: 'delete', key, rev };
  return { type: 'set', ...entryAt(key, rev, envelope) };
}

function damagedEntry(key: string, why: string): StrataError {
  return new StrataError('corrupt', `the stored entry ${JSON.stringify(key)} is damaged: ${why}`, {
    operation: 'read',
    key,
  });
}
