import { invalidArgument } from '../store/errors.ts';
import * as is from '../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../store/options.ts';
import type { Store } from '../store/store.ts';
import { Subscriber } from './subscriber.ts';
import type { SubscribeOptions, Subscription } from './subscription.ts';
import type { Connector, Transport } from './transports/transport.ts';

const RULES: OptionRules = {
  token: is.either(is.string, is.fn),
  storeId: is.string,
  prefix: is.string,
  codec: is.codec,
  onChange: is.fn,
  onReady: is.fn,
  onError: is.fn,
  reconnect: is.either(is.boolean, is.object),
  timeoutMs: is.durationMs,
  limits: is.object,
  env: is.object,
};

const LIMIT_RULES: OptionRules = {
  creditBytes: is.positive,
  groupBytes: is.positive,
  stageBytes: is.positive,
  stageKeys: is.positive,
  applyTimeoutMs: is.durationMs,
  connectTimeoutMs: is.durationMs,
};

/**
 * Keeps a local store a live copy of a published one: the whole state first, then every change as
 * it happens, in whole groups; each is one commit of the local store together with the cursor, so
 * the copy is at every moment a true state of the source, and resumes where it stopped.
 *
 * `to` is a connector such as `webSocket(url)`, which reconnects, or one transport. Entries keep
 * their origin; those that the application itself wrote locally are never removed.
 *
 * Errors come to `onError` and `ready`: `unavailable`, `denied`, `conflict` for a local store that
 * is a copy of another source, `invalid-argument` for an unknown store id or a missing codec.
 *
 * ```ts
 * const local = memory();
 * const subscription = subscribe(webSocket('ws://localhost:8080'), local, { token });
 * await subscription.ready;
 * subscription.onChange('notes/', ({ key, value }) => show(key, value));
 * await subscription.remote.set('notes/1', 'hello');
 * ```
 */
export function subscribe<V>(
  to: Connector | Transport,
  localStore: Store<V>,
  options: SubscribeOptions<V> = {},
): Subscription<V> {
  if (typeof to !== 'object' || to === null || !('connect' in to || 'send' in to))
    throw invalidArgument('subscribe', 'the connection', to, 'webSocket(url) or a transport');
  checkOptions('subscribe', options, RULES);
  checkOptions('subscribe', options.limits, LIMIT_RULES);
  if (typeof options.reconnect === 'object')
    checkOptions('subscribe', options.reconnect, { baseMs: is.durationMs, capMs: is.durationMs });
  if (options.prefix?.isWellFormed() === false || options.prefix?.startsWith('\u0000'))
    throw invalidArgument('subscribe', 'the option prefix', options.prefix, 'the start of a key');
  return new Subscriber(to, localStore, options);
}
