import { describe, expect, test } from 'vitest';
import { feed, take, wordsOf } from '../../../test/support/dedupe-words.ts';
import { settled } from '../../testing/settled.ts';
import { DedupeBuffer, type DedupeUpdate } from './index.ts';

const withCode = (code: string): unknown => expect.objectContaining({ code });

describe('next', () => {
  test('gives everything queued by the time that the consumer gets to it, as one window', async () => {
    const buffer = new DedupeBuffer<string>();
    const next = buffer.next();
    feed(buffer, 'resync', 'a=1');
    feed(buffer, 'b=1', 'a=2', 'in-sync');
    const window = await next;
    expect(wordsOf(window)).toEqual(['resync', 'a=2 new', 'b=1 new', 'in-sync']);
    feed(buffer, 'c=1');
    expect(wordsOf(await buffer.next())).toEqual(['c=1 new']);
  });

  test('goes on waiting when what woke it was cancelled out', async () => {
    const buffer = new DedupeBuffer<string>();
    const next = buffer.next();
    feed(buffer, 'a=1', 'a=');
    await settled();
    feed(buffer, 'b=1');
    expect(wordsOf(await next)).toEqual(['b=1 new']);
  });

  const wakers: Readonly<Record<string, readonly string[]>> = {
    'an update': ['z=1'],
    'a delete': ['b='],
    'a status': ['resync'],
    'the deletes after a reconnect': ['reconnect', 'in-sync'],
    'what comes after a reconnect emptied the queue': ['a=5', 'reconnect', 'a=6'],
  };
  test.each(Object.entries(wakers))('is woken by %s', async (_, words) => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1', 'b=1', 'in-sync');
    take(buffer);
    expect(buffer.tryNext()).toBe('empty');
    const next = buffer.next();
    await settled();
    feed(buffer, ...words);
    expect(await next).toMatchObject({ parts: expect.any(Array) });
    expect(buffer.length).toBe(0);
  });

  test('ends by its signal and takes nothing, however late the signal comes', async () => {
    const buffer = new DedupeBuffer<string>();
    await expect(buffer.next({ signal: AbortSignal.abort() })).rejects.toEqual(withCode('aborted'));
    const aborter = new AbortController();
    const waiting = buffer.next({ signal: aborter.signal });
    aborter.abort(new Error('enough'));
    await expect(waiting).rejects.toMatchObject({ code: 'aborted', cause: { message: 'enough' } });
    const late = new AbortController();
    const woken = buffer.next({ signal: late.signal });
    feed(buffer, 'a=1');
    late.abort();
    await expect(woken).rejects.toEqual(withCode('aborted'));
    expect(wordsOf(await buffer.next())).toEqual(['a=1 new']);
  });

  test('that was aborted has not acknowledged the window before', async () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1');
    const window = take(buffer);
    await expect(buffer.next({ signal: AbortSignal.abort() })).rejects.toEqual(withCode('aborted'));
    buffer.requeue(window);
    expect(buffer.size).toBe(1);
  });

  test('is for one consumer', async () => {
    const buffer = new DedupeBuffer<string>();
    const first = buffer.next();
    await expect(buffer.next()).rejects.toEqual(withCode('conflict'));
    expect(() => buffer.tryNext()).toThrow(withCode('conflict'));
    const sink = { onUpdates: () => undefined, onStatusUpdated: () => undefined };
    await expect(buffer.sendToSink(sink)).rejects.toEqual(withCode('conflict'));
    feed(buffer, 'a=1');
    expect(wordsOf(await first)).toEqual(['a=1 new']);
  });
});

describe('an empty queue and a stopped one', () => {
  test('are told apart', async () => {
    const buffer = new DedupeBuffer<string>();
    expect(buffer.tryNext()).toBe('empty');
    const next = buffer.next();
    await buffer.stop();
    expect(await next).toBe('stopped');
    expect(buffer.tryNext()).toBe('stopped');
    expect(await buffer.next()).toBe('stopped');
  });
});

describe('the window in flight', () => {
  test('is known until the next one is asked for', () => {
    const buffer = new DedupeBuffer<string>();
    expect(buffer.inFlight).toBeUndefined();
    feed(buffer, 'a=1', 'b=1');
    const window = take(buffer);
    expect(buffer.inFlight).toBe(window);
    expect(buffer.size).toBe(0);
    expect(buffer.get('a')).toBeUndefined();
    expect(window.get('a')).toEqual({ key: 'a', value: '1' });
    expect(window.get('z')).toBeUndefined();
    feed(buffer, 'a=2');
    expect(window.updates).toHaveLength(2);
    expect(window.get('a')).toEqual({ key: 'a', value: '1' });
    const next = take(buffer);
    expect(buffer.inFlight).toBe(next);
    buffer.acknowledge(next);
    expect(buffer.inFlight).toBeUndefined();
    expect(() => buffer.acknowledge(next)).toThrow(withCode('invalid-argument'));
    expect(() => buffer.requeue(window)).toThrow(withCode('invalid-argument'));
    expect(() => buffer.requeue('window' as never)).toThrow(withCode('invalid-argument'));
  });

  test('put back stands before newer updates, which it does not replace', () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1', 'b=1', 'c=1');
    const window = take(buffer);
    feed(buffer, 'd=2', 'a=2', 'b=');
    buffer.requeue(window);
    expect(buffer.size).toBe(4);
    expect(wordsOf(buffer.tryNext())).toEqual(['a=2 new', 'b deleted', 'c=1 new', 'd=2 new']);
  });

  test('put back again and again stays within the bound', () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'resync', 'a=0', 'b=0', 'in-sync');
    for (let i = 1; i <= 100; i++) {
      const window = take(buffer);
      feed(buffer, 'resync', `a=${i}`, 'in-sync', `b=${i}`);
      buffer.requeue(window);
      expect(buffer.length).toBeLessThanOrEqual(2 * 2 + 2);
    }
    const told = [...wordsOf(buffer.tryNext()), ...wordsOf(buffer.tryNext())];
    expect(told.slice(-2)).toEqual(['in-sync', 'b=100 updated']);
    expect(told).toContain('a=100 new');
  });

  test('put back tells the kinds that were told, unless the newer update differs', () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1', 'b=1');
    take(buffer);
    feed(buffer, 'a=', 'b=2', 'c=1');
    const window = take(buffer);
    expect(wordsOf(window)).toEqual(['a deleted', 'b=2 updated', 'c=1 new']);
    buffer.requeue(window);
    feed(buffer, 'a=3');
    expect(wordsOf(buffer.tryNext())).toEqual(['a=3 updated', 'b=2 updated', 'c=1 new']);
  });

  test('put back and discarded by a reconnect leaves nothing at the sink', () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1');
    buffer.requeue(take(buffer));
    feed(buffer, 'reconnect', 'resync', 'b=1', 'in-sync');
    // The sink may have taken `a` before it failed.
    expect(wordsOf(buffer.tryNext())).toEqual(['resync', 'b=1 new', 'a deleted', 'in-sync']);
  });
});

describe('updates', () => {
  test('are handed through with the fields of their giver, and found as they were', () => {
    type Owned = DedupeUpdate<string> & { readonly payload: object };
    const buffer = new DedupeBuffer<string, Owned>();
    const payload = { bytes: new Uint8Array(3) };
    const update: Owned = { key: 'a', value: '1', payload };
    buffer.onUpdates([update]);
    expect(buffer.get('a')).toBe(update);
    const window = buffer.tryNext();
    if (typeof window === 'string') throw new Error(window);
    expect(window.updates).toEqual([{ key: 'a', value: '1', payload, kind: 'new' }]);
    expect(window.updates[0]?.payload).toBe(payload);
    expect(window.get('a')).toBe(update);
    expect(update).not.toHaveProperty('kind');
  });

  test('may have any value but undefined, and say that they are not deleted', () => {
    const buffer = new DedupeBuffer<unknown>();
    const values = [null, false, 0, ''];
    buffer.onUpdates(values.map((value, i) => ({ key: `${i}`, value, deleted: false })));
    expect(buffer.tryNext()).toMatchObject({
      updates: values.map((value) => ({ value, kind: 'new' })),
    });
  });

  test('go through buffers in a row', async () => {
    const [first, second] = [new DedupeBuffer<string>(), new DedupeBuffer<string>()];
    const sending = first.sendToSink(second);
    feed(first, 'resync', 'a=1', 'in-sync');
    await first.stop({ drain: true });
    await sending;
    expect(wordsOf(second.tryNext())).toEqual(['resync', 'a=1 new', 'in-sync']);
  });

  test('come in arrays that are not kept', () => {
    const buffer = new DedupeBuffer<string>();
    const updates: DedupeUpdate<string>[] = [{ key: 'a', value: '1' }];
    const keys = ['a'];
    buffer.onUpdatesKeysKnown(updates, keys);
    updates[0] = { key: 'b', value: '2' };
    keys[0] = 'c';
    expect(wordsOf(buffer.tryNext())).toEqual(['a=1 new']);
  });

  test('have the key that is known, else their own', () => {
    const buffer = new DedupeBuffer<string>();
    const updates = ['a', 'b', 'c', 'd'].map((key) => ({ key, value: '1' }));
    buffer.onUpdatesKeysKnown(updates, ['known', '', undefined]);
    expect(wordsOf(buffer.tryNext())).toEqual(['known=1 new', 'b=1 new', 'c=1 new', 'd=1 new']);
  });
});

describe('what is no input is refused before anything is changed', () => {
  const good = { key: 'a', value: '1' };
  const calls: Readonly<Record<string, (buffer: DedupeBuffer<string>) => void>> = {
    'no array': (buffer) => buffer.onUpdates(good as never),
    'no update': (buffer) => buffer.onUpdates([good, null as never]),
    'a hole': (buffer) => buffer.onUpdates([good, undefined as never]),
    'no key': (buffer) => buffer.onUpdates([good, { value: '1' } as never]),
    'an empty key': (buffer) => buffer.onUpdates([good, { key: '', value: '1' }]),
    'a key that is no string': (buffer) =>
      buffer.onUpdates([good, { key: 1, value: '1' } as never]),
    'neither value nor delete': (buffer) => buffer.onUpdates([good, { key: 'b' } as never]),
    'both of them': (buffer) =>
      buffer.onUpdates([good, { key: 'b', value: '1', deleted: true } as never]),
    'a delete of another kind': (buffer) =>
      buffer.onUpdates([good, { key: 'b', deleted: 'yes' } as never]),
    'no array of keys': (buffer) => buffer.onUpdatesKeysKnown([good], 'a' as never),
    'a known key that is no string': (buffer) => buffer.onUpdatesKeysKnown([good], [7 as never]),
    'more keys than updates': (buffer) => buffer.onUpdatesKeysKnown([good], ['a', 'b']),
    'an unknown status': (buffer) => buffer.onStatusUpdated('in-syncc' as never),
  };
  test.each(Object.entries(calls))('%s', (_, call) => {
    const buffer = new DedupeBuffer<string>();
    expect(() => call(buffer)).toThrow(withCode('invalid-argument'));
    expect(buffer.length).toBe(0);
  });

  test('a delete that deleteOf does not make', () => {
    const buffer = new DedupeBuffer<string>({ deleteOf: (key) => ({ key, value: 'no' }) });
    feed(buffer, 'a=1');
    take(buffer);
    feed(buffer, 'reconnect', 'b=1');
    expect(() => feed(buffer, 'in-sync')).toThrow(withCode('invalid-argument'));
    expect(wordsOf(buffer.tryNext())).toEqual(['b=1 new']);
  });

  test('options', async () => {
    const wrong = [{ cancelUnseen: 1 }, { trackSeen: false, cancelUnseen: true }, { cancel: true }];
    for (const options of wrong)
      expect(() => new DedupeBuffer(options as never)).toThrow(withCode('invalid-argument'));
    const buffer = new DedupeBuffer<string>();
    const invalid = withCode('invalid-argument');
    await expect(buffer.next({ timeoutMs: 1 } as never)).rejects.toEqual(invalid);
    await expect(buffer.stop({ drain: 'yes' } as never)).rejects.toEqual(invalid);
    await expect(buffer.sendToSink({} as never)).rejects.toEqual(invalid);
    await expect(buffer.sendToSink(buffer, { signal: 1 } as never)).rejects.toEqual(invalid);
    feed(buffer, 'a=1');
    expect(buffer.size).toBe(1);
  });
});
