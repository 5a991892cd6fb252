import { describe, expect, it } from 'vitest';
import { simulatedEnv } from '../testing/index.ts';
import type { Call } from './call.ts';
import { StrataError } from './errors.ts';
import { managedIterable } from './managed-iterable.ts';
import type { CallOptions } from './operations.ts';

const env = simulatedEnv();

interface Probe {
  readonly running: Set<Call>;
  readonly calls: Call[];
  returned: number;
  open: boolean;
}

/** An iterable over pages; each page that is a promise is awaited by the source. */
function over<T>(
  pages: readonly (readonly T[] | Promise<readonly T[]>)[],
  bounds: CallOptions = {},
): { steps: AsyncIterator<T>; again: () => AsyncIterator<T>; probe: Probe } {
  const probe: Probe = { running: new Set(), calls: [], returned: 0, open: true };
  const iterable = managedIterable<T>({
    env,
    operation: 'list',
    bounds,
    defaultTimeoutMs: 1_000,
    running: probe.running,
    checkOpen: () => {
      if (!probe.open) throw new StrataError('closed', 'closed', { operation: 'list' });
    },
    async *source(call) {
      probe.calls.push(call);
      try {
        for (const page of pages) yield await page;
      } finally {
        probe.returned++;
      }
    },
    give: (item) => item,
  });
  const again = (): AsyncIterator<T> => iterable[Symbol.asyncIterator]();
  return { steps: again(), again, probe };
}

const never = (): Promise<never> => new Promise(() => {});
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    (value) => `got ${JSON.stringify(value)}`,
    (error: { code?: string }) => error.code ?? String(error),
  );

describe('an iterable of a store', () => {
  it('gives the items of all pages, empty ones passed over', async () => {
    const { again, probe } = over([[1, 2], [], [], [3], []]);
    for (let i = 0; i < 2; i++) {
      const all: number[] = [];
      const steps = again();
      for (let step = await steps.next(); !step.done; step = await steps.next())
        all.push(step.value);
      expect(all).toEqual([1, 2, 3]);
      expect(await steps.next()).toEqual({ done: true, value: undefined });
    }
    expect(probe.returned).toBe(2);
    expect(probe.running.size).toBe(0);
  });

  it('runs nothing before the first step', async () => {
    const { steps, probe } = over([[1]]);
    expect(probe.calls).toEqual([]);
    await steps.next();
    expect(probe.calls).toHaveLength(1);
    expect(probe.running.size).toBe(1);
  });

  it('answers steps asked for at once in their order, each item once', async () => {
    const { steps } = over([Promise.resolve([1, 2]), Promise.resolve([3]), [4]]);
    const asked = await Promise.all(Array.from({ length: 6 }, () => steps.next()));
    expect(asked.map(({ done, value }) => (done ? 'end' : value))).toEqual([
      1,
      2,
      3,
      4,
      'end',
      'end',
    ]);
  });

  it('frees a step that waits, when it is left', async () => {
    const { steps, probe } = over<number>([[1], never()]);
    await steps.next();
    const waiting = steps.next();
    expect(await steps.return?.()).toEqual({ done: true, value: undefined });
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await steps.next()).toEqual({ done: true, value: undefined });
    expect(probe.calls[0]?.ended).toBeDefined();
    expect(probe.running.size).toBe(0);
  });

  it('lets the source clean up when it is left between two steps', async () => {
    const { steps, probe } = over([[1], [2]]);
    await steps.next();
    await steps.return?.();
    await env.advance(0);
    expect(probe.returned).toBe(1);
  });

  it('can be left before it has begun', async () => {
    const { steps, probe } = over([[1]]);
    await steps.return?.();
    expect(await steps.next()).toEqual({ done: true, value: undefined });
    expect(probe.calls).toEqual([]);
  });

  it('bounds each step, not the whole', async () => {
    const slow = (delayMs: number): Promise<number[]> =>
      new Promise((resolve) => env.setTimer(() => resolve([delayMs]), delayMs));
    const { steps } = over([slow(600), slow(1_200), slow(1_800), never()]);
    for (const expected of [600, 1_200, 1_800]) {
      const step = steps.next();
      await env.advance(600);
      expect((await step).value).toBe(expected);
    }
    const last = code(steps.next());
    await env.advance(1_000);
    expect(await last).toBe('timeout');
    expect(await code(steps.next())).toBe('timeout');
  });

  it('ends with aborted when the signal does, waiting or not', async () => {
    const controller = new AbortController();
    const waiting = over<number>([never()], { signal: controller.signal });
    const between = over([[1], [2]], { signal: controller.signal });
    await between.steps.next();
    const step = code(waiting.steps.next());
    controller.abort();
    expect(await step).toBe('aborted');
    expect(await code(between.steps.next())).toBe('aborted');
    const late = over([[1]], { signal: controller.signal });
    expect(await code(late.steps.next())).toBe('aborted');
    expect(late.probe.running.size).toBe(0);
  });

  it('ends with closed when the store ends its calls', async () => {
    const { steps, again, probe } = over<number>([[1, 2], never()]);
    await steps.next();
    for (const call of probe.running) call.end('closed');
    probe.open = false;
    expect(await code(steps.next())).toBe('closed');
    expect(await code(again().next())).toBe('closed');
  });

  it('passes on the error of the source, and then has ended', async () => {
    const broken = new StrataError('corrupt', 'broken', { operation: 'list' });
    const { steps, probe } = over<number>([[1], Promise.reject(broken)]);
    await steps.next();
    await expect(steps.next()).rejects.toBe(broken);
    expect(probe.running.size).toBe(0);
    expect(await code(steps.next())).toBe('corrupt');
  });
});
