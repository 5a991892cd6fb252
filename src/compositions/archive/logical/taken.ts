import type { ColdObject } from '../cold-objects.ts';
import { encodeLogical } from './format.ts';
import { toLogical } from './reply.ts';

/**
 * What the cold store gets of a value. `dump`: what DUMP gives, which brings back every type exactly
 * and quickly, into a Redis of that version or later. `logical`: elements in a documented format,
 * which any version and any compatible server can be given; DUMP for types of modules, which have no
 * such form. `both`: the first, and the second for when the first is refused; strings have only the
 * second, which says all of them, and values of more than 16 MiB only the first.
 */
export type ValueForm = 'both' | 'dump' | 'logical';

/** Beyond this only DUMP is read where both are wanted: of DUMP, and of a string. */
export const MOST_BOTH_BYTES: number = 16 * 1024 * 1024;

/** The logical form of what `take` read of a key, where it did. */
export function takenLogical(type: string, reply: unknown): Pick<ColdObject, 'logical'> {
  if (!Array.isArray(reply)) return {};
  const [content, fieldTimes] = reply as readonly unknown[];
  const value = toLogical(type, { content, fieldTimes });
  return value === undefined ? {} : { logical: encodeLogical(value) };
}
