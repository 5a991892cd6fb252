import { expect, it } from 'vitest';
import { systemEnv } from './system-env.ts';

it('gives the real time, and one that never decreases', () => {
  expect(Math.abs(systemEnv.now() - Date.now())).toBeLessThan(1_000);
  const first = systemEnv.monotonicMs();
  expect(systemEnv.monotonicMs()).toBeGreaterThanOrEqual(first);
});

it('gives bytes and numbers at random', () => {
  const [a, b] = [systemEnv.randomBytes(16), systemEnv.randomBytes(16)];
  expect(a).toHaveLength(16);
  expect(a).not.toEqual(b);
  expect(systemEnv.random()).toBeLessThan(1);
});

it('says who runs it', () => {
  expect(systemEnv.process).toBe(`pid ${process.pid}`);
});

it('runs a timer once, and a cancelled one never', async () => {
  let ran = 0;
  let cancelled = false;
  const timer = systemEnv.setTimer(() => {
    cancelled = true;
  }, 1);
  timer.cancel();
  await new Promise<void>((resolve) => {
    systemEnv.setTimer(() => {
      ran++;
      resolve();
    }, 5);
  });
  expect(ran).toBe(1);
  expect(cancelled).toBe(false);
  timer.cancel();
});

it('keeps delays that are longer than the host can, and runs none of them early', async () => {
  const early: string[] = [];
  const timers = [2 ** 31, 2 ** 40, Number.POSITIVE_INFINITY].map((delayMs) =>
    systemEnv.setTimer(() => early.push(String(delayMs)), delayMs, { background: true }),
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(early).toEqual([]);
  for (const timer of timers) timer.cancel();
});

it('lets a timer hold the process or not, as it is told last', () => {
  const held = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = held();
  const timer = systemEnv.setTimer(() => {}, 60_000);
  expect(held()).toBe(before + 1);
  expect(timer.setBackground?.(true)).toBe(true);
  expect(held()).toBe(before);
  expect(timer.setBackground?.(false)).toBe(true);
  expect(held()).toBe(before + 1);
  timer.cancel();
  expect(held()).toBe(before);
});
