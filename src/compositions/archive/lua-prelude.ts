import { KEY_NAMES } from '../../drivers/redis/lua/prelude.ts';

/*
 * What every script of the archive begins with: where the archive's own keys are, and what is done
 * with marks and records. `keys` are the user's keys that a step is about.
 */

const TIMES = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(n) return string.format('%.0f', n) end
-- Due at once, also when the clock is set back a little.
local atOnce = int(now - 1000)
`;

const IDS = `
local function idOf(key)
  local hex = redis.sha1hex(key)
  local function part(at) return tonumber(string.sub(hex, at, at + 7), 16) end
  return struct.pack('>I4I4I4I4', part(1), part(9), part(17), part(25)), hex
end
`;

/** One server. KEYS: what begins the archive's own keys, then the user's. */
const SERVER = `
local ns = KEYS[1]
local CLOCK, DUE, RETRY = ns..'clock', ns..'due', ns..'retry'
local MARKS, EVICTED = ns..'marks', ns..'evicted'
local keys = {}
for i = 2, #KEYS do keys[i - 1] = KEYS[i] end
local function tick() return int(redis.call('INCR', CLOCK)) end
local function clockNow() return redis.call('GET', CLOCK) or '0' end
local function setClock(n) redis.call('SET', CLOCK, n) end
local function recordOf(key)
  local id, hex = idOf(key)
  return EVICTED..':'..(tonumber(string.sub(hex, 33, 35), 16)), id
end
-- As recordOf, for the SHA-1 that begins after so many bytes.
local function recordBy(digests, at)
  local high, low = string.byte(digests, at + 17, at + 18)
  return EVICTED..':'..(high * 16 + math.floor(low / 16)), string.sub(digests, at + 1, at + 16)
end
local function countRecord(by) redis.call('INCRBY', EVICTED, by) end
local function recordCount() return redis.call('GET', EVICTED) or '0' end
`;

/**
 * One slot of a cluster. KEYS: the archive's own of this slot, all of them so that a slot that is
 * moving away is refused as a whole, then the user's. Marks are made only in a slot that is listed
 * as one that may have some.
 */
const SLOT = `
local INDEX, MARKS, DUE, RETRY = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ns = string.sub(INDEX, 1, -6)
local keys = {}
for i = 5, #KEYS do keys[i - 4] = KEYS[i] end
local function clockNow() return redis.call('HGET', INDEX, 'clock') or '0' end
-- The first of all changes: a slot that is not listed is left as it is.
local function tick()
  if redis.call('HEXISTS', INDEX, 'listed') == 0 then error({err = 'UNLISTED '..clockNow()}) end
  return int(redis.call('HINCRBY', INDEX, 'clock', 1))
end
local function setClock(n) redis.call('HSET', INDEX, 'clock', n) end
local function recordOf(key) return INDEX, (idOf(key)) end
-- As recordOf, for the SHA-1 that begins after so many bytes.
local function recordBy(digests, at) return INDEX, string.sub(digests, at + 1, at + 16) end
local function countRecord(by) return by end
local function recordCount()
  local others = redis.call('HEXISTS', INDEX, 'clock') + redis.call('HEXISTS', INDEX, 'listed')
  return int(redis.call('HLEN', INDEX) - others)
end
`;

const RECORDS = `
local function evictedAs(key)
  local bucket, id = recordOf(key)
  return redis.call('HGET', bucket, id)
end
local function keepRecord(key, generation)
  local bucket, id = recordOf(key)
  if redis.call('HSET', bucket, id, generation) == 1 then countRecord(1) end
end
local function dropRecord(key)
  local bucket, id = recordOf(key)
  if redis.call('HDEL', bucket, id) == 0 then return false end
  countRecord(-1)
  return true
end
`;

const MARKING = `
local function markOf(key)
  local raw = redis.call('HGET', MARKS, key)
  if not raw then return nil end
  local gen, taken, first, tries, code = string.match(raw, '^(%d+):(%d+):(%d+):(%d+):(.*)$')
  return {gen = gen, taken = taken, first = first, tries = tonumber(tries), code = code}
end
local function keepMark(key, m)
  redis.call('HSET', MARKS, key, m.gen..':'..m.taken..':'..m.first..':'..m.tries..':'..m.code)
end
-- Keys whose last try failed wait apart, so that neither they nor the others starve.
local function laneOf(m) return m.tries > 0 and RETRY or DUE end
local function newMark(key)
  local m = markOf(key) or {taken = '0', first = int(now), tries = 0, code = ''}
  m.gen = tick()
  return m
end
local function mark(key)
  local m = newMark(key)
  keepMark(key, m)
  redis.call('ZADD', laneOf(m), 'NX', atOnce, key)
  return m
end
`;

const STANDING = `
-- Marks a key under a lease: whoever took it before is not responsible for it any more.
local function take(key, leaseMs)
  local m = newMark(key)
  m.taken = m.gen
  keepMark(key, m)
  redis.call('ZADD', laneOf(m), int(now + leaseMs), key)
  redis.call('ZREM', m.tries > 0 and DUE or RETRY, key)
  return m
end
local function unmark(key)
  redis.call('HDEL', MARKS, key)
  redis.call('ZREM', DUE, key)
  redis.call('ZREM', RETRY, key)
end
-- Whether a mark is the one that was taken under this generation; and the mark, if nobody took it since.
local function isCurrent(key, gen)
  local m = markOf(key)
  if not m or m.taken ~= gen then return false end
  return m.gen == gen, m
end
-- Why a key is not to be restored, if it is not: then what it stands for is put in order.
local function standingOf(key, generation, expiresAt)
  local gen = evictedAs(key)
  if redis.call('EXISTS', key) == 1 then
    if gen then
      mark(key)
      dropRecord(key)
    end
    return 'present'
  end
  if not gen then return 'deleted' end
  if gen ~= generation then return 'moved' end
  if expiresAt > 0 and expiresAt <= now then
    mark(key)
    dropRecord(key)
    return 'deleted'
  end
end
`;

/**
 * Whether a key is what another archive of this server keeps for itself, which has a clock and such
 * names, or a store of the driver, which would be found empty without it. The key itself is not
 * read, as that would end its idle time: a clock alone is told by what is beside it.
 */
const SERVER_OTHERS = `
local STORE_NAMES = {${KEY_NAMES.map((name) => `['${name}'] = 1`).join(', ')}}
local function isOfStore(key)
  local start, rest = string.match(key, '^({[^{}]+}:)([%l-]+)$')
  if not start or not STORE_NAMES[rest] or redis.call('TYPE', start..'meta').ok ~= 'hash' then return false end
  return redis.call('HEXISTS', start..'meta', 'format') == 1
end
local function isClock(start)
  if redis.call('TYPE', start..'clock').ok ~= 'string' then return false end
  return string.find(redis.call('GET', start..'clock'), '^%d+$') ~= nil
end
local function isOfAnother(key)
  if isOfStore(key) then return true end
  local start, rest = string.match(key, '^([%w_.-]+:)(.*)$')
  if not start then return false end
  if rest == 'clock' then
    return redis.call('EXISTS', start..'id', start..'marks', start..'evicted') > 0 and isClock(start)
  end
  local isName = ({id = 1, due = 1, retry = 1, marks = 1, evicted = 1})[rest]
    or string.find(rest, '^evicted:%d+$') or string.find(rest, '^staging:') or string.find(rest, '^turn:')
  return isName and isClock(start)
end
`;

/** As SERVER_OTHERS; the clock is in none of the keys that this step may use, and the names are telling. */
const SLOT_OTHERS = `
local function isOfAnother(key)
  if string.find(key, '^[%w_.-]+:{id}:id$') then return true end
  local rest = string.match(key, '^[%w_.-]+:{%w+}:(.*)$')
  if not rest then
    -- The list of slots.
    if not string.find(key, '^[%w_.-]+:slots$') or redis.call('TYPE', key).ok ~= 'zset' then return false end
    local slot = tonumber(redis.call('ZRANGE', key, 0, 0)[1])
    return slot ~= nil and slot < 16384
  end
  return ({index = 1, marks = 1, due = 1, retry = 1})[rest] or string.find(rest, '^staging:')
end
`;

/** For the keys of one server. */
export const SERVER_PRELUDE: string =
  TIMES + IDS + SERVER + RECORDS + MARKING + STANDING + SERVER_OTHERS;
/** For the keys of one slot of a cluster. */
export const SLOT_PRELUDE: string = TIMES + IDS + SLOT + RECORDS + MARKING + STANDING + SLOT_OTHERS;
/** What marking keys of one server takes. */
export const SERVER_MARKING: string = TIMES + IDS + SERVER + RECORDS + MARKING;
/** What looking for records of one server takes. */
export const SERVER_RECORDS: string = IDS + SERVER + RECORDS;
/** As SERVER_MARKING, for one slot of a cluster. */
export const SLOT_MARKING: string = TIMES + IDS + SLOT + RECORDS + MARKING;
/** As SERVER_RECORDS, for one slot of a cluster. */
export const SLOT_RECORDS: string = IDS + SLOT + RECORDS;
