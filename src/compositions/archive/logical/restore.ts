import type { RedisWord } from '../../../drivers/redis/port.ts';
import { failure } from '../../../store/errors.ts';
import type { ColdObject } from '../cold-objects.ts';
import type { Named } from '../hot-key.ts';
import type { Restored } from '../hot-side.ts';
import type { ScriptRunner } from '../redis-connection.ts';
import type { Command } from './command.ts';
import { commandsOf } from './commands.ts';
import { decodeLogical, type LogicalValue } from './format.ts';

/** Words of commands that one script runs, about: more are staged, so that Redis serves others in between. */
const SCRIPT_BYTES = 1024 * 1024;
/** More words than Lua can pass on at once. */
const WIDE_WORDS = 7_000;
/** Time that a part which is staged waits for the next. What is left of a process that ended goes with it. */
const STAGED_MS = 600_000;

type Restorable = Pick<ColdObject, 'expiresAt' | 'payload' | 'logical'>;

/**
 * Restores a key that is absent and recorded under this generation: from what DUMP gave, or by its
 * logical form where there is nothing else and where the server cannot read the other.
 */
export async function restoreObject(
  redis: ScriptRunner,
  operation: string,
  key: Named,
  generation: number,
  { expiresAt, payload, logical }: Restorable,
): Promise<Restored> {
  const standing = [generation, expiresAt].map(String);
  if (payload.length === 0 && logical !== undefined)
    return restoreLogical(redis, operation, key, standing, logical);
  try {
    const args = [...standing, Buffer.from(payload)];
    return String(await redis.run(operation, 'restore', [key.bytes], args)) as Restored;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    if (logical !== undefined) return restoreLogical(redis, operation, key, standing, logical);
    throw unsupported(operation, key, 'cannot read what DUMP gave', error);
  }
}

/** By its version, its checksum, or a type that this server does not know. */
const isUnreadable = (error: unknown): boolean =>
  error instanceof Error && /DUMP payload|Bad data format/.test(error.message);

const isUnknownCommand = (error: unknown): boolean =>
  error instanceof Error && /[Uu]nknown (Redis )?command/.test(error.message);

/**
 * Makes a value by ordinary commands: under a key of the archive's own, which the script that
 * decides gives its name. Nobody sees a part of it.
 */
async function restoreLogical(
  redis: ScriptRunner,
  operation: string,
  key: Named,
  standing: readonly string[],
  logical: Uint8Array,
): Promise<Restored> {
  const value = decodeLogical(logical);
  try {
    const outcome = await made(redis, operation, key, standing, value);
    if (outcome === 'lost') throw lost(operation, key);
    return outcome;
  } catch (error) {
    if (!isUnknownCommand(error)) throw error;
    throw unsupported(operation, key, `has no command that its ${value.type} needs`, error);
  }
}

async function made(
  redis: ScriptRunner,
  operation: string,
  key: Named,
  standing: readonly string[],
  value: LogicalValue,
): Promise<Restored | 'lost'> {
  const staging = Buffer.from(redis.env.randomBytes(12)).toString('hex');
  let batch: Command[] = [];
  let bytes = 0;
  const flush = async (): Promise<Buffer> => {
    const args = [staging, String(STAGED_MS), ...batch.flatMap(packed)];
    batch = [];
    bytes = 0;
    return (await redis.run(operation, 'stage', [key.bytes], args)) as Buffer;
  };
  for (const command of commandsOf(value)) {
    if (bytes > SCRIPT_BYTES) await flush();
    if (command.after.length > WIDE_WORDS) {
      const words = [...command.before, await flush(), 'NOMKSTREAM', ...command.after];
      // An entry of a stream with thousands of fields: straight to what is staged.
      if ((await redis.read(operation, words)) === null) return 'lost';
      continue;
    }
    batch.push(command);
    for (const word of command.after) bytes += word.length;
  }
  const args = [...standing, staging, String(lastFieldTime(value)), ...batch.flatMap(packed)];
  const outcome = await redis.run(operation, 'restoreLogical', [key.bytes], args);
  return String(outcome) as Restored | 'lost';
}

function packed({ before, after }: Command): RedisWord[] {
  return [String(before.length), String(after.length), ...before, ...after];
}

/** When the last field of a hash expires; 0 where one does not. */
function lastFieldTime(value: LogicalValue): number {
  if (value.type !== 'hash' || value.fields.some(({ expiresAt }) => expiresAt === 0)) return 0;
  return value.fields.reduce((last, { expiresAt }) => Math.max(last, expiresAt), 0);
}

function lost(operation: string, key: Named): Error {
  const what = `what was staged of ${JSON.stringify(key.shown)} is gone`;
  return failure('unavailable', operation, what, { key: key.shown });
}

function unsupported(operation: string, key: Named, why: string, cause: unknown): Error {
  const what = `this Redis ${why}, for ${JSON.stringify(key.shown)}; it stays in the cold store`;
  return failure('unsupported', operation, what, { key: key.shown, cause });
}
