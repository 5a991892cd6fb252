import { expect, test } from 'vitest';
import { DedupeBuffer, type DedupeStatus } from './index.ts';

const put = (key: string, value: unknown) => ({ key, value });
const del = (key: string) => ({ key, deleted: true }) as const;

/** What the sink is told, as words: `a=1 new`, `a deleted`, `in-sync`. */
function wordsOf(window: ReturnType<DedupeBuffer<unknown>['tryNext']>): string[] {
  if (typeof window === 'string') return [window];
  return window.parts.flatMap((part) =>
    part.type === 'status'
      ? [part.status]
      : part.updates.map(({ key, value, kind }) =>
          kind === 'deleted' ? `${key} deleted` : `${key}=${value} ${kind}`,
        ),
  );
}

test('a later update takes the place of an earlier one, within its segment', () => {
  const buffer = new DedupeBuffer<unknown>();
  for (const step of ['resync', put('a', 1), put('b', 1), put('a', 2), 'in-sync', put('a', 3)])
    if (typeof step === 'string') buffer.onStatusUpdated(step as DedupeStatus);
    else buffer.onUpdates([step]);
  expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'a=2 new', 'b=1 new', 'in-sync']);
  expect(wordsOf(buffer.tryNext())).toEqual(['a=3 updated']);
  expect(buffer.tryNext()).toBe('empty');
  buffer.onUpdates([del('a'), put('c', 1), del('c')]);
  expect(wordsOf(buffer.tryNext())).toEqual(['a deleted']);
});

test('a window put back stands before newer updates, which it does not replace', () => {
  const buffer = new DedupeBuffer<unknown>();
  buffer.onUpdates([put('a', 1), put('b', 1)]);
  const window = buffer.tryNext();
  if (typeof window === 'string') throw new Error(window);
  buffer.onUpdates([put('c', 2), put('a', 2), del('b')]);
  buffer.requeue(window);
  expect(wordsOf(buffer.tryNext())).toEqual(['a=2 new', 'b deleted', 'c=2 new']);
});

test('sendToSink sends until the buffer is stopped', async () => {
  const buffer = new DedupeBuffer<number>();
  const seen: unknown[] = [];
  const sending = buffer.sendToSink({
    onUpdates: async (updates) => void seen.push(...updates),
    onStatusUpdated: (status) => void seen.push(status),
  });
  buffer.onUpdates([{ key: 'a', value: 1 }]);
  buffer.onStatusUpdated('in-sync');
  expect(await buffer.stop({ drain: true })).toEqual({ left: 0 });
  await sending;
  expect(seen).toEqual([{ key: 'a', value: 1, kind: 'new' }, 'in-sync']);
});
