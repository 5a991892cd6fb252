import { PRELUDE } from './prelude.ts';

/*
 * Where the store stands.
 *
 * Replies { done, store id, epoch, head, id of the head }.
 */
export const STATE: string = `${PRELUDE}
local state = meta()
if not state then return STALE end
return { DONE, call('HGET', META, 'store'), state.epoch, state.rev, state.id }
`;

/** Reads entries in whole until a number of bytes is reached; at least one. */
const READ_ENTRIES: string = `
-- Gives the heads and envelopes of names[1..], and of how many: as many as fit into the bytes.
local function readEntries(names, capBytes)
  local heads, envelopes, count, bytes = {}, {}, 0, 0
  while count < #names and (count == 0 or bytes < capBytes) do
    local last = math.min(count + 32, #names)
    readAll('', names, count + 1, last, heads)
    readAll('v', names, count + 1, last, envelopes)
    for i = count + 1, last do bytes = bytes + (envelopes[i] and #envelopes[i] or 0) + #names[i] end
    count = last
  end
  return heads, envelopes, count
end
`;

/*
 * A page of entries in key order.
 *
 *   ARGV[1, 2]  bounds as ZRANGEBYLEX takes them
 *   ARGV[3]     '1' from the upper bound down
 *   ARGV[4]     keys to look at, at most
 *   ARGV[5]     bytes after which the page ends
 *   ARGV[6]     now
 *   ARGV[7]     '1' for keys only
 *
 * Replies { last key looked at, names, heads, envelopes }; the last key is '' at the end.
 */
export const SCAN: string = `${PRELUDE}${READ_ENTRIES}
local limit, now = tonumber(ARGV[4]), tonumber(ARGV[6])
local names
if ARGV[3] == '1' then
  names = call('ZREVRANGEBYLEX', ORDER, ARGV[2], ARGV[1], 'LIMIT', 0, limit)
else
  names = call('ZRANGEBYLEX', ORDER, ARGV[1], ARGV[2], 'LIMIT', 0, limit)
end
local whole = #names < limit
if ARGV[7] ~= '1' then
  local heads, envelopes, count = readEntries(names, tonumber(ARGV[5]))
  local last = (whole and count == #names) and '' or names[count]
  for i = count + 1, #names do names[i] = nil end
  return { last, names, heads, envelopes }
end
local last = whole and '' or names[#names]
if #names > 0 and call('ZCARD', EXPIRY) > 0 then
  local heads, living = {}, {}
  readAll('', names, 1, #names, heads)
  for i = 1, #names do
    if alive(heads[i], now) then living[#living + 1] = names[i] end
  end
  names = living
end
return { last, names }
`;

/*
 * What came after a position: commits from the log, or a page of the change index.
 *
 *   ARGV[1]  revision of the position; -1 to follow the index from ARGV[2]
 *   ARGV[2]  number of the last change that is known; not used with a revision
 *   ARGV[3]  keys of a page, at most
 *   ARGV[4]  bytes after which a page ends
 *   ARGV[5]  changes taken from the log, at most (but a whole commit)
 *
 * Replies { done, epoch, head, id of the head, floor, id of the position's commit, number of the
 * last change, number of the last change that was forgotten, … }, then
 *   nothing                                 at the head, or the position is unknown
 *   { id, changes, id, changes … }, { key, envelope … }          commits of the log
 *   last change, whether more follow (1), names, heads, envelopes   a page of the index
 */
export const READ: string = `${PRELUDE}${READ_ENTRIES}
local state = meta()
if not state then return STALE end
local rev, seq, id, logEnd = tonumber(ARGV[1]), ARGV[2], '', 0
local function record(text)
  return sub(text, 1, ID), struct.unpack('>I6I6', text, ID + 1)
end

-- Commits of the log from one place on, as far as they lie in one list.
local function fromLog(from)
  if from < state.log0 then return nil end
  local list, start, finish = LOG, state.log1, state.log2
  if from < state.log1 then list, start, finish = OLDLOG, state.log0, state.log1 end
  local commits, upTo = {}, from
  local next = call('LRANGE', COMMITS, rev - state.rev, math.min(-1, rev - state.rev + 255))
  for i = 1, #next do
    local nextId, _, nextEnd = record(next[i])
    local changes = (nextEnd - upTo) / 2
    if changes == 0 or nextEnd > finish then break end
    if #commits > 0 and (nextEnd - from) / 2 > tonumber(ARGV[5]) then break end
    commits[#commits + 1], commits[#commits + 2], upTo = nextId, changes, nextEnd
  end
  if #commits == 0 then return nil end
  local changes = call('LRANGE', list, from - start, upTo - start - 1)
  if #changes ~= upTo - from then return nil end
  return commits, changes
end

local reply = { DONE, state.epoch, state.rev, state.id, state.floor, '', state.seq, state.floorSeq }
if rev >= 0 then
  if rev > state.rev then return reply end
  seq = 0
  if rev > 0 then
    local text = call('LINDEX', COMMITS, rev - state.rev - 1)
    if not text then return reply end
    id, seq, logEnd = record(text)
    reply[6] = id
  end
  if rev == state.rev then return reply end
  local commits, changes = fromLog(logEnd)
  if commits then
    reply[9], reply[10] = commits, changes
    return reply
  end
  seq = string.format('%.0f', seq)
end
local limit = tonumber(ARGV[3])
local found = call('ZRANGEBYSCORE', INDEX, '(' .. seq, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
local names = {}
for i = 1, #found, 2 do names[#names + 1] = found[i] end
local heads, envelopes, count = readEntries(names, tonumber(ARGV[4]))
local more = count < #names or #names == limit
for i = count + 1, #names do names[i] = nil end
reply[9], reply[10] = tonumber(count > 0 and found[2 * count] or seq), more and 1 or 0
reply[11], reply[12], reply[13] = names, heads, envelopes
return reply
`;
