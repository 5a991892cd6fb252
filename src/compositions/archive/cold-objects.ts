import { joined } from '../../layers/sealed/compression.ts';
import type { Seal } from '../../layers/sealed/seal.ts';
import type { Entry } from '../../store/entry.ts';
import { failure, isStrataError } from '../../store/errors.ts';
import type { Store } from '../../store/store.ts';
import { coldName, type Named } from './hot-key.ts';

/** What the cold store holds of a key. */
export interface ColdObject {
  /** `deleted` for a tombstone, whose payload is empty. */
  readonly type: string;
  readonly generation: number;
  /** In ms since 1970; 0 for none. */
  readonly expiresAt: number;
  /** SHA-1 of the payload, in hexadecimal digits; empty for a tombstone. */
  readonly digest: string;
  /** As DUMP gave it. */
  readonly payload: Uint8Array;
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
const FORMAT = 1;

/** The cold side: sealed objects that say what they are. */
export class ColdObjects {
  readonly #store: Store<Uint8Array>;
  readonly #seal: Seal;
  readonly #namespace: string;
  readonly #timeoutMs: number;

  constructor(store: Store<Uint8Array>, seal: Seal, namespace: string, timeoutMs: number) {
    this.#store = store;
    this.#seal = seal;
    this.#namespace = namespace;
    this.#timeoutMs = timeoutMs;
  }

  async find(key: Named): Promise<Found | undefined> {
    const name = await coldName(this.#namespace, key.bytes);
    const entry = await this.#store.getEntry(name, { timeoutMs: this.#timeoutMs });
    if (entry === undefined) return undefined;
    try {
      return { version: entry.version, object: await this.#open(key, entry) };
    } catch (cause) {
      return { version: entry.version, cause };
    }
  }

  /** Replaces what was found, or puts the first; `conflict` where something else stands by now. */
  async put(key: Named, object: ColdObject, found: Found | undefined): Promise<void> {
    const name = await coldName(this.#namespace, key.bytes);
    const sealed = await this.#seal.freeze(encode(key.bytes, object), this.#place(name));
    const mayExpire = object.type === DELETED && this.#store.capabilities.ttl;
    await this.#store.set(name, sealed, {
      if: found === undefined ? 'absent' : { version: found.version },
      timeoutMs: this.#timeoutMs,
      ...(mayExpire && { ttlMs: TOMBSTONE_MS }),
    });
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

/** Length of the description (4, big-endian) · description in JSON · key · payload. */
function encode(key: Uint8Array, { payload, ...rest }: ColdObject): Uint8Array {
  const head = new TextEncoder().encode(
    JSON.stringify({ format: FORMAT, ...rest, keyBytes: key.length }),
  );
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, head.length);
  return joined([length, head, key, payload], 4 + head.length + key.length + payload.length);
}

function decode(bytes: Uint8Array): ColdObject & { readonly key: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keyAt = 4 + view.getUint32(0);
  const { format, keyBytes, ...rest } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(4, keyAt)),
  );
  if (format !== FORMAT)
    throw failure('corrupt', 'thaw', `the object has the format ${format}, which is unknown`);
  return {
    ...(rest as Omit<ColdObject, 'payload'>),
    key: bytes.subarray(keyAt, keyAt + keyBytes),
    payload: bytes.subarray(keyAt + keyBytes),
  };
}
