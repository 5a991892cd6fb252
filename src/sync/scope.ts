import { FIRST_USER_KEY } from '../store/keys.ts';

/** Which keys: all, none, those with one of the prefixes, or those that a function accepts. */
export type KeyRights = boolean | readonly string[] | ((key: string) => boolean);

/** What `authorize` grants. What is not granted is refused. */
export interface Rights {
  readonly read?: KeyRights;
  readonly write?: KeyRights;
  /** When the rights end, in ms since 1970; the connection is then closed. */
  readonly expiresAt?: number;
  /**
   * Names what a function in `read` accepts. A copy that was made under another name starts with
   * a fresh snapshot, so that it gains and loses what the change of rights says. Without a name, a
   * copy resumes only under the very same function of a publication that has not been made anew.
   */
  readonly scope?: string;
}

/** The part of a store that one subscriber sees. */
export interface Scope {
  /** The same for equal scopes, whatever the process: a copy resumes only within its own. */
  readonly id: string;
  /** The same for scopes that accept the same keys for sure in this process: they share frames. */
  readonly shareId: string;
  /** Whether a key belongs to it; reserved ones never do. */
  accepts(key: string): boolean;
}

/** The test of key rights. A function that throws is passed on: better no frame than a wrong one. */
export function acceptsKey(rights: KeyRights): (key: string) => boolean {
  if (typeof rights === 'function') return (key) => rights(key) === true;
  if (typeof rights === 'boolean') return () => rights;
  return (key) => rights.some((prefix) => key.startsWith(prefix));
}

function isKeyRights(value: unknown): value is KeyRights {
  return (
    typeof value === 'boolean' ||
    typeof value === 'function' ||
    (Array.isArray(value) && value.every((prefix) => typeof prefix === 'string'))
  );
}

/** Whether `authorize` gave what can be kept to; an end that is no number would never come. */
export function isRights({ read, write, expiresAt, scope }: Rights): boolean {
  return (
    isKeyRights(read ?? false) &&
    isKeyRights(write ?? false) &&
    (expiresAt === undefined || (typeof expiresAt === 'number' && !Number.isNaN(expiresAt))) &&
    (scope === undefined || typeof scope === 'string')
  );
}

const functionIds = new WeakMap<object, number>();
let functions = 0;

function idOf(fn: object): number {
  const known = functionIds.get(fn);
  if (known !== undefined) return known;
  functions++;
  functionIds.set(fn, functions);
  return functions;
}

/**
 * What a subscriber asked for, within its rights, within what is published at all. `own` names
 * the publication where functions without a name are told apart.
 */
export function scopeOf(
  prefix: string,
  rights: Rights,
  filter: ((key: string) => boolean) | undefined,
  own: () => string = () => '',
): Scope {
  const read = rights.read ?? false;
  const readTest = acceptsKey(read);
  const prefixes = Array.isArray(read) ? [...(read as readonly string[])].sort() : [];
  const named = JSON.stringify([
    prefix,
    typeof read === 'boolean' ? read : prefixes,
    typeof read === 'function' && (rights.scope === undefined ? `${own()}.${idOf(read)}` : true),
    rights.scope ?? '',
    filter !== undefined,
  ]);
  const shared = [
    typeof read === 'function' ? idOf(read) : 0,
    filter === undefined ? 0 : idOf(filter),
  ];
  const id = fingerprint(named);
  const everything = read === true && prefix === '' && filter === undefined;
  return {
    id,
    shareId: `${named}#${shared.join('.')}`,
    accepts: everything
      ? (key) => key >= FIRST_USER_KEY
      : (key) =>
          key >= FIRST_USER_KEY &&
          key.startsWith(prefix) &&
          readTest(key) &&
          (filter === undefined || filter(key) === true),
  };
}

/** A short name of a text: 64 bits, by two multiplicative hashes. */
function fingerprint(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x5bd1e995);
    b ^= b >>> 15;
  }
  const hex = (part: number): string => (part >>> 0).toString(16).padStart(8, '0');
  return hex(a) + hex(b);
}
