/*
 * The scripts around a command (docs/decisions/0033-archived-redis.md). KEYS are what begins the
 * archive's own keys, and then the keys of the command.
 */
import { SERVER_MARKING, SERVER_RECORDS } from '../lua-prelude.ts';

/**
 * A script that Redis runs also when it is out of memory: what was written must not go without a
 * mark. Without what is there for people, since it is sent with every write.
 */
const script = (source: string): Buffer =>
  Buffer.from(`#!lua flags=allow-oom\n${source.replace(/^[ \t]*(--.*)?\n?/gm, '').trim()}`);

/**
 * Gives the places, from 1, of keys that are recorded as evicted. ARGV: 1 to make a transaction
 * fail then that watches the number of evicted keys, which is touched, and stays as it was.
 */
export const GUARD: Buffer = script(`${SERVER_RECORDS}
local away = {}
for i, key in ipairs(keys) do
  if evictedAs(key) then away[#away + 1] = i end
end
if #away > 0 and ARGV[1] == '1' then
  if redis.call('PEXPIRE', EVICTED, 600000) == 0 then redis.call('SET', EVICTED, '0') end
  redis.call('PERSIST', EVICTED)
end
return away`);

/**
 * ARGV: what to do. `before`: marks keys that are there. `after`, with a number: marks those too, and
 * drops the records of the first so many, which were overwritten. `del`, with the name of the command:
 * deletes keys, evicted ones too, and gives their number.
 */
export const MARKS: Buffer = script(`${SERVER_MARKING}
local function there(key) return redis.call('EXISTS', key) == 1 end
if ARGV[1] == 'before' then
  for _, key in ipairs(keys) do
    if there(key) then mark(key) end
  end
  return 0
end
if ARGV[1] == 'after' then
  local overwritten = tonumber(ARGV[2])
  for i, key in ipairs(keys) do
    if there(key) then
      mark(key)
      if i <= overwritten then dropRecord(key) end
    end
  end
  return 0
end
local found = {}
for _, key in ipairs(keys) do
  if there(key) or evictedAs(key) then
    mark(key)
    found[#found + 1] = key
  end
end
local known = 0
for _, key in ipairs(found) do
  local gone = redis.call(ARGV[2], key)
  local dropped = dropRecord(key)
  if gone == 1 or dropped then known = known + 1 end
end
return known`);
