import { expect, it } from 'vitest';
import { simulatedEnv } from './index.ts';

it('runs timers at their times, in their order', async () => {
  const env = simulatedEnv();
  const ran: string[] = [];
  const start = env.now();
  const note = (name: string) => () => {
    ran.push(`${name} at ${env.now() - start}`);
  };
  env.setTimer(note('c'), 30);
  env.setTimer(note('a'), 10);
  env.setTimer(note('b'), 10);
  const cancelled = env.setTimer(note('never'), 20);
  cancelled.cancel();
  await env.advance(9);
  expect(ran).toEqual([]);
  await env.advance(100);
  expect(ran).toEqual(['a at 10', 'b at 10', 'c at 30']);
  expect(env.now() - start).toBe(109);
  expect(env.pendingTimers).toBe(0);
});

it('lets promises run out between two timers, and timers set timers', async () => {
  const env = simulatedEnv();
  const ran: number[] = [];
  const step = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
    ran.push(env.monotonicMs());
    if (ran.length < 4) env.setTimer(step, 5);
  };
  env.setTimer(step, 5);
  await env.advance(100);
  expect(ran).toEqual([5, 10, 15, 20]);
});

it('advances without letting promises run, where asked to', () => {
  const env = simulatedEnv();
  let ran = 0;
  env.setTimer(() => env.setTimer(() => ran++, 5), 5);
  env.advanceSync(9);
  expect(ran).toBe(0);
  env.advanceSync(1);
  expect(ran).toBe(1);
});

it('steps the wall clock, and never the other', async () => {
  const env = simulatedEnv();
  const [wall, mono] = [env.now(), env.monotonicMs()];
  let ran = false;
  env.setTimer(() => {
    ran = true;
  }, 10);
  env.stepClock(-3_600_000);
  expect(env.now()).toBe(wall - 3_600_000);
  expect(env.monotonicMs()).toBe(mono);
  await env.advance(10);
  expect(ran).toBe(true);
});

it('repeats itself from its seed, and differs from that of other seeds', () => {
  const draw = (seed?: number): unknown => {
    const env = simulatedEnv(seed);
    return [env.random(), [...env.randomBytes(12)], env.random()];
  };
  expect(draw(5)).toEqual(draw(5));
  expect(draw(1)).toEqual(draw());
  expect(new Set([0, 1, 2, 3, -1, 2 ** 40].map((seed) => JSON.stringify(draw(seed)))).size).toBe(6);
});

it('draws numbers that spread evenly over [0, 1)', () => {
  const env = simulatedEnv(3);
  const buckets = Array<number>(10).fill(0);
  for (let i = 0; i < 20_000; i++) {
    const drawn = env.random();
    expect(drawn).toBeGreaterThanOrEqual(0);
    expect(drawn).toBeLessThan(1);
    buckets[Math.floor(drawn * 10)] = (buckets[Math.floor(drawn * 10)] ?? 0) + 1;
  }
  for (const count of buckets) expect(Math.abs(count - 2_000)).toBeLessThan(200);
});
