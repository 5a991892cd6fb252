import { withoutSecrets } from '../../config/address.ts';
import { defineStore } from '../../store/define-store.ts';
import { isStrataError, StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { type Subscription, subscribe, webSocket } from '../../sync/index.ts';

export interface RemoteOptions {
  readonly token: string | undefined;
  /** Copies only this part. */
  readonly prefix?: string;
  /** Copies nothing, for a command that reads nothing. */
  readonly withoutCopy: boolean;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  /** Hears of what goes wrong later; `final` when the subscription cannot go on. */
  onTrouble(error: Error, final: boolean): void;
}

/** No key begins so. */
const NOTHING = '\u0001stratakv\u0001nothing\u0001';

/**
 * A served store, by way of a local copy: reads and the feed come from the copy, writes go to the
 * server. Resolves when the copy is up to date. Errors: `unavailable`, `denied`, `conflict` for a
 * copy of another store, `invalid-argument` for an unknown one.
 */
export async function openRemote(
  url: string,
  local: Store<Uint8Array>,
  options: RemoteOptions,
): Promise<Store<Uint8Array>> {
  const { token, timeoutMs, withoutCopy } = options;
  const prefix = withoutCopy && options.prefix === undefined ? NOTHING : options.prefix;
  let isOpen = false;
  const subscription = subscribe(webSocket(url), local, {
    ...(token !== undefined && { token }),
    ...(prefix !== undefined && { prefix }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    onError: (error) => {
      if (isOpen) options.onTrouble(error, subscription.status().state === 'closed');
    },
  });
  try {
    if (!withoutCopy) await orStopped(subscription.ready, options.signal);
  } catch (error) {
    await subscription.close();
    throw explain(error, url, options);
  }
  isOpen = true;
  return combine(url, local, subscription);
}

/** What the user of the command can do about it. */
function explain(
  error: unknown,
  url: string,
  { token, timeoutMs = 5_000 }: RemoteOptions,
): unknown {
  if (isStrataError(error, 'unavailable')) {
    const what = `nothing has answered at ${withoutSecrets(url)} within ${timeoutMs} ms`;
    return new StrataError('unavailable', `open: ${what}`, { operation: 'open', cause: error });
  }
  if (isStrataError(error, 'denied') && token === undefined) {
    const what = `${error.message}; give it in STRATAKV_TOKEN or with --token-file`;
    return new StrataError('denied', what, { operation: error.operation, cause: error });
  }
  return error;
}

/** Reads and writes of the subscription, and the feed of the copy. */
function combine(
  url: string,
  local: Store<Uint8Array>,
  subscription: Subscription<Uint8Array>,
): Store<Uint8Array> {
  const remote = primitivesOf(subscription.remote);
  const { feed, shape } = primitivesOf(local);
  return defineStore({
    ...remote,
    shape: { type: 'subscriber', details: { url }, parts: { copy: shape } },
    capabilities: Object.freeze({ ...remote.capabilities, feed: feed !== undefined }),
    ...(feed !== undefined && { feed }),
    close: () => subscription.close(),
  });
}

function orStopped<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = (): void =>
      reject(new StrataError('aborted', 'subscribe: stopped', { operation: 'subscribe' }));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
