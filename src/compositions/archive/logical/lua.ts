/*
 * Parts of scripts that read and make values by ordinary commands. They follow the prelude of
 * `../lua.ts`.
 */

/**
 * `addLogical(item, key, which, most)` adds to what `take` gives of a key, as its ninth part, what
 * `toLogical` takes: the content and the times of fields. It does not where only DUMP is wanted,
 * for a type that has no logical form, for a value beyond so many bytes where both are wanted, and
 * where the server refuses to tell. A string is there once: its logical form says all.
 */
export const READ_LOGICAL = `
local READERS = {
  string = {'GET'}, list = {'LRANGE', '0', '-1'}, set = {'SMEMBERS'}, hash = {'HGETALL'},
  zset = {'ZRANGE', '0', '-1', 'WITHSCORES'}
}
-- Redis since 7.4 and some of its kin know of fields that expire.
local MAY_HAVE_TIMES = redis.REDIS_VERSION_NUM >= 0x70400 or redis.SERVER_NAME ~= nil
local function fieldTimes(key, flat)
  if not MAY_HAVE_TIMES then return {} end
  local times, any = {}, false
  for at = 1, #flat, 2000 do
    local fields = {}
    for i = at, math.min(at + 1999, #flat), 2 do fields[#fields + 1] = flat[i] end
    local found = redis.pcall('HPEXPIRETIME', key, 'FIELDS', #fields, unpack(fields))
    if found.err then return string.find(found.err, 'Unknown') and {} end
    for _, time in ipairs(found) do
      times[#times + 1] = time
      any = any or time > 0
    end
  end
  return any and times or {}
end
local function logicalOf(key, kind)
  local words = READERS[kind]
  local found
  if words then
    found = redis.pcall(words[1], key, unpack(words, 2))
  elseif kind == 'stream' then
    found = redis.pcall('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0')
  end
  if not found or found.err then return false end
  local times = {}
  if kind == 'hash' then times = fieldTimes(key, found) end
  return times and {found, times}
end
local function addLogical(item, key, which, most)
  local payload, kind = item[5], item[8]
  if which == 'dump' then return end
  if which == 'both' and (#payload > most or (kind == 'string' and redis.call('STRLEN', key) > most)) then
    return
  end
  local logical = logicalOf(key, kind)
  if not logical then return end
  item[9] = logical
  if which == 'logical' or kind == 'string' then item[5] = '' end
end
`;

/**
 * `apply(staging, at)` runs the commands that ARGV holds from a place on: for each the number of its
 * words before the key and after it, and the words. What fails leaves nothing.
 */
const APPLY = `
local function stagingKey(name) return ns..'staging:'..name end
local function apply(staging, at)
  while at <= #ARGV do
    local before, after = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    local words = {}
    for i = at + 2, at + 1 + before do words[#words + 1] = ARGV[i] end
    words[#words + 1] = staging
    for i = at + 2 + before, at + 1 + before + after do words[#words + 1] = ARGV[i] end
    local done = redis.pcall(unpack(words))
    if type(done) == 'table' and done.err then
      redis.call('UNLINK', staging)
      return done
    end
    at = at + 2 + before + after
  end
end
`;

/** ARGV: name of what is staged, time that it waits for more, 1 for the first part, commands. Gives its key; nothing where what was staged before is gone. */
export const STAGE: string = `${APPLY}
local staging = stagingKey(ARGV[1])
if ARGV[3] ~= '1' and redis.call('EXISTS', staging) == 0 then return false end
local failed = apply(staging, 4)
if failed then return failed end
redis.call('PEXPIRE', staging, ARGV[2])
return staging`;

/**
 * ARGV: generation recorded before the fetch, expiry or 0, name of what is staged ('' for a value of
 * one command, which makes the key itself), 1 where parts of it were staged before, last time of a
 * hash's fields or 0, commands.
 */
export const RESTORE_LOGICAL: string = `${APPLY}
local key, expiresAt, isWhole = keys[1], tonumber(ARGV[2]), ARGV[3] == ''
local made = isWhole and key or stagingKey(ARGV[3])
local standing = standingOf(key, ARGV[1], expiresAt)
if standing then
  if not isWhole then redis.call('UNLINK', made) end
  return standing
end
if ARGV[4] ~= '1' or redis.call('EXISTS', made) == 1 then
  local failed = apply(made, 6)
  if failed then return failed end
end
if redis.call('EXISTS', made) == 0 then
  local last = tonumber(ARGV[5])
  if last == 0 or last > now then return 'lost' end
  mark(key)
  dropRecord(key)
  return 'deleted'
end
if expiresAt > 0 then redis.call('PEXPIREAT', made, ARGV[2]) end
if not isWhole then
  if expiresAt == 0 then redis.call('PERSIST', made) end
  redis.call('RENAME', made, key)
end
dropRecord(key)
return 'restored'`;
