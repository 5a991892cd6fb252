import { DEFAULT_TIMEOUT_MS } from '../../../store/call.ts';
import type { Primitives } from '../../../store/primitives.ts';
import type { ReadonlyStore } from '../../../store/readonly-store.ts';
import { toCopy, toPlainCopy } from '../copies.ts';
import { SourceName } from '../source.ts';
import { ConditionalCopies, type CopyRules } from './conditional-copies.ts';
import { Lifetime } from './lifetime.ts';
import type { WarmTarget } from './target.ts';

/** The parts between which is copied. */
export interface WarmParts<V> {
  readonly front: Primitives<V>;
  readonly back: Primitives<V>;
  readonly backStore: ReadonlyStore<V>;
}

/** Two stores that no tiered store holds: copies look as its reads would leave them. */
export function plainTarget<V>({ front, back, backStore }: WarmParts<V>): WarmTarget<V> {
  return conditionalTarget({ front, back, backStore }, (id, epochOf) => ({
    copy: (entry) => toCopy(entry, entry.value, { id, epochOf }),
    isCopyOf: (copy, { version }) => copy.origin?.version === version,
    mayReplace: () => true,
  }));
}

/**
 * The parts of an overlay: its own writes and delete marks are never touched. An entry that carries
 * the stamp of another store may be one of them.
 */
export function overlayTarget<V>(
  parts: WarmParts<V>,
  guardKey: (key: string) => string,
): WarmTarget<V> {
  return conditionalTarget(parts, (id, epochOf) => ({
    copy: (entry) => toPlainCopy(entry, entry.value, { id, epochOf }),
    isCopyOf: (copy, { version, origin }) => copy.origin?.version === (origin?.version ?? version),
    mayReplace: ({ origin }) => origin !== undefined && origin.store === id,
    guardKey,
  }));
}

function conditionalTarget<V>(
  { front, back, backStore }: WarmParts<V>,
  rulesOf: (id: string, epochOf: (rev: number) => string) => CopyRules<V>,
): WarmTarget<V> {
  const { env, timeoutMs: stepTimeoutMs = DEFAULT_TIMEOUT_MS } = back;
  const name = new SourceName(back, stepTimeoutMs);
  return {
    env,
    front,
    back,
    backStore,
    stepTimeoutMs,
    lifetime: new Lifetime(),
    deal: async (task, steps) => {
      const named = await name.get();
      const rules = rulesOf(named.id, (rev) => named.epochOf(rev));
      return new ConditionalCopies(front, back, rules).deal(task, steps);
    },
  };
}
