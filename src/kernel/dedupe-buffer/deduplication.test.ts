import { describe, expect, test } from 'vitest';
import { feed, HeldSink, take, updateOf, wordsOf } from '../../../test/support/dedupe-words.ts';
import { settled } from '../../testing/settled.ts';
import { DedupeBuffer, type DedupeUpdate } from './index.ts';

type Give = (buffer: DedupeBuffer<string>, ...words: string[]) => void;

/** The two ways in: with the keys at hand, and without. */
const ways: Readonly<Record<string, Give>> = {
  onUpdates: (buffer, ...words) => buffer.onUpdates(words.map(updateOf)),
  onUpdatesKeysKnown: (buffer, ...words) => {
    const updates = words.map(updateOf);
    buffer.onUpdatesKeysKnown(
      updates,
      updates.map(({ key }) => key),
    );
  },
};

/** A buffer whose sink has taken all of this. */
function drained(...words: string[]): DedupeBuffer<string> {
  const buffer = new DedupeBuffer<string>();
  feed(buffer, ...words);
  while (buffer.tryNext() !== 'empty');
  return buffer;
}

describe.each(Object.entries(ways))('by %s', (_, give) => {
  test('no duplicates: order, kinds, and a reverted delete is one update', () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'wait-for-datastore', 'resync');
    give(buffer, 'a=1');
    give(buffer, 'b=2');
    feed(buffer, 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'a=1 new', 'b=2 new', 'in-sync']);
    give(buffer, 'a=');
    expect(wordsOf(buffer.tryNext())).toEqual(['a deleted']);
    give(buffer, 'b=', 'b=3');
    expect(wordsOf(buffer.tryNext())).toEqual(['b=3 updated']);
    give(buffer, 'a=1', 'b=2');
    expect(wordsOf(buffer.tryNext())).toEqual(['a=1 new', 'b=2 updated']);
  });

  test('duplicates: replaced in place, cancelled out, statuses squashed', () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'wait-for-datastore', 'resync');
    give(buffer, 'a=1', 'b=1', 'c=1', 'a=2', 'b=');
    feed(buffer, 'in-sync', 'resync', 'resync', 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'a=2 new', 'c=1 new', 'in-sync']);
    expect(buffer.tryNext()).toBe('empty');
  });
});

describe('resync', () => {
  test('the same, changed, deleted and new keys', () => {
    const buffer = drained('resync', 'same=1', 'changed=1', 'gone=1', 'in-sync');
    feed(buffer, 'reconnect', 'resync', 'same=1', 'changed=2', 'fresh=1', 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual([
      'resync',
      'same=1 updated',
      'changed=2 updated',
      'fresh=1 new',
      'gone deleted',
      'in-sync',
    ]);
    feed(buffer, 'reconnect', 'in-sync');
    expect(wordsOf(buffer.tryNext()).sort()).toEqual(
      ['changed deleted', 'fresh deleted', 'in-sync', 'same deleted'].sort(),
    );
  });

  test('a second resync before anything was taken discards the first', () => {
    const buffer = drained('a=1', 'in-sync');
    feed(buffer, 'reconnect', 'resync', 'a=2', 'b=2', 'in-sync');
    feed(buffer, 'reconnect', 'resync', 'c=3', 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'c=3 new', 'a deleted', 'in-sync']);
  });

  test('a second resync after the first was taken deletes at in-sync only', () => {
    const buffer = drained('a=1', 'in-sync');
    feed(buffer, 'reconnect', 'resync', 'b=2');
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'b=2 new']);
    feed(buffer, 'reconnect', 'resync', 'c=3');
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'c=3 new']);
    feed(buffer, 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['a deleted', 'b deleted', 'in-sync']);
  });

  test('with nothing to delete', () => {
    const buffer = drained('resync', 'a=1', 'in-sync');
    feed(buffer, 'reconnect', 'resync', 'a=1', 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'a=1 updated', 'in-sync']);
    feed(buffer, 'in-sync');
    expect(buffer.tryNext()).toBe('empty');
  });

  test('at a server that is not in sync itself yet', () => {
    const buffer = drained('resync', 'a=1', 'b=1', 'in-sync');
    feed(buffer, 'reconnect', 'wait-for-datastore');
    expect(wordsOf(buffer.tryNext())).toEqual(['wait-for-datastore']);
    feed(buffer, 'resync', 'a=1');
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'a=1 updated']);
    feed(buffer, 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['b deleted', 'in-sync']);
  });

  test('a status discarded with the queue is told when it comes again', () => {
    const buffer = drained('resync', 'a=1');
    feed(buffer, 'in-sync', 'reconnect', 'a=1', 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['a=1 updated', 'in-sync']);
    feed(buffer, 'reconnect', 'a=2', 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['a=2 updated', 'in-sync']);
  });

  test('a delete during the resync is one, whatever comes of it', () => {
    const buffer = drained('a=1', 'in-sync');
    feed(buffer, 'reconnect', 'resync', 'a=2', 'a=', 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'a deleted', 'in-sync']);
    feed(buffer, 'reconnect', 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['in-sync']);
  });

  test('deletes are made with the fields that updates have', () => {
    type Named = DedupeUpdate<string> & { readonly from: string };
    const buffer = new DedupeBuffer<string, Named>({
      deleteOf: (key) => ({ key, deleted: true, from: 'resync' }),
    });
    buffer.onUpdates([{ key: 'a', value: '1', from: 'source' }]);
    buffer.tryNext();
    buffer.onReconnect();
    buffer.onStatusUpdated('in-sync');
    expect(buffer.tryNext()).toMatchObject({
      updates: [{ key: 'a', deleted: true, from: 'resync', kind: 'deleted' }],
    });
  });
});

test('a blocked sink: deduplication, order, and a key never sent is never deleted', async () => {
  const buffer = new DedupeBuffer<string>();
  const sink = new HeldSink();
  const sending = buffer.sendToSink(sink);
  feed(buffer, 'a=1');
  await settled();
  expect(sink.told).toEqual(['a=1 new']);
  for (let i = 0; i < 100; i++) feed(buffer, 'b=1', `c=${i}`, `a=${i}`, 'b=', 'd=1', 'd=', 'e=');
  expect(buffer.size).toBe(2);
  sink.release();
  await settled();
  expect(sink.told.splice(0)).toEqual(['a=1 new', 'c=99 new', 'a=99 updated']);
  feed(buffer, 'a=', 'b=', 'c=');
  sink.release();
  await settled();
  expect(sink.told).toEqual(['a deleted', 'c deleted']);
  sink.release();
  await buffer.stop({ drain: true });
  await sending;
});

describe('status marks', () => {
  test('no update passes one: a key is told before it and after it', () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'resync', 'a=1', 'b=1', 'in-sync', 'a=2', 'c=1');
    expect(buffer.get('a')).toEqual({ key: 'a', value: '2' });
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'a=1 new', 'b=1 new', 'in-sync']);
    expect(wordsOf(buffer.tryNext())).toEqual(['a=2 updated', 'c=1 new']);
  });

  test('no delete does: the state at the mark has the key', () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1', 'in-sync', 'a=');
    expect(wordsOf(buffer.tryNext())).toEqual(['a=1 new', 'in-sync']);
    expect(wordsOf(buffer.tryNext())).toEqual(['a deleted']);
  });

  test('everything is one window where no key is on both sides', () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'resync', 'a=1', 'in-sync', 'b=1');
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'a=1 new', 'in-sync', 'b=1 new']);
  });

  test('a third segment makes one of two, and its mark supersedes the older', () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'resync', 'a=1', 'b=1', 'in-sync', 'b=2', 'a=', 'c=2', 'resync', 'd=3');
    expect(wordsOf(buffer.tryNext())).toEqual([
      ...['resync', 'b=2 new', 'c=2 new'],
      ...['resync', 'd=3 new'],
    ]);
  });
});

describe('cancelUnseen: false', () => {
  test('deletes of keys that the sink may hold are kept', () => {
    const buffer = new DedupeBuffer<string>({ cancelUnseen: false });
    feed(buffer, 'a=1', 'a=', 'b=');
    expect(wordsOf(buffer.tryNext())).toEqual(['a deleted', 'b deleted']);
  });

  test('and what a reconnect discards is deleted unless it is seen again', () => {
    const buffer = new DedupeBuffer<string>({ cancelUnseen: false });
    feed(buffer, 'a=1', 'b=', 'c=1', 'reconnect', 'c=2', 'in-sync');
    expect(wordsOf(buffer.tryNext())).toEqual(['c=2 new', 'a deleted', 'b deleted', 'in-sync']);
  });
});

test('without trackSeen nothing is known of the sink', () => {
  const buffer = new DedupeBuffer<string>({ trackSeen: false });
  feed(buffer, 'a=1', 'a=', 'b=1');
  expect(wordsOf(take(buffer))).toEqual(['a deleted', 'b=1 updated']);
  expect(() => buffer.onReconnect()).toThrow(expect.objectContaining({ code: 'unsupported' }));
});
