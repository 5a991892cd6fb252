/*
 * How a store lies in Redis. All keys carry the prefix in braces, so that they share one hash slot.
 * Inside them a key of the store goes by its name, 'k' + key, so that scripts need not build names.
 *
 *   {p}:meta     hash     format, store id, epochs, replication id, head, floor, counters
 *   {p}:data     hash     name: the head of an entry or tombstone; 'v' + name: the envelope of an entry
 *   {p}:order    zset     every name that is not deleted, score 0: ZRANGEBYLEX gives the order of the bytes
 *   {p}:index    zset     the change index: every name, score = number of its last change
 *   {p}:expiry   zset     names that expire, score = time
 *   {p}:tombs    zset     deleted names, score = time of deletion
 *   {p}:log      list     the last commits: name and envelope of each change (an empty one for a delete)
 *   {p}:log-old  list     the commits before those; `log` takes its place when full, so that trimming is one UNLINK
 *   {p}:commits  list     one record a commit: its id, number of its last change, end of its part of the log
 *
 * A head is: revision (48 bits), kind, then for entries the expiry (15 digits, when the kind is
 * odd) and the version. The kind is 'd' for a tombstone, else '0' plus the flags of the envelope.
 */

/** Names of a store's keys, in the order in which every script takes them. */
export const KEY_NAMES: readonly string[] = [
  'meta',
  'data',
  'order',
  'index',
  'expiry',
  'tombs',
  'log',
  'log-old',
  'commits',
];

/** The format of everything under a prefix. */
export const STORE_FORMAT = '1';
/** Characters of a commit id. */
export const COMMIT_ID_LENGTH = 11;
/** First bytes of a script's reply: what became of it. */
export const REPLY = { done: 1, stale: 0, damaged: -1 } as const;

/** Begins every script: names, and the small functions that several need. */
export const PRELUDE: string = `
local call = redis.call
local META, DATA, ORDER, INDEX, EXPIRY, TOMBS, LOG, OLDLOG, COMMITS = unpack(KEYS)
local byte, sub, floor = string.byte, string.sub, math.floor
local TOMBSTONE, ID, CHUNK = 100, ${COMMIT_ID_LENGTH}, 2000
local DONE, STALE, DAMAGED = ${REPLY.done}, { ${REPLY.stale} }, { ${REPLY.damaged} }

-- Changes whenever the server's history may have been rewound: a restart, a failover.
local function replicationId()
  return string.match(call('INFO', 'replication'), 'master_replid:(%x+)')
end

-- Whether the server still has the history in which the store was last opened. A replica holds
-- that of its master, and can note nothing else.
local function sameHistory(id)
  local info = call('INFO', 'replication')
  return string.find(info, 'master_replid:' .. id, 1, true) or string.find(info, 'role:slave', 1, true)
end

-- What the store says of itself, or nil when it is not the one that clients know: never made,
-- lost, of another format, or moved to another history. They then open it anew.
local function meta()
  local m = call('HMGET', META, 'format', 'replid', 'epoch', 'rev', 'id', 'seq', 'floor',
    'log0', 'log1', 'log2', 'logged', 'tombBytes', 'floorSeq')
  if m[1] ~= '${STORE_FORMAT}' or not sameHistory(m[2]) then return nil end
  for i = 6, 13 do m[i] = tonumber(m[i]) end
  return { epoch = m[3], rev = tonumber(m[4]), id = m[5], seq = m[6], floor = m[7],
    log0 = m[8], log1 = m[9], log2 = m[10], logged = m[11], tombBytes = m[12],
    floorSeq = m[13] }
end

-- Whether a head is that of an entry that has not expired.
local function alive(head, now)
  if not head then return false end
  local kind = byte(head, 7)
  if kind == TOMBSTONE then return false end
  return kind % 2 == 0 or tonumber(sub(head, 8, 22)) > now
end

local function versionOf(head)
  return sub(head, byte(head, 7) % 2 == 1 and 23 or 8)
end

-- Calls a command with the arguments list[1..count], in several steps where they are many.
-- CHUNK is even, so that pairs stay together.
local function callAll(command, key, list, count)
  for from = 1, count, CHUNK do
    call(command, key, unpack(list, from, math.min(from + CHUNK - 1, count)))
  end
end

-- Reads what DATA has under prefix .. names[from..to], to be found at the same places of \`into\`.
local function readAll(prefix, names, from, to, into)
  for start = from, to, CHUNK do
    local fields, last = {}, math.min(start + CHUNK - 1, to)
    for i = start, last do fields[i - start + 1] = prefix .. names[i] end
    local found = call('HMGET', DATA, unpack(fields))
    for i = start, last do into[i] = found[i - start + 1] end
  end
end
`;

/** Forgets deletes, oldest first. A reader from before one of them can then not go on: the floor rises, as revision and as place in the index. */
export const FORGET: string = `
local function tombstoneBytes(name) return 96 + #name end

local function forget(state, now, capBytes, keepMs, limit)
  local oldest = call('ZRANGE', TOMBS, 0, limit - 1, 'WITHSCORES')
  local forgotten = 0
  for i = 1, #oldest, 2 do
    local name, made = oldest[i], tonumber(oldest[i + 1])
    if state.tombBytes <= capBytes and made > now - keepMs then break end
    local head, place = call('HGET', DATA, name), call('ZSCORE', INDEX, name)
    if head then state.floor = math.max(state.floor, (struct.unpack('>I6', head))) end
    if place then state.floorSeq = math.max(state.floorSeq, tonumber(place)) end
    state.tombBytes = state.tombBytes - tombstoneBytes(name)
    call('HDEL', DATA, name)
    call('ZREM', INDEX, name)
    call('ZREM', TOMBS, name)
    forgotten = forgotten + 1
  end
  return forgotten
end
`;
