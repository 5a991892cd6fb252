import type { RedisWord } from '../../drivers/redis/port.ts';
import { invalidArgument } from '../../store/errors.ts';
import { SERVER_PRELUDE } from './lua-prelude.ts';

/** What is used of a transaction of ioredis: `client.multi()`. */
export interface IoRedisTransaction {
  callBuffer(...args: never): unknown;
  exec(...args: never): unknown;
}

/** What is used of a transaction of node-redis: `client.multi()`. */
export interface NodeRedisTransaction {
  addCommand(args: never): unknown;
  execAsPipeline(...args: never): unknown;
}

/** A transaction that the caller has begun and will end. */
export type RedisTransaction = IoRedisTransaction | NodeRedisTransaction;

/**
 * Marks keys whether they exist or not: they may be written after that. Gives the places, from 1, of
 * those that are evicted and not there. All words are arguments and none keys, which clients would
 * put their own prefix before. It is not refused for want of memory: the writes beside it may not be.
 */
const SOURCE: string = `#!lua flags=allow-oom,allow-cross-slot-keys
local KEYS = ARGV${SERVER_PRELUDE}
local away = {}
for i, key in ipairs(keys) do
  mark(key)
  if redis.call('EXISTS', key) == 1 then
    dropRecord(key)
  elseif evictedAs(key) then
    away[#away + 1] = i
  end
end
return away`;

/** Adds the marking of keys to a transaction. The source goes with it: a server that had lost it would leave the marks out. */
export function markWithin(
  transaction: RedisTransaction,
  own: string,
  keys: readonly RedisWord[],
): void {
  const words: RedisWord[] = ['EVAL', SOURCE, '0', own, ...keys];
  // A pipeline that is no transaction counts none.
  const { isPipeline, call, _transactions, addCommand, execAsPipeline } = (transaction ??
    {}) as unknown as Partial<Record<string, unknown>>;
  const [command, ...args] = words;
  if (isPipeline === true && typeof call === 'function' && _transactions !== 0)
    call.call(transaction, command, args);
  else if (typeof addCommand === 'function' && typeof execAsPipeline === 'function')
    addCommand.call(transaction, words);
  else
    throw invalidArgument(
      'dirtyAtomically',
      'the transaction',
      transaction,
      'what multi() of a client of ioredis or node-redis gave, before its exec()',
    );
}
