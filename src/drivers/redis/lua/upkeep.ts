import { FORGET, PRELUDE, STORE_FORMAT } from './prelude.ts';

/*
 * Makes the store where there is none, and begins a new epoch where the server's history may have
 * been rewound since the last one. Run on every new connection and whenever a script finds the
 * store other than it was.
 *
 *   ARGV[1, 2]  a store id and an epoch, to be used where new ones are needed
 *   ARGV[3]     channel of the doorbell
 *
 * Replies { done, store id, epoch, epochs, missing } with the history as 'rev epoch' pairs in one
 * text and a command that the user may not run, if any; or a text that says what stands in the way.
 */
export const OPEN: string = `${PRELUDE}
local MAX_EPOCHS = 1000
-- A right that is missing would stop a commit in its middle: such a user may only read.
local missing = ''
for _, command in ipairs(redis.acl_check_cmd and {
  { 'HSET', META, 'a', 'b' }, { 'HSET', DATA, 'a', 'b' }, { 'HDEL', DATA, 'a' },
  { 'ZADD', INDEX, 0, 'a' }, { 'ZADD', ORDER, 0, 'a' }, { 'ZADD', EXPIRY, 0, 'a' },
  { 'ZADD', TOMBS, 0, 'a' }, { 'ZREM', ORDER, 'a' }, { 'RPUSH', LOG, 'a' },
  { 'RPUSH', COMMITS, 'a' }, { 'LTRIM', COMMITS, 0, 1 }, { 'DEL', OLDLOG },
  { 'UNLINK', LOG }, { 'RENAME', LOG, OLDLOG }, { 'PUBLISH', ARGV[3], 'a' },
} or {}) do
  if not redis.acl_check_cmd(unpack(command)) then missing = command[1] end
end
local format = call('HGET', META, 'format')
if not format then
  for i = 1, #KEYS do
    if call('EXISTS', KEYS[i]) == 1 then return 'the key ' .. KEYS[i] .. ' holds other data' end
  end
  local epoch = ARGV[2]
  call('HSET', META, 'format', '${STORE_FORMAT}', 'store', ARGV[1], 'replid', replicationId(),
    'epoch', epoch, 'epochs', '1 ' .. epoch, 'rev', 0, 'id', '', 'seq', 0, 'floor', 0, 'floorSeq', 0,
    'log0', 0, 'log1', 0, 'log2', 0, 'logged', 0, 'tombBytes', 0)
  return { DONE, ARGV[1], epoch, '1 ' .. epoch, missing }
end
if format ~= '${STORE_FORMAT}' then
  return 'its format is ' .. format .. '; this version reads ${STORE_FORMAT}'
end
local m = call('HMGET', META, 'store', 'epoch', 'epochs', 'replid', 'rev')
local epoch, epochs = m[2], m[3]
if not sameHistory(m[4]) then
  epoch = ARGV[2]
  local kept = {}
  for word in string.gmatch(epochs, '[^,]+') do kept[#kept + 1] = word end
  kept[#kept + 1] = string.format('%.0f', tonumber(m[5]) + 1) .. ' ' .. epoch
  epochs = table.concat(kept, ',', math.max(1, #kept - MAX_EPOCHS + 1))
  call('HSET', META, 'replid', replicationId(), 'epoch', epoch, 'epochs', epochs)
end
return { DONE, m[1], epoch, epochs, missing }
`;

/*
 * Removes entries that have expired, some at a time, and forgets old deletes. A tombstone stays in
 * the place of each entry, because a reader that resumes may hold an older value without an expiry.
 *
 *   ARGV[1]     now
 *   ARGV[2, 3]  bytes and ms for which tombstones are kept
 *   ARGV[4]     entries and tombstones to look at, at most
 *
 * Replies { done, removed entries, forgotten deletes }.
 */
export const SWEEP: string = `${PRELUDE}${FORGET}
local now, limit = tonumber(ARGV[1]), tonumber(ARGV[4])
local state = meta()
if not state then return STALE end
local due = call('ZRANGEBYSCORE', EXPIRY, '-inf', string.format('%.17g', now), 'LIMIT', 0, limit)
for _, name in ipairs(due) do
  local head = call('HGET', DATA, name)
  if head and byte(head, 7) ~= TOMBSTONE and not alive(head, now) then
    call('HSET', DATA, name, sub(head, 1, 6) .. 'd')
    call('HDEL', DATA, 'v' .. name)
    call('ZREM', ORDER, name)
    call('ZADD', TOMBS, now, name)
    state.tombBytes = state.tombBytes + tombstoneBytes(name)
  end
  call('ZREM', EXPIRY, name)
end
local forgotten = forget(state, now, tonumber(ARGV[2]), tonumber(ARGV[3]), limit)
if #due > 0 or forgotten > 0 then
  call('HSET', META, 'floor', state.floor, 'floorSeq', state.floorSeq, 'tombBytes', state.tombBytes)
end
return { DONE, #due, forgotten }
`;
