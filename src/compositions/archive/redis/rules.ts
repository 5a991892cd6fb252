/** What commands mean to an archive, beyond what the server tells of them. Pure. */
import { failure, type StrataError } from '../../../store/errors.ts';
import { canWait, isBlocking } from './blocking.ts';
import { type CommandInfo, type CommandTable, nameOf, type Words } from './command-table.ts';

const UNSEEN = 'it does not see keys that are evicted';
const WHOLE = 'it would take the records of evicted keys too';
const OTHER_DATABASE = 'an archive is of one database';
const BLOCKS = 'it waits, and it is not known what for';

/** Commands that are refused, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  KEYS: UNSEEN,
  SCAN: UNSEEN,
  RANDOMKEY: UNSEEN,
  DBSIZE: UNSEEN,
  FLUSHDB: WHOLE,
  FLUSHALL: WHOLE,
  SWAPDB: OTHER_DATABASE,
  SELECT: OTHER_DATABASE,
  RESET: OTHER_DATABASE,
  DEBUG: 'it goes around everything',
  WAIT: 'writes go over a connection of their own',
  WAITAOF: 'writes go over a connection of their own',
  'CLIENT|TRACKING': 'reads go over a connection of their own',
};

/** Commands that begin, guard or end transactions by themselves. */
const BY_HAND: ReadonlySet<string> = new Set(['MULTI', 'EXEC', 'DISCARD', 'WATCH', 'UNWATCH']);

/** Commands after which a key that was there still is. */
const KEEPING: ReadonlySet<string> = new Set(
  (
    'INCR DECR INCRBY DECRBY INCRBYFLOAT APPEND SETNX MSET MSETNX SETBIT SETRANGE ' +
    'HSET HSETNX HMSET HINCRBY HINCRBYFLOAT LPUSH RPUSH LPUSHX RPUSHX LSET LINSERT SADD ' +
    'ZADD ZINCRBY GEOADD XADD XGROUP PFADD PFCOUNT BITFIELD'
  ).split(' '),
);

/**
 * Whether the command gives all its keys new values, whatever they had: then nobody needs the old
 * ones. Not one that sets an expiry too: what expires at once would leave the old value recorded.
 */
export function replacesAll({ name }: CommandInfo, words: Words): boolean {
  if (name === 'SET') return words.length === 3;
  return name === 'MSET' && words.length % 2 === 1;
}

/** Whether the command deletes its keys, and counts those that were there. */
export const deletesAll = ({ name }: CommandInfo): boolean => name === 'DEL' || name === 'UNLINK';

/** Whether a key that was there before the command may be gone after it. */
export function mayRemove({ name }: CommandInfo, words: Words): boolean {
  if (name === 'SET') return words.length > 3;
  return !KEEPING.has(name.split('|')[0] as string);
}

/** Whether it reads keys whose names it finds in the data. */
function followsNames({ name }: CommandInfo, words: Words): boolean {
  if (name !== 'SORT' && name !== 'SORT_RO') return false;
  return words.some(
    (word, at) => /^(BY|GET)$/.test(nameOf(word)) && String(words[at + 1] ?? '').includes('*'),
  );
}

/** Why a command is refused, unless it is allowed by name. */
function whyRefused(info: CommandInfo, words: Words): string | undefined {
  const { name, flags } = info;
  const [family = name] = name.split('|');
  const reason = REFUSED[name] ?? REFUSED[family];
  if (reason !== undefined) return reason;
  if (isBlocking(info, words) && !canWait(info)) return BLOCKS;
  if (followsNames(info, words)) return 'it reads keys that it finds in the data';
  const isScript = flags.has('no_mandatory_keys') && /^(EVAL|FCALL)/.test(name);
  if (isScript && String(words[2]) === '0') return 'it names no keys, and may use any';
  return undefined;
}

/** The error of a command that is not made safe; `undefined` where it is, or was allowed by name. */
export function refusal(
  info: CommandInfo,
  words: Words,
  allowed: ReadonlySet<string>,
): StrataError | undefined {
  const { name } = info;
  if (BY_HAND.has(name))
    return failure(
      'unsupported',
      name,
      `${name} by itself; expected multi() and its exec(), watch() and unwatch() of the client`,
    );
  const [family = name] = name.split('|');
  const reason = whyRefused(info, words);
  if (reason === undefined || allowed.has(name) || allowed.has(family)) return undefined;
  return failure(
    'unsupported',
    name,
    `${name} is not safe with an archive: ${reason}; the option allow: ['${name}'] sends it as it is`,
  );
}

/** Refuses names of commands to allow that the server does not have: they would allow nothing. */
export function checkAllowed(allowed: ReadonlySet<string>, table: CommandTable): void {
  const unknown = [...allowed].filter((name) => !table.has(name));
  if (unknown.length === 0) return;
  const quoted = unknown.map((name) => `'${name}'`).join(', ');
  throw failure(
    'invalid-argument',
    'archivedRedis',
    `the option allow names ${quoted}, which the server has no command for; expected names of its commands, such as 'SCAN', those of subcommands as 'CLIENT|TRACKING'`,
  );
}

/**
 * Whether a command is sent as it is since the option `allow` names it: it would be refused else, or
 * waits for data.
 */
export function isLetThrough(
  info: CommandInfo,
  words: Words,
  allowed: ReadonlySet<string>,
): boolean {
  if (whyRefused(info, words) !== undefined) return true;
  return allowed.has(info.name) && isBlocking(info, words);
}
