import { expect, test } from 'vitest';
import { feed, HeldSink, wordsOf } from '../../../test/support/dedupe-words.ts';
import { settled } from '../../testing/settled.ts';
import { DedupeBuffer } from './index.ts';

test('a flapping status with keys created and deleted leaves nothing but the last status', () => {
  const buffer = new DedupeBuffer<string>();
  for (let i = 0; i < 10_000; i++) {
    feed(buffer, 'resync', `key ${i}=1`, `key ${i}=`, 'in-sync');
    expect(buffer.length).toBeLessThanOrEqual(1);
  }
  expect(wordsOf(buffer.tryNext())).toEqual(['in-sync']);
});

test('a flapping status between keys that change stays within the bound', () => {
  for (const cancelUnseen of [true, false]) {
    const buffer = new DedupeBuffer<string>({ cancelUnseen });
    for (let i = 0; i < 10_000; i++) {
      const key = `key ${i % 7}`;
      feed(buffer, 'resync', `${key}=${i}`, 'in-sync', `${key}=`, 'wait-for-datastore', `${key}=1`);
      expect(buffer.length).toBeLessThanOrEqual(2 * Math.min(i + 1, 7) + 2);
    }
  }
});

test('a sink that never answers does not hold up its producer, nor fill the memory', async () => {
  const buffer = new DedupeBuffer<string>();
  const sink = new HeldSink();
  void buffer.sendToSink(sink);
  feed(buffer, 'a=1');
  await settled();
  for (let i = 0; i < 10_000; i++) feed(buffer, `key ${i % 100}=${i}`, 'resync', 'in-sync');
  await settled();
  expect(sink.told).toEqual(['a=1 new']);
  expect(buffer.size).toBe(100);
  expect(buffer.length).toBeLessThanOrEqual(202);
});

test('reconnects without end leave no more than what the sink holds', () => {
  const buffer = new DedupeBuffer<string>();
  for (let i = 0; i < 1_000; i++) {
    feed(buffer, 'reconnect', 'resync', `key ${i}=1`, 'in-sync');
    expect(buffer.length).toBeLessThanOrEqual(2 * 2 + 2);
    if (i % 10 === 0) expect(wordsOf(buffer.tryNext())).toContain(`key ${i}=1 new`);
  }
});
