import { createHash } from 'node:crypto';

/*
 * How a key becomes the name of its file: the hexadecimal digits of its UTF-8, which no file system
 * folds, normalizes or reserves, and whose order is that of the bytes. Keys of more than PLAIN_BYTES
 * have those first bytes, a plus sign and the SHA-256 of the whole: such names stand after the key
 * that is just their first bytes, and before every other; among themselves they are in no order.
 */

const PLAIN_BYTES = 80;
const HASHED = '+';
/** Sorts after every hashed name with the same digits before it, and below all digits. */
const AFTER_HASHED = ',';
const NAME = /^(?:(?:[0-9a-f]{2}){1,80}|[0-9a-f]{160}\+[0-9a-f]{64})$/;

/** The name of a key's file; no two keys share one. */
export function nameOf(key: string): string {
  const bytes = Buffer.from(key);
  if (bytes.length <= PLAIN_BYTES) return bytes.toString('hex');
  return `${bytes.toString('hex', 0, PLAIN_BYTES)}${HASHED}${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The key that a name says, or `undefined` where only the file does. */
export function keyOf(name: string): string | undefined {
  return isHashed(name) ? undefined : Buffer.from(name, 'hex').toString();
}

/** Whether a name is one of ours: a folder may hold what others put there. */
export function isName(name: string): boolean {
  return NAME.test(name);
}

export function isHashed(name: string): boolean {
  return name.length > PLAIN_BYTES * 2;
}

/** The part of a name that orders it. */
export function digitsOf(name: string): string {
  return isHashed(name) ? name.slice(0, PLAIN_BYTES * 2) : name;
}

/** Where the names of keys from this one on begin. */
export function firstNameOf(key: string): string {
  return Buffer.from(key).toString('hex', 0, PLAIN_BYTES);
}

/** Beyond the names of all keys up to this one; a few names below it may be of later keys. */
export function endNameOf(key: string): string {
  return firstNameOf(key) + AFTER_HASHED;
}

/** The shortest digits that stand after one name and not after the next, for names whose digits differ. */
export function digitsBetween(before: string, name: string): string {
  const digits = digitsOf(name);
  let at = 0;
  while (digits[at] === before[at]) at++;
  return digits.slice(0, at + 1);
}
