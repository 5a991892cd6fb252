import { delegate, delegateBlocking } from '../../kernel/delegate.ts';
import { defineStore } from '../../store/define-store.ts';
import { invalidArgument } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import type { Primitives } from '../../store/primitives.ts';
import type { Store, StoreWithBlocking } from '../../store/store.ts';
import { type EventPublisher, hostChannel } from './events.ts';
import { recordBlocking, recordFeed, recordOperations } from './record.ts';
import { type ObservedHooks, type ObservedStats, Recorder } from './recorder.ts';

export {
  type EventPublisher,
  OPERATION_CHANNEL,
  type OperationEnd,
  type OperationStart,
} from './events.ts';
export type { ObservedHooks, ObservedStats, OperationStats } from './recorder.ts';

/** Options of `observed`. */
export interface ObservedOptions extends ObservedHooks {
  /** Names the store in events and counters; default its type. */
  readonly name?: string;
  /**
   * Publishes every `OperationEnd` on the diagnostics channel `stratakv:operation`, where the host
   * has one (Node), or to a publisher of your own. Costs nothing while nobody subscribes. Default true.
   */
  readonly diagnostics?: boolean | EventPublisher;
  /** Hears of hooks that threw. Default: they are only counted, as `hookErrors`. */
  readonly onHookError?: (error: unknown) => void;
  /** Whether closing closes the store inside; default true. */
  readonly closeInner?: boolean;
}

const isPublisher = (value: unknown): boolean =>
  typeof (value as Partial<EventPublisher> | null)?.publish === 'function';

const RULES: OptionRules = {
  name: is.text,
  before: is.fn,
  after: is.fn,
  diagnostics: is.either(is.boolean, { expected: 'a publisher', accepts: isPublisher }),
  onHookError: is.fn,
  closeInner: is.boolean,
};

const recorders = new WeakMap<Primitives<unknown>, Recorder>();

/**
 * The same store, with its operations counted and told: to hooks, to `observedStats` and to Node's
 * diagnostics channel. A hook that throws breaks nothing; hooks run within the call, so they should
 * be quick.
 *
 * ```ts
 * const store = observed(lmdb({ path }), { name: 'users', after: (end) => log(end) });
 * observedStats(store).operations.get?.count;
 * ```
 */
export function observed<V>(
  store: StoreWithBlocking<V>,
  options?: ObservedOptions,
): StoreWithBlocking<V>;
export function observed<V>(store: Store<V>, options?: ObservedOptions): Store<V>;
export function observed<V>(store: Store<V>, options: ObservedOptions = {}): Store<V> {
  checkOptions('observed', options, RULES);
  const inner = primitivesOf(store, 'observed');
  const { name = inner.shape.type, before, after, diagnostics = true } = options;
  const recorder = new Recorder({
    name,
    env: inner.env,
    publisher:
      typeof diagnostics === 'object' ? diagnostics : diagnostics ? hostChannel() : undefined,
    onHookError: options.onHookError ?? (() => {}),
    ...(before !== undefined && { before }),
    ...(after !== undefined && { after }),
  });
  const primitives: Primitives<V> = {
    ...withRecorder(inner, recorder),
    shape: {
      type: 'observed',
      ...(options.name !== undefined && { details: { name } }),
      parts: { inner: inner.shape },
    },
    close: async () => {
      if (options.closeInner !== false) await store.close();
    },
  };
  recorders.set(primitives as Primitives<unknown>, recorder);
  return defineStore(primitives);
}

/** The counters of a store made by `observed`; anything else fails with `invalid-argument`. */
export function observedStats(store: Store<never> | Store<unknown>): ObservedStats {
  const recorder = recorders.get(primitivesOf(store as Store<unknown>, 'observedStats'));
  if (recorder === undefined)
    throw invalidArgument('observedStats', 'the store', store, 'a store made by observed');
  return recorder.stats();
}

function withRecorder<V>(inner: Primitives<V>, recorder: Recorder): Primitives<V> {
  const { feed, blocking, bytes, codec } = inner;
  const { peek, ...passed } = delegate(inner);
  return {
    ...passed,
    ...(codec !== undefined && { codec }),
    ...(bytes !== undefined && { bytes: withRecorder(bytes, recorder) }),
    ...recordOperations(inner, recorder),
    ...(feed !== undefined && { feed: recordFeed(feed, recorder) }),
    ...(blocking !== undefined && {
      blocking: { ...delegateBlocking(blocking), ...recordBlocking(blocking, recorder) },
    }),
  };
}
