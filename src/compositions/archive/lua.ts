import { CLAIM, CONFIRM, INSPECT, VALUE } from './audit-lua.ts';
import { READ_LOGICAL, RESTORE_LOGICAL, STAGE } from './logical/lua.ts';
import { SERVER_PRELUDE, SLOT_PRELUDE } from './lua-prelude.ts';

/*
 * The scripts of the protocol (docs/decisions/0025-archive-protocol.md). In each of them whatever
 * Redis may refuse for want of memory comes before whatever removes something, and what marks a key
 * before whatever else changes something. `keys` are the user's keys that a step is about.
 */

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

/** ARGV: lease in ms, most keys, most bytes, what is read of values, most bytes that are read both ways. With keys, takes those that are marked, due or not. */
const TAKE = `${READ_LOGICAL}
local chosen, most = {}, tonumber(ARGV[2])
for _, key in ipairs(keys) do
  local m = markOf(key)
  if m and (not onlyDue or tonumber(redis.call('ZSCORE', laneOf(m), key) or now) <= now) then
    chosen[#chosen + 1] = key
  end
end
if #keys == 0 then
  local function due(lane)
    return redis.call('ZRANGEBYSCORE', lane, '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, most)
  end
  -- By turns; chance says who begins, so that with one at a time neither waits for ever.
  local a, b = due(DUE), due(RETRY)
  if t[2] % 2 == 0 then a, b = b, a end
  for i = 1, math.max(#a, #b), 2 do
    if a[i] and #chosen < most then chosen[#chosen + 1] = a[i] end
    if b[i] and #chosen < most then chosen[#chosen + 1] = b[i] end
  end
end
local taken, bytes = {}, 0
for _, key in ipairs(chosen) do
  if bytes > tonumber(ARGV[3]) then break end
  local m = take(key, tonumber(ARGV[1]))
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
    addLogical(item, key, ARGV[4], tonumber(ARGV[5]))
  else
    item[4] = evictedAs(key) and 'evicted' or 'absent'
  end
  taken[#taken + 1] = item
end
return taken`;

/** ARGV: delay in ms until a key that was marked meanwhile is due again; for each key its generation, ms since it was taken. Gives for each 1 where its mark is gone. */
const SETTLE = `
local function settle(key, gen, sinceMs)
  local current, m = isCurrent(key, gen)
  if current then
    unmark(key)
    return 1
  end
  if m then
    -- What is marked still came after the key was read.
    m.first, m.tries, m.code = int(math.max(tonumber(m.first), now - tonumber(sinceMs))), 0, ''
    keepMark(key, m)
    local due = redis.call('ZSCORE', RETRY, key)
    if due then
      redis.call('ZREM', RETRY, key)
      redis.call('ZADD', DUE, due, key)
    end
    redis.call('ZADD', DUE, 'XX', 'LT', int(now + tonumber(ARGV[1])), key)
  end
  return 0
end
local settled = {}
for i, key in ipairs(keys) do settled[i] = settle(key, ARGV[2 * i], ARGV[2 * i + 1]) end
return settled`;

/** ARGV: generation, delay in ms, code, message. */
const FAIL = `
local key = keys[1]
local current, m = isCurrent(key, ARGV[1])
if not m then return 0 end
local due = now + tonumber(ARGV[2])
-- Marked again meanwhile: no later than it would be.
if not current then due = math.min(due, tonumber(redis.call('ZSCORE', laneOf(m), key) or due)) end
m.tries, m.code = m.tries + 1, ARGV[3]..' '..ARGV[4]
keepMark(key, m)
redis.call('ZREM', DUE, key)
redis.call('ZADD', RETRY, int(due), key)
return current and 1 or 0`;

/** ARGV: most keys. Gives keys whose last try failed, next tries first: key, first mark, tries, next try, code and message. */
const FAILED = `
local failed = {}
local found = redis.call('ZRANGE', RETRY, 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
for i = 1, #found, 2 do
  local m = markOf(found[i])
  if m then failed[#failed + 1] = {found[i], m.first, int(m.tries), found[i + 1], m.code} end
end
return failed`;

/** ARGV: name, ms. Whether nobody took this turn within that time; then the caller has it. */
const TURN = `
return redis.call('SET', ns..'turn:'..ARGV[1], '1', 'NX', 'PX', ARGV[2]) and 1 or 0`;

/** ARGV: generation, generation found in the cold store. Raises the clock where it went back. */
const RAISE = `
-- Whoever marked the key meanwhile did it by the clock that went back, too.
if tonumber(clockNow()) < tonumber(ARGV[2]) then setClock(ARGV[2]) end
local _, m = isCurrent(keys[1], ARGV[1])
if not m then return 0 end
redis.call('ZADD', laneOf(m), 'XX', atOnce, keys[1])
return 1`;

/**
 * ARGV: SHA-1s of the keys in one string, or '' to have them computed, which takes longer than all
 * else here. Gives for each key: 1 (there, touched), 0 (deleted), or the generation of an evicted
 * one as a string; in place of all that, where all are there and none is recorded, 1 when nothing
 * at all is recorded, else 2.
 */
const PRESENCE = `
local call, digests = redis.call, ARGV[1]
-- All at once, where all are there.
local all = #keys <= 1000 and call('TOUCH', unpack(keys)) == #keys
if all and recordCount() == '0' then return 1 end
local function recorded(i)
  if digests == '' then return evictedAs(keys[i]) end
  return call('HGET', recordBy(digests, 20 * (i - 1)))
end
local found, plain = {}, all
for i = 1, #keys do
  local gen = recorded(i)
  local there = all or call('TOUCH', keys[i]) == 1
  if there and gen then
    mark(keys[i])
    dropRecord(keys[i])
    plain = false
  end
  found[i] = there and 1 or gen or 0
end
return plain and 2 or found`;

/** ARGV: generation recorded before the fetch, expiry or 0, payload. */
const RESTORE = `
local key, expiresAt = keys[1], tonumber(ARGV[2])
local standing = standingOf(key, ARGV[1], expiresAt)
if standing then return standing end
redis.call('RESTORE', key, ARGV[2], ARGV[3], 'ABSTTL')
dropRecord(key)
return 'restored'`;

/**
 * ARGV: SHA-1s of the keys in one string; in JSON, for each key in one array, generation recorded
 * before the fetch, expiry or 0, 'dump' or 'string'; then for each what DUMP gave or the string.
 * Gives for each 1 where it was restored, else what became of it, or 'alone' where the value was
 * refused: then the key is as it was.
 */
const RESTORE_EACH = `
local call, digests, facts = redis.call, ARGV[1], cjson.decode(ARGV[2])
local function restore(i, key, value)
  local generation, expiry, form = facts[3 * i - 2], facts[3 * i - 1], facts[3 * i]
  local expiresAt = tonumber(expiry)
  local bucket, id = recordBy(digests, 20 * (i - 1))
  local isOver = expiresAt > 0 and expiresAt <= now
  if isOver or call('HGET', bucket, id) ~= generation or call('EXISTS', key) == 1 then
    return standingOf(key, generation, expiresAt)
  end
  local done
  if form == 'dump' then done = redis.pcall('RESTORE', key, expiry, value, 'ABSTTL')
  else done = redis.pcall('SET', key, value) end
  if type(done) == 'table' and done.err then return 'alone' end
  if expiresAt > 0 then call('PEXPIREAT', key, expiry) end
  call('HDEL', bucket, id)
  countRecord(-1)
  return 1
end
local outcomes = {}
for i, key in ipairs(keys) do outcomes[i] = restore(i, key, ARGV[i + 2]) end
return outcomes`;

/**
 * ARGV: least idle time in ms, lease in ms. Marks the key under a lease, so that nothing but
 * what marks or takes it again can change its cold object. Gives the mark's generation, or why not.
 */
const BEGIN_EVICT = `
local key = keys[1]
if redis.call('HEXISTS', MARKS, key) == 1 then return 'dirty' end
if redis.call('EXISTS', key) == 0 then return evictedAs(key) and 'evicted' or 'absent' end
if isOfAnother(key) or redis.call('OBJECT', 'IDLETIME', key) * 1000 < tonumber(ARGV[1]) then
  return 'in-use'
end
return take(key, tonumber(ARGV[2])).gen`;

/** ARGV: generation of that mark, least idle time in ms; generation, digest and expiry of the cold object. */
const EVICT = `
local key = keys[1]
local current, m = isCurrent(key, ARGV[1])
if not current then
  if m then redis.call('ZADD', laneOf(m), 'XX', 'LT', atOnce, key) end
  return 'dirty'
end
local there = redis.call('EXISTS', key) == 1
local idleMs = there and redis.call('OBJECT', 'IDLETIME', key) * 1000
if not there or int(math.max(0, redis.call('PEXPIRETIME', key))) ~= ARGV[5]
  or redis.sha1hex(redis.call('DUMP', key)) ~= ARGV[4] then
  redis.call('ZADD', DUE, atOnce, key)
  return there and 'dirty' or 'absent'
end
if idleMs < tonumber(ARGV[2]) then
  unmark(key)
  return 'in-use'
end
keepRecord(key, ARGV[3])
redis.call('UNLINK', key)
unmark(key)
return 'evicted'`;

/** ARGV: least idle time in ms. Gives the places, from 1, of keys that were idle so long and are not marked, nor another archive's own. */
const IDLE = `
local idle = {}
for i, key in ipairs(keys) do
  local seconds = redis.call('HEXISTS', MARKS, key) == 0 and redis.call('OBJECT', 'IDLETIME', key)
  if seconds and seconds * 1000 >= tonumber(ARGV[1]) and not isOfAnother(key) then
    idle[#idle + 1] = i
  end
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

/** Gives: marks, age of the oldest, evicted keys, marks whose last try failed. */
const STATS = `
local oldest = 0
for _, lane in ipairs({DUE, RETRY}) do
  for _, key in ipairs(redis.call('ZRANGE', lane, 0, 999)) do
    local m = markOf(key)
    if m then oldest = math.max(oldest, now - tonumber(m.first)) end
  end
end
return {redis.call('HLEN', MARKS), int(oldest), recordCount(), redis.call('ZCARD', RETRY)}`;

/** ARGV: most keys. Gives the number of marks, the clock, and keys that are due. */
const READY = `
local ready = {redis.call('HLEN', MARKS), clockNow()}
for _, lane in ipairs({DUE, RETRY}) do
  local most = math.max(1, math.floor(tonumber(ARGV[1]) / 2))
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', lane, '-inf', int(now), 'LIMIT', 0, most)) do
    ready[#ready + 1] = key
  end
end
return ready`;

/** ARGV: clock under which the slot was listed. Whether it is listed now; not when the clock has gone on since. */
const LIST = `
if redis.call('HEXISTS', INDEX, 'listed') == 1 then return 1 end
if clockNow() ~= ARGV[1] then return 0 end
redis.call('HSET', INDEX, 'listed', '1')
return 1`;

/** Gives the clock at which the slot was no longer listed, or -1 when it has marks. */
const UNLIST = `
if redis.call('HLEN', MARKS) > 0 then return -1 end
local clock = clockNow()
redis.call('HDEL', INDEX, 'listed')
setClock(int(tonumber(clock) + 1))
return tonumber(clock)`;

export type ScriptName =
  | 'mark'
  | 'take'
  | 'takeDue'
  | 'settle'
  | 'fail'
  | 'failed'
  | 'turn'
  | 'raise'
  | 'presence'
  | 'restore'
  | 'restoreEach'
  | 'stage'
  | 'restoreLogical'
  | 'inspect'
  | 'value'
  | 'claim'
  | 'confirm'
  | 'beginEvict'
  | 'evict'
  | 'idle'
  | 'forget'
  | 'stats';

/** Scripts that only a cluster needs. */
export type SlotScriptName = 'ready' | 'list' | 'unlist';

const SCRIPTS: Readonly<Record<ScriptName, string>> = {
  mark: MARK,
  take: `local onlyDue = false
${TAKE}`,
  takeDue: `local onlyDue = true
${TAKE}`,
  settle: SETTLE,
  fail: FAIL,
  failed: FAILED,
  turn: TURN,
  raise: RAISE,
  presence: PRESENCE,
  restore: RESTORE,
  restoreEach: RESTORE_EACH,
  stage: STAGE,
  restoreLogical: RESTORE_LOGICAL,
  inspect: INSPECT,
  value: VALUE,
  claim: CLAIM,
  confirm: CONFIRM,
  beginEvict: BEGIN_EVICT,
  evict: EVICT,
  idle: IDLE,
  forget: FORGET,
  stats: STATS,
};

/** What frees memory is not refused for want of it. */
const ALSO_WITHOUT_ROOM: ReadonlySet<ScriptName> = new Set([
  'take',
  'takeDue',
  'settle',
  'fail',
  'raise',
  'beginEvict',
  'evict',
  'forget',
  'turn',
]);
const HEADER = '#!lua flags=allow-oom,allow-cross-slot-keys\n';

/** Every script with what they share, for the keys of one server. */
export const SOURCES: ReadonlyMap<ScriptName, string> = new Map(
  (Object.entries(SCRIPTS) as [ScriptName, string][]).map(([name, source]) => [
    name,
    (ALSO_WITHOUT_ROOM.has(name) ? HEADER : '') + SERVER_PRELUDE + source,
  ]),
);

const SLOT_HEADER = '#!lua flags=allow-oom\n';

/** As SOURCES, for the keys of one slot of a cluster. */
export const SLOT_SOURCES: ReadonlyMap<ScriptName | SlotScriptName, string> = new Map(
  Object.entries({ ...SCRIPTS, ready: READY, list: LIST, unlist: UNLIST }).map(([name, source]) => [
    name as ScriptName | SlotScriptName,
    (ALSO_WITHOUT_ROOM.has(name as ScriptName) ? SLOT_HEADER : '') + SLOT_PRELUDE + source,
  ]),
);
