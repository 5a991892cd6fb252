import { expect, test } from 'vitest';
import type { SubscriberStats } from '../../sync/index.ts';
import { Samples } from './samples.ts';
import type { ServedStats } from './served.ts';

function stats(at: number, sent: number): ServedStats {
  return {
    at,
    headRev: sent / 10,
    appliedWrites: 0,
    sentOperations: sent,
    sentBytes: sent * 100,
    subscribers: 2,
    accepted: 2,
    rssBytes: 1,
  };
}

const lagging = (lag: number): SubscriberStats => ({
  id: 'a',
  state: 'live',
  rev: 1,
  lag,
  lagMs: 0,
  bufferedBytes: 0,
  sentBytes: 0,
  sentOperations: 0,
  connectedMs: 0,
  mayWrite: false,
});

test('counters become rates over the time between', () => {
  const samples = new Samples();
  samples.add(stats(1_000, 0), []);
  samples.add(stats(3_000, 100), [lagging(3), lagging(7)]);
  expect(samples.all).toEqual([
    {
      atMs: 1_000,
      operationsPerS: null,
      commitsPerS: null,
      bytesPerS: null,
      subscribers: 2,
      lag: 0,
    },
    { atMs: 3_000, operationsPerS: 50, commitsPerS: 5, bytesPerS: 5_000, subscribers: 2, lag: 7 },
  ]);
  expect(samples.columns(['operationsPerS', 'lag'])).toEqual([
    [1, 3],
    [null, 50],
    [0, 7],
  ]);
});

test('the same figures again, a restart and a pause make no rate', () => {
  const samples = new Samples();
  samples.add(stats(1_000, 500), []);
  samples.add(stats(1_000, 500), []);
  samples.add(stats(2_000, 10), []);
  samples.add(stats(60_000, 90), []);
  samples.add(stats(61_000, 100), []);
  expect(samples.all.map(({ operationsPerS }) => operationsPerS)).toEqual([null, null, null, 10]);
});

test('keeps the newest', () => {
  const samples = new Samples(3);
  for (let i = 1; i <= 5; i++) samples.add(stats(i * 1_000, i), []);
  expect(samples.columns([])).toEqual([[3, 4, 5]]);
});
