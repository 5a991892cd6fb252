import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { FoundItem, ItemHead } from '../../kernel/items/item-port.ts';
import { lineAfter, MOST_REPLACED, versionsOf } from '../../kernel/items/line.ts';
import { crc32 } from '../../store/checksum.ts';
import type { EntryHead } from '../../store/entry.ts';
import { failure, type StrataError } from '../../store/errors.ts';
import {
  Envelope,
  type EnvelopeFields,
  type EnvelopeIo,
  encodeEnvelope,
  WRITE_ID_RANGE,
} from '../../store/feed/envelope.ts';
import { WRITE_ID_BYTES } from '../../store/version.ts';

/*
 * What an item holds. `p` and `k` are its key: the shard, and the UTF-8 of the entry's key, whose
 * order the engine keeps.
 *
 *   h  binary  envelope: version, times, metadata; what stands for its value is
 *              checksum of the value (CRC-32, u32), its length (u32), and the write ids of what
 *              it took the place of, of what that had, and so on
 *   v  binary  the value
 *   w  binary  the write id again: what conditions name
 *   x  number  where it expires: when, in whole seconds, rounded up; the engine's own expiry
 */
export type Attributes = Record<string, AttributeValue>;

/** What is read to know all but the value. */
export const HEAD_ATTRIBUTES = 'k, h, w';

const CHECK_BYTES = 8;
/** Bytes of an item beside key, value, metadata and origin, at most: shard, names, stamps, numbers. */
export const FIXED_BYTES: number = 256 + CHECK_BYTES + (MOST_REPLACED + 1) * WRITE_ID_BYTES;

const ENVELOPES: EnvelopeIo = { checksum: crc32, alloc: (length) => new Uint8Array(length) };
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What stands in a key's place. */
export interface FoundRow extends FoundItem<StoredHead> {
  /** What a condition on this state names; absent where a damaged item has none. */
  readonly w: AttributeValue | undefined;
}

/** What an item says beside the value: all of an envelope but the place in a history, and what it replaces. */
export interface ItemFields extends Omit<EnvelopeFields, 'rev' | 'pos'> {
  readonly replaced: StoredHead | undefined;
}

/** A key as the engine sorts it. */
export function keyBytes(key: string): Uint8Array {
  return encoder.encode(key);
}

/** The key of an item; `undefined` for one that is not of a store. */
export function keyOf({ k }: Attributes): string | undefined {
  try {
    return k?.B === undefined ? undefined : decoder.decode(k.B) || undefined;
  } catch {
    return undefined;
  }
}

/** The attributes of an entry, beside its key. */
export function encodeItem(fields: ItemFields, value: Uint8Array): Attributes {
  const line = fields.replaced?.line ?? new Uint8Array(0);
  const checks = new Uint8Array(CHECK_BYTES + line.length);
  const view = new DataView(checks.buffer);
  view.setUint32(0, crc32(value));
  view.setUint32(4, value.length);
  checks.set(line, CHECK_BYTES);
  const h = encodeEnvelope(ENVELOPES, { ...fields, rev: 0, pos: 0 }, checks);
  const { expiresAt } = fields;
  return {
    h: { B: h },
    v: { B: value },
    w: { B: h.slice(...WRITE_ID_RANGE) },
    ...(expiresAt !== undefined && { x: { N: String(Math.ceil(expiresAt / 1_000)) } }),
  };
}

/** What an item says of its entry, checked. */
export class StoredHead implements ItemHead {
  readonly key: string;
  readonly replaced: readonly string[];
  readonly #envelope: Envelope;
  readonly #checks: Uint8Array;

  /** Errors: `corrupt` for what is no item of an entry. */
  constructor(key: string, { h }: Attributes) {
    this.key = key;
    if (h?.B === undefined) throw corrupt(key, 'it has no head');
    this.#envelope = new Envelope(ENVELOPES, key, h.B);
    this.#checks = this.#envelope.value;
    if (this.#checks.length < CHECK_BYTES) throw corrupt(key, 'its head has lost its end');
    this.replaced = versionsOf(this.#checks.subarray(CHECK_BYTES));
  }

  get version(): string {
    return this.#envelope.version;
  }

  get immutable(): boolean {
    return this.#envelope.immutable;
  }

  /** What an item that replaces it says to have replaced. */
  get line(): Uint8Array {
    const own = this.#envelope.bytes.subarray(...WRITE_ID_RANGE);
    return lineAfter(own, this.#checks.subarray(CHECK_BYTES));
  }

  isLive(nowMs: number): boolean {
    const { expiresAt } = this.#envelope;
    return expiresAt === undefined || expiresAt > nowMs;
  }

  entryHead(): EntryHead {
    const { rev: _, ...head } = this.#envelope.head();
    return head;
  }

  /** The value out of the item; damage fails with `corrupt`. */
  value({ v }: Attributes): Uint8Array {
    const view = new DataView(this.#checks.buffer, this.#checks.byteOffset, CHECK_BYTES);
    const value = v?.B;
    if (value === undefined || value.length !== view.getUint32(4))
      throw corrupt(this.key, 'its value has another length');
    if (crc32(value) !== view.getUint32(0))
      throw corrupt(this.key, 'the checksum of its value does not match');
    return value;
  }
}

/** An item as what a commit finds. */
export function toFound(key: string, attributes: Attributes, whole = false): FoundRow {
  const { w } = attributes;
  const tag = w?.B === undefined ? JSON.stringify(w ?? null) : `w${w.B.join()}`;
  try {
    const head = new StoredHead(key, attributes);
    return { tag, w, head, ...(whole && { value: head.value(attributes) }) };
  } catch (error) {
    return { tag, w, damage: error as StrataError };
  }
}

function corrupt(key: string, why: string): StrataError {
  return failure('corrupt', 'read', `the item of ${JSON.stringify(key)} is damaged: ${why}`, {
    key,
  });
}
