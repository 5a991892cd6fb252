import { delegate, delegateFeed } from '../../kernel/delegate.ts';
import { Turns } from '../../kernel/turns.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import { invalidArgument } from '../../store/errors.ts';
import type { Feed, Primitives } from '../../store/primitives.ts';
import type { Seal } from './seal.ts';
import { SealedCommit } from './sealed-commit.ts';
import { SealedValues } from './sealed-values.ts';

type Bytes = Uint8Array;

/** Primitives whose values are frozen on their way in and thawed on their way out. */
export function withSeal(inner: Primitives<Bytes>, seal: Seal, storeId: string): Primitives<Bytes> {
  const values = new SealedValues(inner, seal, storeId);
  const turns = new Turns();
  const { feed } = inner;
  // Neither `peek` nor a synchronous half: opening a value takes a promise.
  const { peek: _, blocking: __, guard: ___, checkValue: ____, ...passed } = delegate(inner);
  return {
    ...passed,
    capabilities: Object.freeze({ ...inner.capabilities, ...bound(inner, seal), blocking: false }),
    readOne: async (key, call) => {
      const entry = await inner.readOne(key, call);
      return entry && values.entry(call.operation, entry);
    },
    ...(inner.readValue !== undefined && {
      readValue: async (key: string, call: Call) => {
        const stored = await inner.readValue?.(key, call);
        return stored && values.thaw(call.operation, key, stored);
      },
    }),
    readMany: async (keys, call) => {
      const entries = await inner.readMany(keys, call);
      return Promise.all(entries.map((entry) => entry && values.entry(call.operation, entry)));
    },
    async *scan(range, call) {
      for await (const page of inner.scan(range, call))
        yield await Promise.all(page.map((entry) => values.entry(call.operation, entry)));
    },
    // The store inside is asked about what it is given: the sealed bytes.
    checkValue: (operation, key, value: unknown) => {
      if (!(value instanceof Uint8Array))
        throw invalidArgument(operation, 'the value', value, 'a Uint8Array', key);
    },
    commit(writes, call): Awaitable<Awaited<ReturnType<Primitives<Bytes>['commit']>>> {
      const commit = new SealedCommit(inner, values, writes, call);
      return turns.take(commit.prepare(), call, (ready) => commit.run(ready));
    },
    ...(feed !== undefined && { feed: sealedFeed(feed, values) }),
  };
}

function sealedFeed(feed: Feed<Bytes>, values: SealedValues): Feed<Bytes> {
  return {
    ...delegateFeed(feed),
    async *read(after, call) {
      for await (const page of feed.read(after, call))
        yield { ...page, changes: await values.changes(call.operation, page.changes) };
    },
  };
}

/** The largest value that is sure to fit when sealed. */
function bound(inner: Primitives<Bytes>, seal: Seal): { maxValueBytes?: number } {
  const room = inner.capabilities.maxValueBytes ?? Number.POSITIVE_INFINITY;
  const most = Math.min(
    seal.maxBytes ?? Number.POSITIVE_INFINITY,
    Math.max(0, room - (seal.overheadBytes ?? 0)),
  );
  return most === Number.POSITIVE_INFINITY ? {} : { maxValueBytes: most };
}
