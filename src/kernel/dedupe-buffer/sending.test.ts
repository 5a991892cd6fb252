import { describe, expect, test } from 'vitest';
import { feed, HeldSink, take, wordsOf } from '../../../test/support/dedupe-words.ts';
import { settled } from '../../testing/settled.ts';
import { DedupeBuffer, type DedupeStatus, type SinkUpdate } from './index.ts';

const withCode = (code: string): unknown => expect.objectContaining({ code });

/** A buffer at whose sink a first window waits. */
async function world(...words: string[]) {
  const buffer = new DedupeBuffer<string>();
  const sink = new HeldSink();
  const aborter = new AbortController();
  const sending = buffer.sendToSink(sink, { signal: aborter.signal });
  // Its fate is looked at by the tests that are about it.
  sending.catch(() => undefined);
  feed(buffer, ...words);
  await settled();
  return { buffer, sink, aborter, sending };
}

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let over = false;
  promise.then(
    () => {
      over = true;
    },
    () => {
      over = true;
    },
  );
  await settled();
  return over;
}

describe('sendToSink', () => {
  test('calls a sink once for each part, and again when it has settled', async () => {
    const { buffer, sink, sending } = await world('resync', 'a=1', 'b=1', 'in-sync');
    expect(sink.told.splice(0)).toEqual(['resync']);
    sink.release();
    await settled();
    expect(sink.told.splice(0)).toEqual(['a=1 new', 'b=1 new']);
    feed(buffer, 'a=2');
    sink.release();
    await settled();
    expect(sink.told.splice(0)).toEqual(['in-sync']);
    sink.release();
    await settled();
    expect(sink.told.splice(0)).toEqual(['a=2 updated']);
    sink.release();
    await settled();
    expect(sink.busy).toBe(false);
    expect(buffer.inFlight).toBeUndefined();
    await buffer.stop();
    await sending;
  });

  test('takes a sink that answers at once, and updates that it gives itself', async () => {
    const buffer = new DedupeBuffer<string>();
    const told: unknown[] = [];
    const sending = buffer.sendToSink({
      onUpdates: (updates: readonly SinkUpdate<{ key: string; value?: unknown }>[]) => {
        told.push(...updates.map(({ key }) => key));
        if (told.length < 5) feed(buffer, `${told.length}=1`);
      },
      onStatusUpdated: (status: DedupeStatus) => void told.push(status),
    });
    feed(buffer, '0=1', 'in-sync');
    await settled();
    expect(told).toEqual(
      ['0', 'in-sync', '1', '2', '3', '4'].filter((word) => told.includes(word)),
    );
    expect(buffer.length).toBe(0);
    await buffer.stop({ drain: true });
    await sending;
  });

  test('gives the sink its signal', async () => {
    const buffer = new DedupeBuffer<string>();
    const { signal } = new AbortController();
    const given: unknown[] = [];
    const sending = buffer.sendToSink(
      {
        onUpdates: (_, options) => void given.push(options.signal),
        onStatusUpdated: (_, options) => void given.push(options.signal),
      },
      { signal },
    );
    feed(buffer, 'a=1', 'in-sync');
    await buffer.stop({ drain: true });
    await sending;
    expect(given).toEqual([signal, signal]);
  });

  test('rejects as its sink does, and queues what was not accepted before what is newer', async () => {
    const { buffer, sink, sending } = await world('a=1', 'b=1', 'in-sync', 'c=1');
    sink.release();
    await settled();
    feed(buffer, 'c=2', 'a=2');
    sink.release(new Error('no room'));
    await expect(sending).rejects.toThrow('no room');
    expect(buffer.inFlight).toBeUndefined();
    expect(wordsOf(buffer.tryNext())).toEqual(['in-sync', 'c=2 new', 'a=2 updated']);
  });

  test('goes on after a failure where it was', async () => {
    const { buffer, sink, sending } = await world('a=1', 'in-sync');
    sink.release(new Error('no room'));
    await expect(sending).rejects.toThrow('no room');
    sink.told.length = 0;
    const again = buffer.sendToSink(sink);
    await settled();
    sink.release();
    await settled();
    sink.release();
    expect(sink.told).toEqual(['a=1 new', 'in-sync']);
    await buffer.stop({ drain: true });
    await again;
  });

  test('fails as a sink that throws at once', async () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1');
    const sending = buffer.sendToSink({
      onUpdates: () => {
        throw new Error('at once');
      },
      onStatusUpdated: () => undefined,
    });
    await expect(sending).rejects.toThrow('at once');
    expect(buffer.size).toBe(1);
  });

  test('ends by its signal at once while it waits', async () => {
    const { buffer, aborter, sending } = await world();
    aborter.abort();
    await expect(sending).rejects.toEqual(withCode('aborted'));
    feed(buffer, 'a=1');
    expect(wordsOf(buffer.tryNext())).toEqual(['a=1 new']);
  });

  test('ends by its signal once the sink has settled, and keeps what was not sent', async () => {
    const { buffer, sink, aborter, sending } = await world('a=1', 'in-sync');
    aborter.abort();
    expect(await isSettled(sending)).toBe(false);
    sink.release();
    await expect(sending).rejects.toEqual(withCode('aborted'));
    expect(sink.told).toEqual(['a=1 new']);
    expect(wordsOf(buffer.tryNext())).toEqual(['in-sync']);
  });

  test('ended by its signal, has acknowledged what the sink accepted', async () => {
    const { buffer, sink, aborter, sending } = await world('a=1');
    aborter.abort();
    sink.release();
    await expect(sending).rejects.toEqual(withCode('aborted'));
    expect(buffer.inFlight).toBeUndefined();
    expect(await buffer.stop()).toEqual({ left: 0 });
  });

  test('keeps its window from others', async () => {
    const { buffer } = await world('a=1');
    const { inFlight } = buffer;
    if (inFlight === undefined) throw new Error('nothing in flight');
    expect(() => buffer.requeue(inFlight)).toThrow(withCode('conflict'));
    expect(() => buffer.acknowledge(inFlight)).toThrow(withCode('conflict'));
  });
});

describe('stop', () => {
  test('waits for the sink in flight, and says what is left', async () => {
    const { buffer, sink, sending } = await world('a=1');
    feed(buffer, 'a=2', 'b=2', 'in-sync');
    const stopping = buffer.stop();
    expect(await isSettled(stopping)).toBe(false);
    sink.release();
    expect(await stopping).toEqual({ left: 2 });
    await sending;
    expect(sink.told).toEqual(['a=1 new']);
    expect(buffer.get('b')).toEqual({ key: 'b', value: '2' });
  });

  test('with drain waits until everything queued was accepted', async () => {
    const { buffer, sink, sending } = await world('a=1');
    feed(buffer, 'a=2', 'in-sync', 'a=3');
    const stopping = buffer.stop({ drain: true });
    for (let calls = 0; calls < 4; calls++) {
      expect(await isSettled(stopping)).toBe(false);
      sink.release();
    }
    expect(await stopping).toEqual({ left: 0 });
    await sending;
    expect(sink.told).toEqual(['a=1 new', 'a=2 updated', 'in-sync', 'a=3 updated']);
  });

  test('with drain waits for a consumer to ask again', async () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1');
    const stopping = buffer.stop({ drain: true });
    expect(wordsOf(buffer.tryNext())).toEqual(['a=1 new']);
    expect(await isSettled(stopping)).toBe(false);
    expect(buffer.tryNext()).toBe('stopped');
    expect(await stopping).toEqual({ left: 0 });
  });

  test('with drain waits for a window to be acknowledged, also where it comes back', async () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1');
    const first = take(buffer);
    const stopping = buffer.stop({ drain: true });
    buffer.requeue(first);
    const second = take(buffer);
    expect(await isSettled(stopping)).toBe(false);
    buffer.acknowledge(second);
    expect(await stopping).toEqual({ left: 0 });
    expect(buffer.tryNext()).toBe('stopped');
  });

  test('with drain of an empty buffer is done at once', async () => {
    const { buffer, sending } = await world();
    expect(await buffer.stop({ drain: true })).toEqual({ left: 0 });
    await sending;
  });

  test('does not wait for a window that its caller holds', async () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1', 'b=1');
    const window = take(buffer);
    feed(buffer, 'b=2', 'c=2');
    expect(await buffer.stop()).toEqual({ left: 3 });
    buffer.requeue(window);
    expect(buffer.size).toBe(3);
  });

  test('with drain rejects as the sending does', async () => {
    const { buffer, sink, sending } = await world('a=1');
    const stopping = buffer.stop({ drain: true });
    sink.release(new Error('no room'));
    await expect(stopping).rejects.toThrow('no room');
    await expect(sending).rejects.toThrow('no room');
    // Somebody may try again, or give up.
    const again = buffer.sendToSink(sink);
    const stoppingAgain = buffer.stop({ drain: true });
    await settled();
    sink.release();
    expect(await stoppingAgain).toEqual({ left: 0 });
    await again;
  });

  test('gives up a draining that goes on for too long', async () => {
    const { buffer, sink, sending } = await world('a=1');
    feed(buffer, 'b=1');
    const aborter = new AbortController();
    const draining = buffer.stop({ drain: true, signal: aborter.signal });
    aborter.abort();
    await expect(draining).rejects.toEqual(withCode('aborted'));
    const late = buffer.stop({ drain: true, signal: AbortSignal.abort() });
    await expect(late).rejects.toEqual(withCode('aborted'));
    const drainingStill = buffer.stop({ drain: true });
    const stopping = buffer.stop();
    sink.release();
    expect(await drainingStill).toEqual({ left: 1 });
    expect(await stopping).toEqual({ left: 1 });
    await sending;
    expect(sink.told).toEqual(['a=1 new']);
  });

  test('refuses what comes after it', async () => {
    const buffer = new DedupeBuffer<string>();
    feed(buffer, 'a=1');
    void buffer.stop({ drain: true });
    for (const word of ['b=1', 'in-sync', 'reconnect'])
      expect(() => feed(buffer, word)).toThrow(withCode('closed'));
    expect(wordsOf(buffer.tryNext())).toEqual(['a=1 new']);
  });
});
