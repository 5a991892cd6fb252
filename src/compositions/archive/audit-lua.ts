/*
 * Scripts that compare keys with the cold store, and record evicted keys anew. They follow the
 * prelude of the others.
 */
import { READ_LOGICAL } from './logical/lua.ts';

/**
 * Gives for each key: whether it is there, whether it is marked, generation of its record or '',
 * whether it is what others keep for themselves; digest, expiry.
 */
export const INSPECT = `
local found = {}
for i, key in ipairs(keys) do
  local there, marked = redis.call('EXISTS', key), redis.call('HEXISTS', MARKS, key)
  local item = {there, marked, evictedAs(key) or '', 0}
  if there == 1 and marked == 0 and isOfAnother(key) then
    item[4] = 1
  elseif there == 1 and marked == 0 then
    item[5] = redis.sha1hex(redis.call('DUMP', key))
    item[6] = int(math.max(0, redis.call('PEXPIRETIME', key)))
  end
  found[i] = item
end
return found`;

/** The value of a key that is there and not marked, as `take` gives it. */
export const VALUE: string = `${READ_LOGICAL}
local key = keys[1]
local payload = redis.call('HEXISTS', MARKS, key) == 0 and redis.call('DUMP', key)
if not payload then return false end
local item = {key, '0', '0', 'value', payload, redis.sha1hex(payload)}
item[7] = int(math.max(0, redis.call('PEXPIRETIME', key)))
item[8] = redis.call('TYPE', key).ok
addLogical(item, key, 'logical', 0)
return item`;

/** Gives for each key what it was: only one that is neither there nor marked nor recorded is claimed. */
export const CLAIM = `
local found = {}
for i, key in ipairs(keys) do
  local gen = evictedAs(key)
  if redis.call('EXISTS', key) == 1 then
    found[i] = 'hot'
  elseif redis.call('HEXISTS', MARKS, key) == 1 then
    found[i] = 'marked'
  elseif gen and gen ~= '0' then
    found[i] = 'evicted'
  else
    local bucket, id = recordOf(key)
    if redis.call('HSET', bucket, id, '0') == 1 then countRecord(1) end
    found[i] = 'claimed'
  end
end
return found`;

/** ARGV: generation and expiry of the cold object. */
export const CONFIRM = `
local key, gen, expiresAt = keys[1], ARGV[1], tonumber(ARGV[2])
if tonumber(clockNow()) < tonumber(gen) then setClock(gen) end
if evictedAs(key) ~= '0' then return 'moved' end
-- Written since, which must not leave the record of what was before.
if redis.call('EXISTS', key) == 1 then
  mark(key)
  dropRecord(key)
  return 'moved'
end
if expiresAt > 0 and expiresAt <= now then
  dropRecord(key)
  return 'gone'
end
local bucket, id = recordOf(key)
redis.call('HSET', bucket, id, gen)
return 'recorded'`;
