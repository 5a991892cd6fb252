import { failure, invalidArgument, type StrataError } from '../../store/errors.ts';

/** A key in Redis: any bytes; a string stands for its UTF-8. */
export type HotKey = string | Uint8Array;

/** A key as the archive carries it. */
export interface Named {
  readonly bytes: Buffer;
  /** For errors and results: its text, or `0x` and digits where it is none. */
  readonly shown: string;
  /** Whether it is UTF-8, so that `shown` stands for it exactly. */
  readonly isText: boolean;
}

/** Keys as they are taken: checked, each once, in their order. */
export function named(operation: string, keys: readonly HotKey[], bounds: KeyBounds): Named[] {
  const found = new Map<string, Named>();
  const prefix = Buffer.from(bounds.prefix);
  const own = Buffer.from(`${bounds.namespace}:`);
  for (const key of keys) {
    const one = toNamed(operation, key);
    if (!begins(one.bytes, prefix)) throw outside(operation, one, bounds);
    if (bounds.checkKey !== undefined) bounds.checkKey(operation, one);
    else if (begins(one.bytes, own)) throw reserved(operation, one);
    found.set(one.bytes.toString('latin1'), one);
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

function toNamed(operation: string, key: HotKey): Named {
  if (typeof key === 'string' && key.isWellFormed())
    return { bytes: Buffer.from(key), shown: key, isText: true };
  if (key instanceof Uint8Array) return namedBytes(Buffer.from(key));
  throw invalidArgument(operation, 'the key', key, 'a string of well-formed Unicode, or bytes');
}

/** Whether bytes begin with others. Compared one by one: names are short, and thousands are asked for at once. */
function begins(bytes: Buffer, start: Buffer): boolean {
  if (bytes.length < start.length) return false;
  for (let at = 0; at < start.length; at++) if (bytes[at] !== start[at]) return false;
  return true;
}

function outside(operation: string, { shown }: Named, { prefix }: KeyBounds): StrataError {
  const what = `the key ${JSON.stringify(shown)} does not begin with the prefix ${JSON.stringify(prefix)}`;
  return failure('invalid-argument', operation, what, { key: shown });
}

function reserved(operation: string, { shown }: Named): StrataError {
  const what = `the key ${JSON.stringify(shown)} is one of the archive's own`;
  return failure('invalid-argument', operation, what, { key: shown });
}

/** Whether a key is one that the archive is for. */
export function isInside(bytes: Buffer, { prefix, namespace }: KeyBounds): boolean {
  return begins(bytes, Buffer.from(prefix)) && !begins(bytes, Buffer.from(`${namespace}:`));
}

/** A key that was checked before. */
export function namedBytes(bytes: Buffer): Named {
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text).equals(bytes);
  return { bytes, shown: isText ? text : `0x${bytes.toString('hex')}`, isText };
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
