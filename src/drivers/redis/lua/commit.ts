import { FORGET, PRELUDE } from './prelude.ts';

/*
 * Applies a group of commits, each whole or not at all and each with its own revision and outcome.
 * A commit whose condition fails leaves no trace, and the others of its group go on. The decisions
 * are those of `planCommit`.
 *
 *   ARGV[1]      now, ms since 1970
 *   ARGV[2]      bytes after which the log takes the place of the old log
 *   ARGV[3]      commits of which the ids are kept
 *   ARGV[4, 5]   bytes and ms for which tombstones are kept
 *   ARGV[6]      channel of the doorbell
 *   ARGV[7, 8]   number of commits, number of writes in all
 *   then         the name of every write's key, in order
 *   then         for each commit: a header (its id and one letter a write), and for each write
 *                  s  kind .. expiry .. version, envelope
 *                  d  nothing
 *                  S, D  as s, d, after the condition: 'a' for absent, '=' .. version
 *                In place of letters, '*' .. n stands for n times s, all of different keys.
 *
 * Replies { done, epoch, head before, head, results, repeated } with a line a commit in results:
 *   C flags                      committed, as the next revision
 *   N flags                      nothing to change
 *   X why index : version        refused: a, v (condition) or i (immutable); the write; what it found
 * Flags tell for each write whether the key existed (0, 1) or that an immutable entry was repeated
 * (=); head and envelope of each such entry are in `repeated`.
 */
export const COMMIT: string = `${PRELUDE}${FORGET}
local A = ARGV
local now, logCap, commitCap = tonumber(A[1]), tonumber(A[2]), tonumber(A[3])
local tombCap, tombMs, channel = tonumber(A[4]), tonumber(A[5]), A[6]
local commits, writes = tonumber(A[7]), tonumber(A[8])

-- First everything that can fail, and only then the first write: Redis does not roll back.
local state = meta()
if not state then return STALE end
local ordered, indexed, buried = call('ZCARD', ORDER), call('ZCARD', INDEX), call('ZCARD', TOMBS)
if indexed ~= ordered + buried or call('HLEN', DATA) ~= 2 * ordered + buried then
  return DAMAGED
end
call('ZCARD', EXPIRY)
local known = call('LLEN', COMMITS)
local rev, seq = state.rev, state.seq
local floor0, floorSeq0, log0, log1, tombBytes0 =
  state.floor, state.floorSeq, state.log0, state.log1, state.tombBytes
-- The log only saves work: one that somebody removed is begun again.
local logLost = call('LLEN', LOG) ~= state.log2 - state.log1
call('LLEN', OLDLOG)

-- What stands under each key, by its name: false, or a head. Follows the commits of the group.
local heads = {}
for from = 9, 8 + writes, CHUNK do
  local last = math.min(from + CHUNK - 1, 8 + writes)
  local found = call('HMGET', DATA, unpack(A, from, last))
  for i = from, last do heads[A[i]] = found[i - from + 1] end
end

-- What the group does, to be applied by a few commands with many arguments.
local put, puts = {}, 0           -- DATA: field, value ...
local moved, moves = {}, 0        -- INDEX: number, name ...
local logged, logs = {}, 0        -- LOG: name, envelope ...
local records, recorded = {}, 0   -- COMMITS
-- By name of the key, as it is at the end of the group.
local order, expiry, tombs, erased, envelopes = {}, {}, {}, {}, {}
local buries, logBytes = 0, state.logged

-- Where the value begins in an envelope.
local function valueAt(envelope)
  local flags, at = byte(envelope, 6), 39
  if flags % 2 == 1 then at = at + 6 end
  if floor(flags / 2) % 2 == 1 then at = at + 4 + struct.unpack('>I4', envelope, at) end
  if floor(flags / 4) % 2 == 1 then at = at + 2 + struct.unpack('>I2', envelope, at) end
  return at
end

local function envelopeOf(name)
  return envelopes[name] or call('HGET', DATA, 'v' .. name)
end

local function sameValue(one, other)
  return sub(one, valueAt(one)) == sub(other, valueAt(other))
end

-- Bookkeeping of one change: which keys have an entry, an expiry, a tombstone.
local function account(name, stood, expiresAt, deleted)
  if deleted then
    order[name], tombs[name], erased[name] = false, now, true
    state.tombBytes = state.tombBytes + tombstoneBytes(name)
    buries = buries + 1
  else
    if not stood then order[name] = true end
    if stood == TOMBSTONE then
      order[name], tombs[name] = true, false
      state.tombBytes = state.tombBytes - tombstoneBytes(name)
    end
    erased[name] = nil
  end
  if expiresAt then
    expiry[name] = expiresAt
  elseif stood and stood ~= TOMBSTONE and stood % 2 == 1 then
    expiry[name] = false
  end
end

local SKIP = { [115] = 2, [83] = 3, [100] = 0, [68] = 1 }  -- s S d D
local results, repeated, first, at = {}, {}, 8, 9 + writes

-- Decides one commit of n writes: gives the flags, the heads that it leaves by name, the last
-- change of each name and where its arguments are; or the index of the refused write and why.
local function plan(header, n, revBytes)
  local over, last, args, flags = {}, {}, {}, {}
  for w = 1, n do
    local name, op = A[first + w], byte(header, ID + w)
    local head = over[name]
    local standing = head == nil
    if standing then head = heads[name] end
    local live = alive(head, now)
    if op < 97 then
      local wanted = A[at]
      at = at + 1
      if wanted == 'a' then
        if live then return w, 'a', versionOf(head) end
      elseif not live then
        return w, 'v', ''
      elseif wanted ~= '=' .. versionOf(head) then
        return w, 'v', versionOf(head)
      end
      op = op + 32
    end
    if op == 100 then
      if live then over[name], last[name] = false, w end
      flags[w] = live and '1' or '0'
    else
      local described, envelope = A[at], A[at + 1]
      local kind = byte(described)
      -- Content under its own name: writing it again is no change, other content is a mistake.
      if live and byte(head, 7) >= 56 and floor((kind - 48) / 4) % 2 == 0 then
        local stored = standing and envelopeOf(name) or A[args[last[name]] + 1]
        if kind < 56 or not sameValue(stored, envelope) then
          return w, 'i', versionOf(head)
        end
        repeated[#repeated + 1] = head
        repeated[#repeated + 1] = stored
        flags[w] = '='
      else
        over[name], last[name], args[w] = revBytes .. described, w, at
        flags[w] = live and '1' or '0'
      end
      at = at + 2
    end
  end
  return nil, table.concat(flags), over, last, args
end

-- Adds one change to those of the group; \`envelope\` is empty for a delete.
local function change(name, before, head, envelope)
  local kind, stood = byte(head, 7), before and byte(before, 7)
  if kind == TOMBSTONE then
    account(name, stood, nil, true)
  else
    put[puts + 1], put[puts + 2], puts = 'v' .. name, envelope, puts + 2
    -- A plain entry in place of a plain one changes nothing but itself.
    if not stood or stood == TOMBSTONE or stood % 2 == 1 or kind % 2 == 1 then
      account(name, stood, kind % 2 == 1 and tonumber(sub(head, 8, 22)), false)
    end
    if kind >= 56 then envelopes[name] = envelope end
  end
  seq = seq + 1
  heads[name] = head
  put[puts + 1], put[puts + 2], puts = name, head, puts + 2
  moved[moves + 1], moved[moves + 2], moves = seq, name, moves + 2
  logged[logs + 1], logged[logs + 2], logs = name, envelope, logs + 2
  logBytes = logBytes + #name + #envelope + 32
end

-- Adds the changes of a planned commit to those of the group.
local function collect(n, revBytes, over, last, args)
  for w = 1, n do
    local name = A[first + w]
    if last[name] == w then
      local head, before = over[name], heads[name]
      if head then
        change(name, before, head, A[args[w] + 1])
      elseif alive(before, now) then
        -- A key that this commit both made and removed leaves nothing behind.
        change(name, before, revBytes .. 'd', '')
      end
    end
  end
end

-- The number of sets of a commit that has nothing but plain sets of different keys, over nothing
-- immutable: by far the most frequent kind, and done in short. Else nil, and the header with letters.
local function plainSets(header)
  if byte(header, ID + 1) ~= 42 then return nil, header end
  local n = tonumber(sub(header, ID + 2))
  for i = first + 1, first + n do
    local before = heads[A[i]]
    local stood = before and byte(before, 7)
    if stood and stood >= 56 and stood ~= TOMBSTONE then
      return nil, sub(header, 1, ID) .. string.rep('s', n)
    end
  end
  return n, header
end

for c = 1, commits do
  local n, header = plainSets(A[at])
  local revBytes, logsBefore, bytesBefore = struct.pack('>I6', rev + 1), logs, logBytes
  local flags, refused
  at = at + 1
  if n then
    local each = n > 1 and {}
    for w = 1, n do
      local name = A[first + w]
      local before = heads[name]
      flags = alive(before, now) and '1' or '0'
      if each then each[w] = flags end
      change(name, before, revBytes .. A[at], A[at + 1])
      at = at + 2
    end
    if each then flags = table.concat(each) end
  else
    n = #header - ID
    local start, repeatedBefore, why, over, last, args = at, #repeated, nil, nil, nil, nil
    refused, why, over, last, args = plan(header, n, revBytes)
    if refused then
      results[c] = 'X' .. why .. (refused - 1) .. ':' .. over
      for i = #repeated, repeatedBefore + 1, -1 do repeated[i] = nil end
      at = start
      for w = 1, n do at = at + SKIP[byte(header, ID + w)] end
    else
      flags = why
      collect(n, revBytes, over, last, args)
    end
  end
  if logs > logsBefore then
    rev, recorded = rev + 1, recorded + 1
    -- One commit alone must not fill the log: its part stays empty, and readers use the index.
    if logBytes - bytesBefore > logCap then logs, logBytes = logsBefore, bytesBefore end
    state.id = sub(header, 1, ID)
    records[recorded] = state.id .. struct.pack('>I6I6', seq, state.log2 + logs)
    results[c] = 'C' .. flags
  elseif not refused then
    results[c] = 'N' .. flags
  end
  first = first + n
end
local reply = { DONE, state.epoch, state.rev, rev, table.concat(results, '\\n'), repeated }
if recorded == 0 then return reply end

-- From here on nothing may fail.
callAll('HSET', DATA, put, puts)
callAll('ZADD', INDEX, moved, moves)
local function applyMap(map, key, scored)
  local added, adds, removed, removes = {}, 0, {}, 0
  for member, value in pairs(map) do
    if value then
      added[adds + 1], added[adds + 2], adds = scored and value or '0', member, adds + 2
    else
      removes = removes + 1
      removed[removes] = member
    end
  end
  callAll('ZADD', key, added, adds)
  callAll('ZREM', key, removed, removes)
end
applyMap(order, ORDER, false)
applyMap(expiry, EXPIRY, true)
applyMap(tombs, TOMBS, true)
do
  local fields, count = {}, 0
  for name in pairs(erased) do
    count = count + 1
    fields[count] = 'v' .. name
  end
  callAll('HDEL', DATA, fields, count)
end

callAll('RPUSH', COMMITS, records, recorded)
if known + recorded > commitCap then call('LTRIM', COMMITS, -commitCap, -1) end
if logLost then
  call('UNLINK', LOG, OLDLOG)
  state.log0, state.log1 = state.log2 + logs, state.log2 + logs
  state.log2, logBytes = state.log2 + logs, 0
else
  callAll('RPUSH', LOG, logged, logs)
  state.log2 = state.log2 + logs
  if logBytes > logCap then
    call('DEL', OLDLOG)
    call('RENAME', LOG, OLDLOG)
    state.log0, state.log1, logBytes = state.log1, state.log2, 0
  end
end
if state.tombBytes > tombCap then forget(state, now, tombCap, tombMs, 256 + buries) end
call('HSET', META, 'rev', rev, 'id', state.id, 'seq', seq, 'log2', state.log2, 'logged', logBytes)
-- Most commits leave these as they are, and each costs its way into text.
if state.floor ~= floor0 or state.floorSeq ~= floorSeq0 or state.log0 ~= log0
  or state.log1 ~= log1 or state.tombBytes ~= tombBytes0 then
  call('HSET', META, 'floor', state.floor, 'floorSeq', state.floorSeq, 'log0', state.log0,
    'log1', state.log1, 'tombBytes', state.tombBytes)
end
call('PUBLISH', channel, rev)
return reply
`;
