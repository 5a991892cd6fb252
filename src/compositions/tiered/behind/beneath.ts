import { chain } from '../../../kernel/awaitable.ts';
import type { Awaitable } from '../../../store/awaitable.ts';
import { Call } from '../../../store/call.ts';
import type { Entry } from '../../../store/entry.ts';
import type { Policy, TieredParts } from '../tiered-parts.ts';
import type { Needs, ViewSource } from './views.ts';

type Read<V> = (
  keys: readonly string[],
  call: Call,
) => Awaitable<readonly (Entry<V> | undefined)[]>;

/**
 * Where commits see what is not pending. What the front does not have the back is asked for, by a
 * read that begins now: neither a miss that is remembered nor a read under way says what it holds.
 */
export function beneathOf<V>(
  parts: TieredParts<V>,
  { primitives, copies = primitives.readMany }: Policy<V>,
): Pick<ViewSource<V>, 'copies' | 'entries' | 'fresh'> {
  const fresh: Read<V> = (keys, call) => {
    const options = { timeoutMs: call.timeoutMs, fresh: true };
    const part = new Call(parts.env, call.operation, undefined, options);
    const forget = call.onEnd(() => part.end('aborted'));
    const answer = primitives.readMany(keys, part);
    if (answer instanceof Promise) return answer.finally(forget);
    forget();
    return answer;
  };
  // What a front that is read alone holds says nothing of the back.
  if (parts.read === 'front-only') return { copies, entries: fresh, fresh };
  const entries: Read<V> = (keys, call) =>
    chain(copies(keys, call), (found) => {
      const missing = keys.filter((_, i) => found[i] === undefined);
      if (missing.length === 0) return found;
      return chain(fresh(missing, call), (read) => {
        const byKey = new Map(missing.map((key, i) => [key, read[i]]));
        return keys.map((key, i) => found[i] ?? byKey.get(key));
      });
    });
  return { copies, entries, fresh };
}

/** The same for who cannot wait. */
export function beneathNow<V>(
  { read }: TieredParts<V>,
  now: NonNullable<Policy<V>['now']>,
): (key: string, needs: Needs) => Entry<V> | undefined {
  return (key, needs) => {
    if (needs === 'copy') return now.copy(key);
    if (needs === 'base' || read === 'front-only') return now.fresh(key);
    return now.copy(key) ?? now.fresh(key);
  };
}
