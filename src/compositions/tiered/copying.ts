import { chain } from '../../kernel/awaitable.ts';
import { delegate, delegateBlocking, delegateFeed } from '../../kernel/delegate.ts';
import type { Change, Entry } from '../../store/entry.ts';
import type {
  BlockingPrimitives,
  Feed,
  FeedPage,
  Primitives,
  Write,
} from '../../store/primitives.ts';

/**
 * The back as it is to be used beside this front. Where only the back shares references (`guard`),
 * its values are copied either way: nothing else would keep them apart.
 */
export function copyingFor<V>(front: Primitives<V>, back: Primitives<V>): Primitives<V> {
  const copy = front.guard === undefined ? back.guard?.bind(back) : undefined;
  return copy === undefined ? back : copying(back, copy);
}

function copying<V>(inner: Primitives<V>, copy: (value: V) => V): Primitives<V> {
  const { feed, blocking, codec } = inner;
  const out = (entry: Entry<V> | undefined): Entry<V> | undefined =>
    entry && { ...entry, value: copy(entry.value) };
  const { peek: _peek, readValue: _readValue, guard: _guard, ...rest } = delegate(inner);
  return {
    ...rest,
    ...(codec !== undefined && { codec }),
    readOne: (key, call) => chain(inner.readOne(key, call), out),
    readMany: (keys, call) => chain(inner.readMany(keys, call), (entries) => entries.map(out)),
    async *scan(range, call) {
      for await (const page of inner.scan(range, call))
        yield page.map((entry) => ({ ...entry, value: copy(entry.value) }));
    },
    commit: (writes, call) => inner.commit(copied(writes, copy), call),
    ...(feed !== undefined && { feed: copyingFeed(feed, copy) }),
    ...(blocking !== undefined && { blocking: copyingBlocking(blocking, copy, out) }),
  };
}

function copyingFeed<V>(inner: Feed<V>, copy: (value: V) => V): Feed<V> {
  const out = (change: Change<V>): Change<V> =>
    change.type === 'set' ? { ...change, value: copy(change.value) } : change;
  return {
    ...delegateFeed(inner),
    async *read(after, call): AsyncGenerator<FeedPage<V>> {
      for await (const page of inner.read(after, call))
        yield { ...page, changes: page.changes.map(out) };
    },
  };
}

function copyingBlocking<V>(
  inner: BlockingPrimitives<V>,
  copy: (value: V) => V,
  out: (entry: Entry<V> | undefined) => Entry<V> | undefined,
): BlockingPrimitives<V> {
  const { readValue: _, ...rest } = delegateBlocking(inner);
  return {
    ...rest,
    readOne: (key) => out(inner.readOne(key)),
    *scan(range) {
      for (const entry of inner.scan(range)) yield { ...entry, value: copy(entry.value) };
    },
    commit: (writes, operation) => inner.commit(copied(writes, copy), operation),
  };
}

function copied<V>(writes: readonly Write<V>[], copy: (value: V) => V): Write<V>[] {
  return writes.map((write) =>
    write.type === 'set' ? { ...write, value: copy(write.value) } : write,
  );
}
