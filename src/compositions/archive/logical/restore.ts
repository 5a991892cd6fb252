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
  const staged = new Staged(redis, operation, key);
  for (const command of commandsOf(value)) if (!(await staged.add(command))) break;
  const args = [...standing, ...staged.words(lastFieldTime(value))];
  return String(await redis.run(operation, 'restoreLogical', [key.bytes], args)) as
    | Restored
    | 'lost';
}

/** What is made of a value before the script that decides. */
class Staged {
  readonly #redis: ScriptRunner;
  readonly #operation: string;
  readonly #key: Named;
  readonly #name: string;
  #batch: Command[] = [];
  #bytes = 0;
  /** Where the parts are that were staged. */
  #staging: Buffer | undefined;

  constructor(redis: ScriptRunner, operation: string, key: Named) {
    this.#redis = redis;
    this.#operation = operation;
    this.#key = key;
    this.#name = Buffer.from(redis.env.randomBytes(12)).toString('hex');
  }

  /** False where what was staged is gone: then nothing more may be added. */
  async add(command: Command): Promise<boolean> {
    if (this.#bytes > SCRIPT_BYTES && !(await this.#flush())) return false;
    if (command.after.length > WIDE_WORDS) return this.#addWide(command);
    this.#batch.push(command);
    for (const word of command.after) this.#bytes += word.length;
    return true;
  }

  /** What the script that decides is told: name, whether parts are staged, last time of fields, what is left. */
  words(lastTime: number): RedisWord[] {
    const isStaged = this.#staging !== undefined;
    const name = isStaged || this.#batch.length > 1 ? this.#name : '';
    return [name, isStaged ? '1' : '0', String(lastTime), ...this.#batch.flatMap(packed)];
  }

  async #flush(): Promise<boolean> {
    const isFirst = this.#staging === undefined ? '1' : '0';
    const args = [this.#name, String(STAGED_MS), isFirst, ...this.#batch.flatMap(packed)];
    this.#batch = [];
    this.#bytes = 0;
    const staging = await this.#redis.run(this.#operation, 'stage', [this.#key.bytes], args);
    if (staging === null) return false;
    this.#staging = staging as Buffer;
    return true;
  }

  /** An entry of a stream with thousands of fields: straight to what is staged. */
  async #addWide({ before, after }: Command): Promise<boolean> {
    if (!(await this.#flush())) return false;
    const words = [...before, this.#staging as Buffer, 'NOMKSTREAM', ...after];
    return (await this.#redis.read(this.#operation, words)) !== null;
  }
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
