import { Call } from '../../store/call.ts';
import { failure, invalidArgument } from '../../store/errors.ts';
import type { CallOptions } from '../../store/operations.ts';
import * as is from '../../store/option-rules.ts';
import { CALL_RULES, checkOptions } from '../../store/options.ts';
import type { Store } from '../../store/store.ts';
import { NO_PENDING, type Pending } from './events.ts';
import type { Policy } from './tiered-parts.ts';
import type { TieredControls, TieredStore } from './tiered-store.ts';
import { warmTarget } from './warming/index.ts';

const CLOSE_RULES = { drainMs: { expected: 'a number of ms', accepts: isDrainMs } };

function isDrainMs(value: unknown): boolean {
  return value === 0 || is.durationMs.accepts(value);
}

/** Adds the controls of a tiered store to the store that its primitives make. */
export function withControls<V>(
  store: Store<V>,
  { primitives, status, behind, warming }: Policy<V>,
): TieredStore<V> {
  const pending = (): Pending => behind?.pending() ?? NO_PENDING;
  const closeStore = store.close.bind(store);
  const boundedCall = (operation: string, options: CallOptions | undefined): Call => {
    checkOptions(operation, options, CALL_RULES);
    const call = new Call(primitives.env, operation, undefined, options, primitives.timeoutMs);
    call.throwIfEnded();
    return call;
  };
  const controls: Omit<TieredControls<V>, 'close'> & {
    close(options?: { readonly drainMs?: number }): Promise<Pending>;
  } = {
    status,
    pending,
    flush: async (options) => {
      checkOptions('flush', options, CALL_RULES);
      const call = new Call(primitives.env, 'flush', undefined, options, Number.POSITIVE_INFINITY);
      call.throwIfEnded();
      if (behind !== undefined) await call.guard(behind.flush(call));
      return pending();
    },
    deadLetters: async (options) => {
      const call = boundedCall('deadLetters', options);
      return behind === undefined ? [] : call.guard(behind.deadLetters(call));
    },
    forgetDeadLetters: async (ids, options) => {
      const call = boundedCall('forgetDeadLetters', options);
      if (typeof ids === 'string' || typeof ids?.[Symbol.iterator] !== 'function')
        throw invalidArgument('forgetDeadLetters', 'the ids argument', ids, 'an iterable of ids');
      if (behind !== undefined) await call.guard(behind.forgetDeadLetters([...ids], call));
    },
    warm: async (options) => {
      if (warming === undefined)
        throw failure('unsupported', 'warm', 'the front of this tiered store cannot be warmed');
      return warmTarget(warming, options);
    },
    close: async (options) => {
      checkOptions('close', options, CLOSE_RULES);
      if (options?.drainMs !== undefined) behind?.drainWithin(options.drainMs);
      await closeStore();
      return pending();
    },
  };
  return Object.assign(store, controls) as TieredStore<V>;
}
