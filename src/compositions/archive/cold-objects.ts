import { joined } from '../../layers/sealed/compression.ts';
import type { Seal } from '../../layers/sealed/seal.ts';
import type { Call } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import { failure, isStrataError } from '../../store/errors.ts';
import type { ReadOptions } from '../../store/operations.ts';
import type { Store } from '../../store/store.ts';
import type { ColdOwner } from './cold-owner.ts';
import { bytesNamed, coldName, isDigestName, type Named, namedBytes } from './hot-key.ts';

/** What the cold store holds of a key. */
export interface ColdObject {
  /** `deleted` for a tombstone, whose payload is empty. */
  readonly type: string;
  readonly generation: number;
  /** In ms since 1970; 0 for none. */
  readonly expiresAt: number;
  /** What eviction compares: of keys of Redis the SHA-1 of DUMP, in hexadecimal digits; empty for a tombstone. */
  readonly digest: string;
  /** As the hot side gave it, for itself: of keys of Redis what DUMP gave. Empty for a tombstone, and where `logical` is enough. */
  readonly payload: Uint8Array;
  /** The value in the format that every version can read; see `logical/format.ts`. */
  readonly logical?: Uint8Array;
}

/** An object as the cold store is to have it. */
export interface SealedObject {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Whether it is to go by itself. */
  readonly mayExpire: boolean;
}

/** An object that was read, with the version to replace it on condition of. */
export interface Found {
  readonly version: string;
  /** Absent where it does not open: then `cause` says why. */
  readonly object?: ColdObject;
  readonly cause?: unknown;
}

export const DELETED = 'deleted';
/** A put that is slower than this finds nothing that refuses it. */
const TOMBSTONE_MS = 7 * 86_400_000;
const FORMAT = 2;
/** Without the lengths of parts: the payload is what follows the key. */
const FIRST_FORMAT = 1;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What is asked of the owner. */
type Owner = Pick<ColdOwner, 'name' | 'check' | 'ask'>;

/** The cold side: sealed objects that say what they are. */
export class ColdObjects {
  readonly #store: Store<Uint8Array>;
  readonly #seal: Seal;
  readonly #namespace: string;
  readonly #timeoutMs: number;
  /** Another process may have put since: what is evicted and restored is decided by what stands. */
  readonly #reading: ReadOptions;
  readonly #owner: Owner;

  constructor(
    store: Store<Uint8Array>,
    seal: Seal,
    namespace: string,
    timeoutMs: number,
    owner: Owner,
  ) {
    this.#store = store;
    this.#owner = owner;
    this.#seal = seal;
    this.#namespace = namespace;
    this.#timeoutMs = timeoutMs;
    this.#reading = { timeoutMs, fresh: true };
  }

  async find(key: Named): Promise<Found | undefined> {
    await this.#owner.check('read');
    const name = await coldName(this.#namespace, key.bytes);
    const entry = await this.#store.getEntry(name, this.#reading);
    if (entry === undefined) return undefined;
    try {
      return { version: entry.version, object: await this.#open(key, entry) };
    } catch (cause) {
      return { version: entry.version, cause };
    }
  }

  /** Names of all objects. */
  async *names({ signal }: Call): AsyncGenerator<string> {
    await this.#owner.check('read');
    const prefix = `${this.#namespace}/`;
    for await (const name of this.#store.keys({ prefix, signal, timeoutMs: this.#timeoutMs }))
      if (name !== this.#owner.name) yield name;
  }

  /** The key whose object has this name; undefined for a foreign name. Fails where only the object could tell and does not open. */
  async keyNamed(name: string): Promise<Named | undefined> {
    const bytes = bytesNamed(this.#namespace, name) ?? (await this.#bytesInside(name));
    if (bytes === undefined || (await coldName(this.#namespace, bytes)) !== name) return undefined;
    return namedBytes(bytes);
  }

  /** Whether there is an object of a key, whatever it says. */
  async has(key: Named): Promise<boolean> {
    await this.#owner.check('read');
    const name = await coldName(this.#namespace, key.bytes);
    return this.#store.has(name, this.#reading);
  }

  async #bytesInside(name: string): Promise<Buffer | undefined> {
    if (!isDigestName(this.#namespace, name)) return undefined;
    const value = await this.#store.get(name, this.#reading);
    if (value === undefined) return undefined;
    return Buffer.from(decode(await this.#seal.thaw(value, this.#place(name))).key);
  }

  /** To be called when marks were taken: whether they are those of the owner is known when it has resolved. */
  askHot(): Promise<void> | undefined {
    return this.#owner.ask();
  }

  async seal(key: Named, object: ColdObject): Promise<SealedObject> {
    const name = await coldName(this.#namespace, key.bytes);
    const bytes = await this.#sealed(key, object, name);
    return { name, bytes, mayExpire: object.type === DELETED };
  }

  /**
   * Replaces what was found, or puts the first, if it is the owner's, which is known when `asked` has
   * resolved; `conflict` where something else stands by now.
   */
  async put(
    { name, bytes, mayExpire }: SealedObject,
    version: string | undefined,
    asked: Promise<void> | undefined,
  ): Promise<string> {
    await this.#owner.check('write', asked);
    const entry = await this.#store.set(name, bytes, {
      if: version === undefined ? 'absent' : { version },
      timeoutMs: this.#timeoutMs,
      ...(mayExpire && this.#store.capabilities.ttl && { ttlMs: TOMBSTONE_MS }),
    });
    return entry.version;
  }

  /** Without the logical form where there is no room for both. */
  async #sealed(key: Named, object: ColdObject, name: string): Promise<Uint8Array> {
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#seal;
    const { maxValueBytes = Number.POSITIVE_INFINITY } = this.#store.capabilities;
    const { logical, ...rest } = object;
    const hasBoth = logical !== undefined && object.payload.length > 0;
    const whole = encode(key.bytes, object);
    if (!hasBoth || whole.length <= maxBytes) {
      const sealed = await this.#seal.freeze(whole, this.#place(name));
      if (!hasBoth || sealed.length <= maxValueBytes) return sealed;
    }
    return this.#seal.freeze(encode(key.bytes, rest), this.#place(name));
  }

  async #open(key: Named, { key: name, value }: Entry<Uint8Array>): Promise<ColdObject> {
    const { key: inside, ...object } = decode(await this.#seal.thaw(value, this.#place(name)));
    if (!Buffer.from(inside).equals(key.bytes))
      throw failure('corrupt', 'thaw', `the object ${JSON.stringify(name)} is of another key`);
    return object;
  }

  #place(name: string): { key: string; storeId: string } {
    return { key: name, storeId: this.#namespace };
  }
}

/** Whether a put may or may not have been made. */
export function isInDoubt(error: unknown): boolean {
  return isStrataError(error, 'conflict', 'unknown-outcome');
}

/** What the description of an object says. */
interface Description extends Omit<ColdObject, 'payload' | 'logical'> {
  readonly format: number;
  readonly keyBytes: number;
  readonly payloadBytes: number;
  /** Absent without a logical form. */
  readonly logicalBytes?: number;
}

/** Length of the description (4, big-endian) · description in JSON · key · payload · logical form. */
function encode(key: Uint8Array, { payload, logical, ...rest }: ColdObject): Uint8Array {
  const description: Description = {
    format: FORMAT,
    ...rest,
    keyBytes: key.length,
    payloadBytes: payload.length,
    ...(logical && { logicalBytes: logical.length }),
  };
  const head = encoder.encode(JSON.stringify(description));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, head.length);
  const parts = [length, head, key, payload, ...(logical ? [logical] : [])];
  return joined(
    parts,
    parts.reduce((sum, part) => sum + part.length, 0),
  );
}

function decode(bytes: Uint8Array): ColdObject & { readonly key: Uint8Array } {
  const { described, keyAt } = describedBy(bytes);
  const { format, keyBytes, payloadBytes, logicalBytes, ...rest } = described;
  if (format !== FORMAT && format !== FIRST_FORMAT)
    throw failure('corrupt', 'thaw', `the object has the format ${format}, which is unknown`);
  const payloadAt = keyAt + keyBytes;
  const logicalAt = format === FIRST_FORMAT ? bytes.length : payloadAt + payloadBytes;
  const end = logicalAt + (logicalBytes ?? 0);
  if (end !== bytes.length)
    throw failure('corrupt', 'thaw', `the object has ${bytes.length} bytes; expected ${end}`);
  return {
    ...rest,
    key: bytes.subarray(keyAt, payloadAt),
    payload: bytes.subarray(payloadAt, logicalAt),
    ...(logicalBytes !== undefined && { logical: bytes.subarray(logicalAt) }),
  };
}

function describedBy(bytes: Uint8Array): { described: Description; keyAt: number } {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const keyAt = 4 + view.getUint32(0);
    return { described: JSON.parse(decoder.decode(bytes.subarray(4, keyAt))), keyAt };
  } catch (cause) {
    throw failure('corrupt', 'thaw', 'the object does not describe itself', { cause });
  }
}
