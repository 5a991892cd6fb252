import { failure, invalidArgument, type StrataError } from '../store/errors.ts';

/** Where everything of `blobs` lies in its store. */
export const PREFIX = 'blobs/';
const BLOB = `${PREFIX}b/`;
const TREE = `${PREFIX}t/`;

/** What a ref can name: bytes as they are, or a tree over the chunks of something larger. */
export type RefKind = 'blob' | 'tree';

const REF = /^[0-9a-f]{64}$/;

/** Refuses what is no ref. */
export function checkRef(operation: string, ref: unknown, what = 'the ref'): asserts ref is string {
  if (typeof ref !== 'string' || !REF.test(ref))
    throw invalidArgument(operation, what, ref, '64 hexadecimal digits, in lower case');
}

export function prefixOf(kind: RefKind): string {
  return kind === 'blob' ? BLOB : TREE;
}

export function keyOf(kind: RefKind, ref: string): string {
  return prefixOf(kind) + ref;
}

/** The kind of a key of ours; `undefined` for those that hold no content. */
export function kindOf(key: string): RefKind | undefined {
  if (key.startsWith(BLOB)) return 'blob';
  return key.startsWith(TREE) ? 'tree' : undefined;
}

/** Up to this length a hash is made where it is asked for; another thread would cost a copy and the way there. */
const HERE_BYTES = 1_048_576;
/** After so many bytes in a row one hash is made elsewhere all the same, which gives others their turn. */
const TURN_BYTES = 8_388_608;

/** Hashes at once, where the host can. */
type HashNow = (algorithm: 'sha256', bytes: Uint8Array, form: 'hex') => string;

const hashNow: HashNow | undefined = (
  globalThis as {
    process?: { getBuiltinModule?(name: string): { readonly hash?: HashNow } | undefined };
  }
).process?.getBuiltinModule?.('node:crypto')?.hash;

let hashedHere = 0;

/** The ref of some bytes: their SHA-256 in hexadecimal digits. */
export async function refOf(bytes: Uint8Array): Promise<string> {
  if (hashNow !== undefined && bytes.length <= HERE_BYTES && hashedHere < TURN_BYTES) {
    hashedHere += bytes.length;
    return hashNow('sha256', bytes, 'hex');
  }
  hashedHere = 0;
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
  return toHex(new Uint8Array(digest));
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
);

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at++)
    bytes[at] = Number.parseInt(text.slice(at * 2, at * 2 + 2), 16);
  return bytes;
}

/** The error for a ref of which the store has nothing. */
export function missing(operation: string, kind: RefKind | 'content', ref: string): StrataError {
  return failure('data-missing', operation, `the store has no ${kind} ${ref}`, {
    details: { ref },
  });
}
