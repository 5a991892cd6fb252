import { joined } from '../../../layers/sealed/compression.ts';
import type { Entry, Json, Meta, Origin } from '../../../store/entry.ts';
import { failure } from '../../../store/errors.ts';
import type { SetWrite } from '../../../store/primitives.ts';
import type { ColdObject } from '../cold-objects.ts';

const FORMAT = 1;
const HEAD_AT = 5;

interface Head {
  readonly modifiedAt: number;
  readonly immutable?: true;
  readonly meta?: Meta;
  readonly origin?: Origin;
}

type Digested = Pick<ColdObject, 'payload' | 'digest'>;

/** What a restored entry has again beside its key and expiry. */
export type Restorable = Omit<SetWrite<Uint8Array>, 'type' | 'key' | 'if'>;

/**
 * An entry but for its key, version and expiry: format (1 byte) · length of the head (4, big-endian)
 * · head in JSON, with sorted names · value. The same entry gives the same bytes.
 */
export function encodePayload({
  value,
  modifiedAt,
  immutable,
  meta,
  origin,
}: Entry<Uint8Array>): Uint8Array {
  const facts = { modifiedAt, ...(immutable && { immutable }), ...(meta && { meta }) };
  const head = new TextEncoder().encode(
    JSON.stringify(sorted({ ...facts, ...(origin && { origin: { ...origin } }) })),
  );
  const begin = new Uint8Array(HEAD_AT);
  begin[0] = FORMAT;
  new DataView(begin.buffer).setUint32(1, head.length);
  return joined([begin, head, value], HEAD_AT + head.length + value.length);
}

/** Errors: `unsupported` for what another kind of hot side, or a later version, has written; `corrupt`. */
export async function openPayload(
  operation: string,
  key: string,
  object: Digested,
): Promise<Restorable> {
  // A seal of another kind may have let damage through, which nothing else would notice.
  if (await isSound(object)) return decodePayload(operation, key, object.payload);
  const what = `the cold object of ${JSON.stringify(key)} is damaged`;
  throw failure('corrupt', operation, what, { key });
}

function decodePayload(operation: string, key: string, payload: Uint8Array): Restorable {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const valueAt = payload.length < HEAD_AT ? 0 : HEAD_AT + view.getUint32(1);
  if (payload[0] !== FORMAT || valueAt > payload.length)
    throw failure(
      'unsupported',
      operation,
      `what was archived of ${JSON.stringify(key)} is no entry of a store; it stays in the cold store`,
      { key },
    );
  const head = JSON.parse(new TextDecoder().decode(payload.subarray(HEAD_AT, valueAt))) as Head;
  return { ...head, value: payload.slice(valueAt) };
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const names = Object.keys(value).sort();
  const object = value as { readonly [name: string]: Json };
  return Object.fromEntries(names.map((name) => [name, sorted(object[name] as Json)]));
}

const DIGEST_LETTERS = 64;

/** Whether a payload is what its digest says; of one that is no entry of a store it is not known. */
export async function isSound({ payload, digest }: Digested): Promise<boolean> {
  if (payload.length === 0 || digest.length !== DIGEST_LETTERS) return true;
  return (await digestOf(payload)) === digest;
}

/** SHA-256 in hexadecimal digits. */
export async function digestOf(payload: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', Uint8Array.from(payload)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
