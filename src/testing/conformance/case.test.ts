import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { simulatedEnv } from '../simulated-env.ts';
import { allSettle } from './case.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const after = (ms: number): Promise<number> =>
  new Promise((resolve) => setTimeout(() => resolve(ms), ms));

it('lets many calls take as long as they take while one after the other ends', async () => {
  const all = allSettle({ env: undefined }, [18_000, 6_000, 12_000].map(after), 'the calls');
  await vi.advanceTimersByTimeAsync(18_000);
  expect(await all).toEqual([18_000, 6_000, 12_000]);
});

it('fails once nothing has ended for a while, and with the first failure', async () => {
  const hanging = allSettle(
    { env: undefined },
    [after(6_000), new Promise<number>(() => {})],
    'the calls',
  );
  const late = expect(hanging).rejects.toThrow('the calls: not within 10000 ms');
  await vi.advanceTimersByTimeAsync(15_999);
  let over = false;
  hanging.catch(() => {
    over = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(over).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await late;
  const failing = [after(5), Promise.reject(new Error('no')), Promise.reject(new Error('neither'))];
  await expect(allSettle({ env: undefined }, failing, 'the calls')).rejects.toThrow('no');
});

it('lets simulated time pass no longer for many calls than for one', async () => {
  vi.useRealTimers();
  const env = simulatedEnv();
  const startMs = env.monotonicMs();
  // As calls of a store that works on a real disk.
  const calls = Array.from({ length: 8 }, (_, n) => after(400 + n));
  await allSettle({ env }, calls, 'the calls');
  expect(env.monotonicMs() - startMs).toBeLessThanOrEqual(3_000);
});
