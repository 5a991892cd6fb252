/*
 * The scripts around a command (docs/decisions/0033-archived-redis.md). KEYS are what begins the
 * archive's own keys, or in a cluster those of the slot, and then the keys of the command.
 */
import { SERVER_MARKING, SERVER_RECORDS, SLOT_MARKING, SLOT_RECORDS } from '../lua-prelude.ts';

/**
 * A script that Redis runs also when it is out of memory: what was written must not go without a
 * mark. Without what is there for people, since it is sent with every write.
 */
const script = (source: string): Buffer =>
  Buffer.from(`#!lua flags=allow-oom\n${source.replace(/^[ \t]*(--.*)?\n?/gm, '').trim()}`);

/** What is watched: it changes when a key is evicted or comes back. */
const SERVER_WATCHED = `
local WATCHED = EVICTED
local function makeWatched() redis.call('SET', WATCHED, '0') end
local function mayMark() return true end
`;
/** In a cluster also when the slot is taken off the list of those that may have marks, or has one made. */
const SLOT_WATCHED = `
local WATCHED = INDEX
local function makeWatched() setClock('0') end
local function mayMark() return redis.call('HEXISTS', INDEX, 'listed') == 1 end
`;

/**
 * Gives the places, from 1, of keys that are recorded as evicted. ARGV: 1 before a transaction that
 * writes, which is made to fail then: what it watches is touched, and stays as it was. So it is where
 * the slot takes no marks; then the error tells its clock.
 */
const GUARD = `
local away = {}
for i, key in ipairs(keys) do
  if evictedAs(key) then away[#away + 1] = i end
end
if ARGV[1] == '1' and (#away > 0 or not mayMark()) then
  if redis.call('PEXPIRE', WATCHED, 600000) == 0 then makeWatched() end
  redis.call('PERSIST', WATCHED)
  if not mayMark() then return {err = 'UNLISTED '..clockNow()} end
end
return away`;

/**
 * ARGV: what to do. `before`: marks keys that are there. `after`, with a number: marks those too, and
 * drops the records of the first so many, which were overwritten. `del`, with the name of the command:
 * deletes keys, evicted ones too, and gives their number.
 */
const MARKS = `
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
return known`;

/** Scripts for the keys of one server, or of one slot of a cluster. */
export interface CommandScripts {
  readonly guard: Buffer;
  readonly marks: Buffer;
}

export const SERVER_SCRIPTS: CommandScripts = {
  guard: script(SERVER_RECORDS + SERVER_WATCHED + GUARD),
  marks: script(SERVER_MARKING + MARKS),
};

export const SLOT_SCRIPTS: CommandScripts = {
  guard: script(SLOT_RECORDS + SLOT_WATCHED + GUARD),
  marks: script(SLOT_MARKING + MARKS),
};
