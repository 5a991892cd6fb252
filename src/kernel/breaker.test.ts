import { describe, expect, it } from 'vitest';
import { StrataError } from '../store/errors.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/simulated-env.ts';
import { Breaker, type BreakerSetup } from './breaker.ts';

const away = new StrataError('unavailable', 'get: no answer', { operation: 'get' });

interface World {
  readonly env: SimulatedEnv;
  readonly breaker: Breaker;
  readonly told: string[];
}

function world(options: Partial<BreakerSetup> = {}, env = simulatedEnv()): World {
  const told: string[] = [];
  const breaker = new Breaker({
    env,
    failures: 3,
    pauseMs: 100,
    maxPauseMs: 1_000,
    onOpen: ({ code }) => told.push(`open: ${code}`),
    onClose: (openMs) => told.push(`closed after ${openMs}`),
    onPauseOver: () => told.push('pause over'),
    ...options,
  });
  return { env, breaker, told };
}

/** Makes a call that ends so, if it is admitted. */
function call({ breaker }: World, verdict: 'answered' | 'no-verdict' | 'failed'): boolean {
  const ticket = breaker.admit();
  if (ticket === undefined) return false;
  breaker.settle(ticket, verdict === 'failed' ? away : verdict);
  return true;
}

function open(made: World): void {
  for (let i = 0; i < 3; i++) call(made, 'failed');
}

describe('a breaker', () => {
  it('opens after so many failures in a row, and not before', () => {
    const made = world();
    for (const verdict of ['failed', 'failed', 'answered', 'failed', 'failed'] as const)
      expect(call(made, verdict)).toBe(true);
    expect(made.breaker.openMs).toBeUndefined();
    expect(made.breaker.cause).toBe(away);
    call(made, 'answered');
    expect(made.breaker.cause).toBeUndefined();
    open(made);
    expect(made.told).toEqual(['open: unavailable']);
    expect(made.breaker.openMs).toBe(0);
    expect(call(made, 'answered')).toBe(false);
  });

  it('takes no notice of calls that say nothing', () => {
    const made = world();
    for (let i = 0; i < 20; i++) call(made, i % 3 === 0 ? 'failed' : 'no-verdict');
    expect(made.told).toEqual(['open: unavailable']);
    const other = world();
    for (let i = 0; i < 20; i++) call(other, 'no-verdict');
    expect(other.told).toEqual([]);
  });

  it('admits one call after its pause, and closes when that is answered', async () => {
    const made = world();
    const { env, breaker } = made;
    open(made);
    await env.advance(breaker.nextTryInMs - 1);
    expect(breaker.admits).toBe(false);
    await env.advance(1);
    expect(made.told).toEqual(['open: unavailable', 'pause over']);
    const ticket = breaker.admit();
    expect(ticket).toBeDefined();
    expect(breaker.admit()).toBeUndefined();
    expect(breaker.admits).toBe(false);
    breaker.settle(ticket as number, 'answered');
    expect(made.told.at(-1)).toMatch(/^closed after /);
    expect([call(made, 'answered'), call(made, 'answered')]).toEqual([true, true]);
  });

  it('doubles its pause with every try in vain, up to a bound, and begins anew after an answer', async () => {
    // Without chance: the pause is the whole one.
    const env = Object.assign(simulatedEnv(), { random: () => 1 });
    const made = world({}, env);
    open(made);
    const pauses: number[] = [];
    for (let i = 0; i < 6; i++) {
      pauses.push(made.breaker.nextTryInMs);
      await env.advance(made.breaker.nextTryInMs);
      call(made, 'failed');
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    await env.advance(1_000);
    call(made, 'answered');
    open(made);
    expect(made.breaker.nextTryInMs).toBe(100);
  });

  it('leaves half of a pause to chance, so that many do not try at once', () => {
    const pauses = Array.from({ length: 50 }, (_, seed) => {
      const made = world({}, simulatedEnv(seed + 1));
      open(made);
      return made.breaker.nextTryInMs;
    });
    for (const pause of pauses) {
      expect(pause).toBeGreaterThanOrEqual(50);
      expect(pause).toBeLessThanOrEqual(100);
    }
    expect(new Set(pauses).size).toBeGreaterThan(40);
  });

  it('takes no verdict on a call that was made before its state changed', async () => {
    const made = world();
    const { breaker, env } = made;
    const early = [1, 2, 3, 4, 5].map(() => breaker.admit() as number);
    open(made);
    // The back answers a call of before: it is not known when.
    breaker.settle(early[0] as number, 'answered');
    expect(breaker.openMs).toBeDefined();
    await env.advance(100);
    call(made, 'answered');
    expect(breaker.openMs).toBeUndefined();
    for (const ticket of early) breaker.settle(ticket, away);
    expect(breaker.openMs).toBeUndefined();
  });

  it('tries again when a try says nothing', async () => {
    const made = world();
    open(made);
    await made.env.advance(100);
    call(made, 'no-verdict');
    expect(made.breaker.admits).toBe(false);
    await made.env.advance(100);
    expect(made.told.filter((what) => what === 'pause over')).toHaveLength(2);
    expect(call(made, 'answered')).toBe(true);
  });

  it('leaves no timer behind, and tells nothing, when it is ended', async () => {
    const made = world();
    open(made);
    made.breaker.end();
    expect(made.env.pendingTimers).toBe(0);
    await made.env.advance(10_000);
    expect(made.told).toEqual(['open: unavailable']);
  });
});
