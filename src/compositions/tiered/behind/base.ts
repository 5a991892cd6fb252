import type { Entry, EntryHead } from '../../../store/entry.ts';

/** An entry that stands in the back. */
export interface BackVersion {
  readonly version: string;
  /** When it ends by itself, in ms since 1970. */
  readonly expiresAt?: number;
}

/** The back holds an earlier write of this store, or nothing because of its delete. */
export const OWN: unique symbol = Symbol('own');

/**
 * What the back holds under a key, beneath what is pending, as far as this store knows: an entry of
 * somebody else, `null` for nothing, `OWN`, `undefined` where nobody looked.
 */
export type Base = BackVersion | null | typeof OWN | undefined;

const NOTHING = '';
const BY_US = '\u0000own';
const END = '\u0000';

/** As the journal keeps it. */
export function encodeBase(base: Base): string | undefined {
  if (base === undefined) return undefined;
  if (base === null) return NOTHING;
  if (base === OWN) return BY_US;
  return base.expiresAt === undefined ? base.version : base.version + END + base.expiresAt;
}

export function decodeBase(text: string | undefined): Base {
  if (text === undefined) return undefined;
  if (text === NOTHING) return null;
  if (text === BY_US) return OWN;
  const [version = '', expiresAt] = text.split(END);
  return expiresAt === undefined ? { version } : { version, expiresAt: Number(expiresAt) };
}

/** What an entry of the back is as a base. */
export function baseOf<V>(entry: Entry<V> | undefined, own: boolean): Base {
  if (entry === undefined) return null;
  return own ? OWN : versionOf(entry);
}

export function versionOf({ version, expiresAt }: EntryHead): BackVersion {
  return expiresAt === undefined ? { version } : { version, expiresAt };
}

/** Whether the back stands as it was when a write was decided; where nobody knows, it does. */
export function isAsBefore<V>(
  base: Base,
  now: Entry<V> | undefined,
  own: boolean,
  nowMs: number,
): boolean {
  // Whatever this store has written there, it has written before the write in question.
  if (base === undefined || own) return true;
  if (base === OWN) return now === undefined;
  if (base === null) return now === undefined;
  if (now === undefined) return base.expiresAt !== undefined && base.expiresAt <= nowMs;
  return now.version === base.version;
}
