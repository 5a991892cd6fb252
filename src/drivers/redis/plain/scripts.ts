import { type Script, script } from '../script.ts';

/*
 * Reads strings with their expiry: for each of KEYS its value and when it expires, in ms since
 * 1970 or -1; nil and -2 where there is none; nil and -3 where there is no string.
 */
export const READ: Script = script(`local out = {}
for i, key in ipairs(KEYS) do
  local value = redis.pcall('GET', key)
  local expiry
  if type(value) == 'table' then
    if not string.find(value.err, 'WRONGTYPE', 1, true) then return value end
    value, expiry = false, -3
  else
    expiry = redis.call('PEXPIRETIME', key)
  end
  out[2 * i - 1], out[2 * i] = value, expiry
end
return out
`);

/** Tells which of KEYS are strings: 1 or 0 for each. */
export const PRESENT: Script = script(`local out = {}
for i, key in ipairs(KEYS) do
  out[i] = redis.call('TYPE', key).ok == 'string' and 1 or 0
end
return out
`);

/** First word of the reply of `WRITE`: all was done, a condition failed, a key holds no string. */
export const WROTE = { done: 1, conflict: 0, alien: -1 } as const;

/*
 * Applies writes in their order, all or none. One of KEYS and four of ARGV each: 's' or 'd', 'a'
 * where it is to be absent, when it expires or '', the value. Replies with a word of WROTE, and
 * 1 or 0 for each write, as its key existed; or with the place of the write that stood in the way.
 * Nothing is written before everything was looked at, and rights with it: no write fails after another.
 */
export const WRITE: Script = script(`local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local there, reply, sets, deletes = {}, { ${WROTE.done} }, nil, nil
for i, key in ipairs(KEYS) do
  local at = 4 * i
  if there[key] == nil then
    local kind = redis.call('TYPE', key).ok
    if kind ~= 'none' and kind ~= 'string' then return { ${WROTE.alien}, i, kind } end
    there[key] = kind == 'string'
  end
  if ARGV[at - 2] == 'a' and there[key] then return { ${WROTE.conflict}, i } end
  reply[i + 1] = there[key] and 1 or 0
  local stays = ARGV[at - 3] == 's' and (ARGV[at - 1] == '' or tonumber(ARGV[at - 1]) > now)
  there[key] = stays
  if stays then sets = key else deletes = key end
end
if sets and not redis.acl_check_cmd('SET', sets, 'a', 'PXAT', 1) then
  return redis.error_reply('NOPERM the user may not run set')
end
if deletes and not redis.acl_check_cmd('DEL', deletes) then
  return redis.error_reply('NOPERM the user may not run del')
end
for i, key in ipairs(KEYS) do
  local at = 4 * i
  local expiry = ARGV[at - 1]
  if ARGV[at - 3] == 'd' or (expiry ~= '' and tonumber(expiry) <= now) then redis.call('DEL', key)
  elseif expiry == '' then redis.call('SET', key, ARGV[at])
  else redis.call('SET', key, ARGV[at], 'PXAT', expiry) end
end
return reply
`);

/** All of them. */
export const PLAIN_SCRIPTS: readonly Script[] = [READ, PRESENT, WRITE];
