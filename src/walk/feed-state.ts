import { Call } from '../store/call.ts';
import type { Feed, FeedState } from '../store/primitives.ts';
import type { LinkReaderInit } from './link-reader.ts';

/** Where a store's history stands now. */
export async function feedState<V>(
  feed: Feed<V>,
  { env, operation, signal, timeoutMs }: Omit<LinkReaderInit<V>, 'store' | 'walker'>,
): Promise<FeedState> {
  const call = new Call(env, operation, undefined, { signal, timeoutMs });
  call.throwIfEnded();
  return call.guard(Promise.resolve(feed.state(call)));
}
