import { sideBySide } from '../../kernel/side-by-side.ts';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { failure, isStrataError } from '../../store/errors.ts';
import type { ColdObjects } from './cold-objects.ts';
import type { HotAudit } from './hot-audit.ts';
import { type Named, named } from './hot-key.ts';
import type { HotSide } from './hot-side.ts';

/** A call that ends only by its caller's signal. */
export function boundless(env: Env, operation: string, signal: AbortSignal | undefined): Call {
  const options = signal === undefined ? {} : { signal };
  const call = new Call(env, operation, undefined, options, Number.POSITIVE_INFINITY);
  call.throwIfEnded();
  return call;
}

/** The steps of an audit, where the hot side has them. */
export function auditOf(operation: string, { audit, title }: HotSide): HotAudit {
  if (audit === undefined) throw failure('unsupported', operation, `${title} has no such steps`);
  return audit;
}

/** So many at a time. */
export async function* parts<T>(all: AsyncIterable<T>, most: number): AsyncGenerator<T[]> {
  let part: T[] = [];
  for await (const one of all) {
    part.push(one);
    if (part.length === most) {
      yield part;
      part = [];
    }
  }
  if (part.length > 0) yield part;
}

/** What names in the cold store stand for. */
export interface Listed {
  readonly keys: readonly Named[];
  /** Names of objects that alone could tell their key, and do not open. */
  readonly damaged: readonly { readonly name: string; readonly error: unknown }[];
}

/** The keys of an archive whose objects have these names; those of others are left out. */
export async function listed(
  operation: string,
  hot: HotSide,
  cold: ColdObjects,
  names: readonly string[],
): Promise<Listed> {
  const keys: Named[] = [];
  const damaged: { name: string; error: unknown }[] = [];
  await sideBySide(names, async (name) => {
    try {
      const key = await cold.keyNamed(name);
      if (key !== undefined && isTaken(operation, hot, key)) keys.push(key);
    } catch (error) {
      if (!isStrataError(error, 'corrupt', 'unsupported')) throw error;
      damaged.push({ name, error });
    }
  });
  return { keys, damaged };
}

/** Whether the archive takes a key. */
function isTaken(operation: string, hot: HotSide, key: Named): boolean {
  try {
    return named(operation, [key.bytes], hot).length === 1;
  } catch (error) {
    if (isStrataError(error, 'invalid-argument')) return false;
    throw error;
  }
}
