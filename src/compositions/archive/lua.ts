/*
 * The scripts of the protocol (docs/decisions/0025-archive-protocol.md). In each of them whatever
 * Redis may refuse for want of memory comes before whatever removes something. KEYS are what begins
 * the archive's own keys, and then the user's keys that the step is about: `keys` here.
 */

const PRELUDE = `
local ns = KEYS[1]
local keys = {}
for i = 2, #KEYS do keys[i - 1] = KEYS[i] end
local CLOCK, DUE, MARKS, EVICTED = ns..'clock', ns..'due', ns..'marks', ns..'evicted'
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(n) return string.format('%.0f', n) end
-- Due at once, also when the clock is set back a little.
local atOnce = int(now - 1000)
local function recordOf(key)
  local hex = redis.sha1hex(key)
  local id = string.gsub(string.sub(hex, 1, 32), '..', function(h) return string.char(tonumber(h, 16)) end)
  return EVICTED..':'..(tonumber(string.sub(hex, 33, 35), 16)), id
end
local function evictedAs(key)
  local bucket, id = recordOf(key)
  return redis.call('HGET', bucket, id)
end
local function dropRecord(key)
  local bucket, id = recordOf(key)
  if redis.call('HDEL', bucket, id) == 0 then return false end
  redis.call('DECR', EVICTED)
  return true
end
local function markOf(key)
  local raw = redis.call('HGET', MARKS, key)
  if not raw then return nil end
  local gen, first, tries, code = string.match(raw, '^(%d+):(%d+):(%d+):(.*)$')
  return {gen = gen, first = first, tries = tonumber(tries), code = code}
end
local function keepMark(key, m)
  redis.call('HSET', MARKS, key, m.gen..':'..m.first..':'..m.tries..':'..m.code)
end
local function mark(key)
  local m = markOf(key) or {first = int(now), tries = 0, code = ''}
  m.gen = int(redis.call('INCR', CLOCK))
  keepMark(key, m)
  redis.call('ZADD', DUE, 'NX', atOnce, key)
  return m
end
local function isCurrent(key, gen)
  local m = markOf(key)
  return m ~= nil and m.gen == gen, m
end
`;

/** Gives the places, from 1, of keys that do not exist. */
const MARK = `
local missing = {}
for i, key in ipairs(keys) do
  if redis.call('EXISTS', key) == 1 then
    mark(key)
    dropRecord(key)
  else
    missing[#missing + 1] = i
  end
end
return missing`;

/** ARGV: lease in ms, most keys, most bytes. With keys, takes those that are marked, due or not. */
const TAKE = `
local chosen = {}
for _, key in ipairs(keys) do
  if redis.call('HEXISTS', MARKS, key) == 1 then chosen[#chosen + 1] = key end
end
if #keys == 0 then
  chosen = redis.call('ZRANGEBYSCORE', DUE, '-inf', int(now), 'LIMIT', 0, ARGV[2])
end
local taken, bytes = {}, 0
for _, key in ipairs(chosen) do
  if bytes > tonumber(ARGV[3]) then break end
  local m = mark(key)
  redis.call('ZADD', DUE, 'XX', int(now + tonumber(ARGV[1])), key)
  local item = {key, m.gen, tostring(m.tries)}
  local payload = redis.pcall('DUMP', key)
  if type(payload) == 'table' then
    item[4], item[5] = 'error', payload.err
  elseif payload then
    bytes = bytes + #payload
    dropRecord(key)
    item[4], item[5], item[6] = 'value', payload, redis.sha1hex(payload)
    item[7] = int(math.max(0, redis.call('PEXPIRETIME', key)))
    item[8] = redis.call('TYPE', key).ok
  else
    item[4] = evictedAs(key) and 'evicted' or 'absent'
  end
  taken[#taken + 1] = item
end
return taken`;

/** ARGV: generation, delay in ms until a key that was marked meanwhile is due again. */
const SETTLE = `
local key = keys[1]
if isCurrent(key, ARGV[1]) then
  redis.call('HDEL', MARKS, key)
  redis.call('ZREM', DUE, key)
  return 1
end
redis.call('ZADD', DUE, 'XX', 'LT', int(now + tonumber(ARGV[2])), key)
return 0`;

/** ARGV: generation, delay in ms, code. */
const FAIL = `
local key = keys[1]
local current, m = isCurrent(key, ARGV[1])
if not current then
  redis.call('ZADD', DUE, 'XX', 'LT', int(now + tonumber(ARGV[2])), key)
  return 0
end
m.tries, m.code = m.tries + 1, ARGV[3]
keepMark(key, m)
redis.call('ZADD', DUE, 'XX', int(now + tonumber(ARGV[2])), key)
return 1`;

/** ARGV: generation, generation found in the cold store. Raises the clock where it went back. */
const RAISE = `
if not isCurrent(keys[1], ARGV[1]) then return 0 end
if tonumber(redis.call('GET', CLOCK) or '0') < tonumber(ARGV[2]) then
  redis.call('SET', CLOCK, ARGV[2])
end
redis.call('ZADD', DUE, 'XX', atOnce, keys[1])
return 1`;

/** Gives for each key: 1 (there, touched), 0 (deleted), or the generation of an evicted one as a string. */
const PRESENCE = `
local found = {}
for i, key in ipairs(keys) do
  local there = redis.call('TOUCH', key) == 1
  local gen = evictedAs(key)
  if there and gen then
    mark(key)
    dropRecord(key)
  end
  found[i] = there and 1 or gen or 0
end
return found`;

/** ARGV: generation recorded before the fetch, expiry or 0, payload. */
const RESTORE = `
local key, expiresAt = keys[1], tonumber(ARGV[2])
local gen = evictedAs(key)
if redis.call('EXISTS', key) == 1 then
  if gen then
    mark(key)
    dropRecord(key)
  end
  return 'present'
end
if not gen then return 'deleted' end
if gen ~= ARGV[1] then return 'moved' end
if expiresAt > 0 and expiresAt <= now then
  mark(key)
  dropRecord(key)
  return 'deleted'
end
redis.call('RESTORE', key, ARGV[2], ARGV[3], 'ABSTTL')
dropRecord(key)
return 'restored'`;

/**
 * ARGV: least idle time in ms, lease in ms. Marks the key under a lease, so that nothing but
 * what marks or takes it again can change its cold object. Gives the mark's generation, or why not.
 */
const BEGIN_EVICT = `
local key = keys[1]
if redis.call('HEXISTS', MARKS, key) == 1 then return 'dirty' end
if redis.call('EXISTS', key) == 0 then return evictedAs(key) and 'evicted' or 'absent' end
if redis.call('OBJECT', 'IDLETIME', key) * 1000 < tonumber(ARGV[1]) then return 'in-use' end
local m = mark(key)
redis.call('ZADD', DUE, int(now + tonumber(ARGV[2])), key)
return m.gen`;

/** ARGV: generation of that mark, least idle time in ms; generation, digest and expiry of the cold object. */
const EVICT = `
local key = keys[1]
if not isCurrent(key, ARGV[1]) then
  redis.call('ZADD', DUE, 'XX', 'LT', atOnce, key)
  return 'dirty'
end
local function unmark()
  redis.call('HDEL', MARKS, key)
  redis.call('ZREM', DUE, key)
end
local there = redis.call('EXISTS', key) == 1
local idleMs = there and redis.call('OBJECT', 'IDLETIME', key) * 1000
if not there or int(math.max(0, redis.call('PEXPIRETIME', key))) ~= ARGV[5]
  or redis.sha1hex(redis.call('DUMP', key)) ~= ARGV[4] then
  redis.call('ZADD', DUE, atOnce, key)
  return there and 'dirty' or 'absent'
end
if idleMs < tonumber(ARGV[2]) then
  unmark()
  return 'in-use'
end
local bucket, id = recordOf(key)
if redis.call('HSET', bucket, id, ARGV[3]) == 1 then redis.call('INCR', EVICTED) end
redis.call('UNLINK', key)
unmark()
return 'evicted'`;

/** ARGV: least idle time in ms. Gives the places, from 1, of keys that were idle so long and are not marked. */
const IDLE = `
local idle = {}
for i, key in ipairs(keys) do
  local seconds = redis.call('HEXISTS', MARKS, key) == 0 and redis.call('OBJECT', 'IDLETIME', key)
  if seconds and seconds * 1000 >= tonumber(ARGV[1]) then idle[#idle + 1] = i end
end
return idle`;

/** Gives how many of the keys were there or evicted. */
const FORGET = `
local known = 0
for _, key in ipairs(keys) do
  mark(key)
  local there = redis.call('UNLINK', key) == 1
  local evicted = dropRecord(key)
  if there or evicted then known = known + 1 end
end
return known`;

const STATS = `
local oldest = 0
local marks = redis.call('ZCARD', DUE)
local first = redis.call('ZRANGE', DUE, 0, 999)
for _, key in ipairs(first) do
  local m = markOf(key)
  if m then oldest = math.max(oldest, now - tonumber(m.first)) end
end
return {marks, int(oldest), redis.call('GET', EVICTED) or '0'}`;

export type ScriptName =
  | 'mark'
  | 'take'
  | 'settle'
  | 'fail'
  | 'raise'
  | 'presence'
  | 'restore'
  | 'beginEvict'
  | 'evict'
  | 'idle'
  | 'forget'
  | 'stats';

const SCRIPTS: Readonly<Record<ScriptName, string>> = {
  mark: MARK,
  take: TAKE,
  settle: SETTLE,
  fail: FAIL,
  raise: RAISE,
  presence: PRESENCE,
  restore: RESTORE,
  beginEvict: BEGIN_EVICT,
  evict: EVICT,
  idle: IDLE,
  forget: FORGET,
  stats: STATS,
};

/** Every script with what they share. */
export const SOURCES: ReadonlyMap<ScriptName, string> = new Map(
  Object.entries(SCRIPTS).map(([name, source]) => [name as ScriptName, PRELUDE + source]),
);
