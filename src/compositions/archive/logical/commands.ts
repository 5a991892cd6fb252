import type { RedisWord } from '../../../drivers/redis/port.ts';
import { type Command, word } from './command.ts';
import type { Field, LogicalValue, Scored } from './format.ts';
import { streamCommands } from './stream-commands.ts';

/** Words of one command. Lua can pass on less than 8,000. */
export const MOST_WORDS = 4_000;
const MOST_BYTES = 256 * 1024;

/** The commands that make a value under a key that is not there. */
export function* commandsOf(value: LogicalValue): Generator<Command> {
  if (value.type === 'stream') yield* streamCommands(value);
  else if (value.type === 'string') yield { before: ['SET'], after: [word(value.value)] };
  else if (value.type === 'hash') yield* hashCommands(value.fields);
  else if (value.type === 'zset') yield* zsetCommands(value.members);
  else
    yield* inParts(
      value.type === 'list' ? 'RPUSH' : 'SADD',
      value.members.map((member) => [word(member)]),
    );
}

/** Longer than what a server keeps in its compact form, in which -0 becomes 0. */
const LONG_BYTES = 65_536;

function* zsetCommands(members: readonly Scored[]): Generator<Command> {
  const elements = members.map(({ member, score }) => [scoreText(score), word(member)]);
  if (!members.some(({ score }) => Object.is(score, -0))) return yield* inParts('ZADD', elements);
  const longest = members.reduce((most, { member }) => Math.max(most, member.length), LONG_BYTES);
  const passing = Buffer.alloc(longest + 1);
  yield { before: ['ZADD'], after: ['0', passing] };
  yield* inParts('ZADD', elements);
  yield { before: ['ZREM'], after: [passing] };
}

function* hashCommands(fields: readonly Field[]): Generator<Command> {
  yield* inParts(
    'HSET',
    fields.map(({ field, value }) => [word(field), word(value)]),
  );
  for (const { field, expiresAt } of fields)
    if (expiresAt > 0)
      yield { before: ['HPEXPIREAT'], after: [String(expiresAt), 'FIELDS', '1', word(field)] };
}

/** One command for as many elements as it takes. */
function* inParts(name: string, elements: readonly (readonly RedisWord[])[]): Generator<Command> {
  let after: RedisWord[] = [];
  let bytes = 0;
  for (const element of elements) {
    if (after.length >= MOST_WORDS || bytes >= MOST_BYTES) {
      yield { before: [name], after };
      after = [];
      bytes = 0;
    }
    after.push(...element);
    for (const one of element) bytes += one.length;
  }
  if (after.length > 0) yield { before: [name], after };
}

function scoreText(score: number): string {
  if (Object.is(score, -0)) return '-0';
  if (score === Number.POSITIVE_INFINITY) return 'inf';
  return score === Number.NEGATIVE_INFINITY ? '-inf' : String(score);
}
