import type { Entry } from '../store/entry.ts';
import { isStrataError, StrataError, show } from '../store/errors.ts';
import { FIRST_USER_KEY } from '../store/keys.ts';
import { LEAST_CREDIT_BYTES } from './protocol.ts';

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
  /** Instead of those of the publication. */
  readonly limits?: SubscriberLimits;
}

/** Bounds for one subscriber; see `PublishLimits`. */
export interface SubscriberLimits {
  readonly creditBytes?: number;
  readonly writeBytes?: number;
  readonly pendingWrites?: number;
}

/** What of a store is published at all; entries as the feed has them. */
export interface Selection {
  readonly filter?: ((key: string) => boolean) | undefined;
  readonly where?: ((entry: Entry<unknown>) => boolean) | undefined;
  /** Places keys within a group, lower first. */
  readonly order?: ((key: string) => number) | undefined;
  /** Names what is selected by functions, across processes. */
  readonly name?: string | undefined;
  /** What is known of a walk beside its functions; absent where there is none. */
  readonly walk?: string | undefined;
}

/** The part of a store that one subscriber sees. */
export interface Scope {
  /** The same for equal scopes, whatever the process: a copy resumes only within its own. */
  readonly id: string;
  /** The same for scopes that accept the same keys for sure in this process: they share frames. */
  readonly shareId: string;
  /** Keys that do not begin with one of these do not belong to it; absent where all may. */
  readonly prefixes?: readonly string[];
  /** Whether a key belongs to it; reserved ones never do. */
  accepts(key: string): boolean;
  /** Whether an entry under a key of the scope belongs to it; absent where all do. */
  readonly holds?: (entry: Entry<unknown>) => boolean;
  /** Places keys within a group, lower first; absent where the order of writing counts. */
  readonly order?: (key: string) => number;
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

function isLimits(limits: unknown): boolean {
  if (typeof limits !== 'object' || limits === null) return false;
  return Object.entries(limits).every(([name, value]) => {
    if (value === undefined) return true;
    const least = LEAST[name];
    return least !== undefined && Number.isSafeInteger(value) && value >= least;
  });
}

const LEAST: Readonly<Record<string, number>> = {
  creditBytes: LEAST_CREDIT_BYTES,
  writeBytes: 1,
  pendingWrites: 1,
};

/** Whether `authorize` gave what can be kept to; an end that is no number would never come. */
export function isRights({ read, write, expiresAt, scope, limits }: Rights): boolean {
  return (
    isLimits(limits ?? {}) &&
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
 * What a subscriber asked for, within its rights, within what is published. `own` names
 * the publication where functions without a name are told apart.
 */
export function scopeOf(
  prefix: string,
  rights: Rights,
  selection: Selection,
  own: () => string = () => '',
): Scope {
  const read = rights.read ?? false;
  const { filter, where, order, walk, name } = selection;
  const readTest = acceptsKey(read);
  const prefixes = Array.isArray(read) ? [...(read as readonly string[])].sort() : [];
  const isSelected = filter !== undefined || where !== undefined || walk !== undefined;
  const named = JSON.stringify([
    prefix,
    typeof read === 'boolean' ? read : prefixes,
    typeof read === 'function' && (rights.scope === undefined ? `${own()}.${idOf(read)}` : true),
    rights.scope ?? '',
    // Nobody can tell what the functions of another publication would let through.
    isSelected && [name ?? '', name === undefined ? own() : '', !!filter, !!where, walk ?? ''],
  ]);
  const everything = read === true && prefix === '' && filter === undefined;
  const ranges = rangesOf(prefix, read);
  return {
    id: fingerprint(named),
    shareId: `${named}#${typeof read === 'function' ? idOf(read) : 0}`,
    accepts: everything
      ? (key) => key >= FIRST_USER_KEY
      : (key) =>
          key >= FIRST_USER_KEY &&
          key.startsWith(prefix) &&
          readTest(key) &&
          (filter === undefined || filter(key) === true),
    ...(ranges !== undefined && { prefixes: ranges }),
    ...(where !== undefined && { holds: where }),
    ...(order !== undefined && { order }),
  };
}

/** The prefixes that keys of a scope begin with, none within another; `undefined` for the whole store. */
function rangesOf(prefix: string, read: KeyRights): readonly string[] | undefined {
  const granted = Array.isArray(read) ? (read as readonly string[]) : read === false ? [] : [''];
  const narrow = granted
    .filter((one) => one.startsWith(prefix) || prefix.startsWith(one))
    .map((one) => (one.length > prefix.length ? one : prefix))
    .sort();
  if (narrow.some((one) => one === '' || !one.isWellFormed())) return undefined;
  // Sorted, so that whatever covers a prefix stands before it.
  const apart: string[] = [];
  for (const one of narrow) {
    const last = apart.at(-1);
    if (last === undefined || !one.startsWith(last)) apart.push(one);
  }
  return apart;
}

/** A test of the application as one that says whose fault it is when it fails, or gives no answer. */
export function blamed<A extends { readonly key: string } | string>(
  what: string,
  accepts: (argument: A) => boolean,
): (argument: A) => boolean {
  return (argument) => {
    try {
      const answer: unknown = accepts(argument);
      // A promise would count as yes or as no, and neither is what it says.
      if (typeof answer === 'boolean') return answer;
      throw new TypeError(`it gave ${show(answer)}; expected true or false`);
    } catch (cause) {
      throw blame(what, typeof argument === 'string' ? argument : argument.key, cause);
    }
  };
}

/** The error for a function of the application that failed. */
export function blame(what: string, key: string, cause: unknown): StrataError {
  // Damage of the store, met by the function as it looked at the value.
  if (isStrataError(cause) && cause.code === 'corrupt') return cause;
  const message = `publish: ${what} failed for ${JSON.stringify(key)}`;
  return new StrataError('unavailable', message, { operation: 'publish', key, cause });
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
