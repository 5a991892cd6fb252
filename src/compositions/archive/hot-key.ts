import { failure, invalidArgument } from '../../store/errors.ts';

/** A key in Redis: any bytes; a string stands for its UTF-8. */
export type HotKey = string | Uint8Array;

/** A key as the archive carries it. */
export interface Named {
  readonly bytes: Buffer;
  /** For errors and results: its text, or `0x` and digits where it is none. */
  readonly shown: string;
}

/** Keys as they are taken: checked, each once, in their order. */
export function named(operation: string, keys: readonly HotKey[], bounds: KeyBounds): Named[] {
  const found = new Map<string, Named>();
  for (const key of keys) {
    const one = namedBytes(toBytes(operation, key));
    checkPlace(operation, one, bounds);
    found.set(one.bytes.toString('hex'), one);
  }
  return [...found.values()];
}

/** Which keys an archive is for. */
export interface KeyBounds {
  readonly prefix: string;
  readonly namespace: string;
  /** Refuses what the hot side cannot hold; default what is the archive's own in Redis. */
  checkKey?(operation: string, key: Named): void;
}

function toBytes(operation: string, key: HotKey): Buffer {
  if (typeof key === 'string' && key.isWellFormed()) return Buffer.from(key);
  if (key instanceof Uint8Array) return Buffer.from(key);
  throw invalidArgument(operation, 'the key', key, 'a string of well-formed Unicode, or bytes');
}

function checkPlace(operation: string, key: Named, bounds: KeyBounds): void {
  const { bytes, shown } = key;
  const own = Buffer.from(`${bounds.namespace}:`);
  const begins = (prefix: Buffer): boolean => bytes.subarray(0, prefix.length).equals(prefix);
  if (!begins(Buffer.from(bounds.prefix)))
    throw failure(
      'invalid-argument',
      operation,
      `the key ${JSON.stringify(shown)} does not begin with the prefix ${JSON.stringify(bounds.prefix)}`,
      { key: shown },
    );
  if (bounds.checkKey !== undefined) bounds.checkKey(operation, key);
  else if (begins(own))
    throw failure(
      'invalid-argument',
      operation,
      `the key ${JSON.stringify(shown)} is one of the archive's own`,
      { key: shown },
    );
}

/** Whether a key is one that the archive is for. */
export function isInside(bytes: Buffer, { prefix, namespace }: KeyBounds): boolean {
  const begins = (text: string): boolean => {
    const start = Buffer.from(text);
    return bytes.subarray(0, start.length).equals(start);
  };
  return begins(prefix) && !begins(`${namespace}:`);
}

/** A key that was checked before. */
export function namedBytes(bytes: Buffer): Named {
  return { bytes, shown: shownKey(bytes) };
}

/** A key for people. */
function shownKey(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? text : `0x${bytes.toString('hex')}`;
}

/** Room that a cold key leaves for the key itself; beyond it stands a digest. */
const MOST_BYTES = 400;

/** The name of a key in the cold store: injective, whatever its bytes, case or length. */
export async function coldName(namespace: string, bytes: Buffer): Promise<string> {
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text).equals(bytes);
  if (isText && bytes.length <= MOST_BYTES) return `${namespace}/k/${text}`;
  if (bytes.length <= MOST_BYTES / 2) return `${namespace}/x/${bytes.toString('hex')}`;
  const digest = await crypto.subtle.digest('SHA-256', Uint8Array.from(bytes));
  return `${namespace}/h/${Buffer.from(digest).toString('hex')}`;
}

/** The key whose cold name this is, where the name itself says so. */
export function bytesNamed(namespace: string, name: string): Buffer | undefined {
  const rest = name.slice(namespace.length + 3);
  if (name.startsWith(`${namespace}/k/`)) return Buffer.from(rest);
  return name.startsWith(`${namespace}/x/`) ? Buffer.from(rest, 'hex') : undefined;
}

/** Whether a cold name is of a key that only its object tells. */
export function isDigestName(namespace: string, name: string): boolean {
  return name.startsWith(`${namespace}/h/`);
}
