import type { Entry, EntryHead } from '../../../store/entry.ts';

/** An entry that stands in the back. */
export interface BackVersion {
  readonly version: string;
  /** When it ends by itself, in ms since 1970. */
  readonly expiresAt?: number;
  /**
   * When a write of this store that was pending over it leaves nothing there, in ms since 1970: at
   * once (0) as a delete, or by its own expiry. After a crash nobody knows whether it got there.
   */
  readonly endedByUsAt?: number;
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
  const { version, expiresAt, endedByUsAt } = base;
  if (endedByUsAt !== undefined) return [version, expiresAt ?? '', endedByUsAt].join(END);
  return expiresAt === undefined ? version : version + END + expiresAt;
}

export function decodeBase(text: string | undefined): Base {
  if (text === undefined) return undefined;
  if (text === NOTHING) return null;
  if (text === BY_US) return OWN;
  const [version = '', expiresAt = '', endedByUsAt = ''] = text.split(END);
  return {
    version,
    ...(expiresAt !== '' && { expiresAt: Number(expiresAt) }),
    ...(endedByUsAt !== '' && { endedByUsAt: Number(endedByUsAt) }),
  };
}

/** What lies beneath a write over a pending one, which leaves nothing from a moment on (0: at once). */
export function beneath(base: Base, endedByUsAt: number | undefined): Base {
  if (typeof base !== 'object' || base === null || endedByUsAt === undefined) return base;
  const { endedByUsAt: before = endedByUsAt } = base;
  return { ...base, endedByUsAt: Math.min(before, endedByUsAt) };
}

/** What lies beneath a write that was recovered: what was pending beneath it may be in the back. */
export function afterCrash(base: Base): Base {
  if (typeof base !== 'object' || base?.endedByUsAt === undefined) return base;
  const { version, expiresAt = base.endedByUsAt, endedByUsAt } = base;
  return { version, expiresAt: Math.min(expiresAt, endedByUsAt) };
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
