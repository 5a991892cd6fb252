import { crc32 } from 'node:zlib';
import type { Change, Entry, EntryHead } from '../../store/entry.ts';
import { StrataError } from '../../store/errors.ts';
import { Envelope, type EnvelopeIo } from '../../store/feed/envelope.ts';

/** How envelopes are checked and made here. */
export const io: EnvelopeIo = { checksum: (bytes) => crc32(bytes), alloc: Buffer.allocUnsafe };
const TOMBSTONE = 0x64;

/** The name by which a key goes in Redis. */
export function nameOf(key: string): string {
  return `k${key}`;
}

/** The key that goes by a name. */
export function keyOf(name: unknown): string {
  return (name as Buffer).toString('utf8', 1);
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
