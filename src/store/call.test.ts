import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { simulatedEnv } from '../testing/index.ts';
import { Call } from './call.ts';
import { systemEnv } from './system-env.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const never = (): Promise<never> => new Promise(() => {});

/** How a promise stands, without waiting for it. */
function watched<T>(promise: Promise<T>): { error?: unknown; value?: T } {
  const state: { error?: unknown; value?: T } = {};
  promise.then(
    (value) => {
      state.value = value;
    },
    (error: unknown) => {
      state.error = error;
    },
  );
  return state;
}

describe('a call', () => {
  it('ends after its timeout, with timeout, and never before', async () => {
    const env = simulatedEnv();
    const state = watched(new Call(env, 'get', 'k', { timeoutMs: 50 }).guard(never()));
    await env.advance(49);
    expect(state.error).toBeUndefined();
    await env.advance(1);
    expect(state.error).toMatchObject({
      code: 'timeout',
      retryable: true,
      operation: 'get',
      key: 'k',
    });
    expect(String(state.error)).toContain('within 50 ms');
    expect(env.pendingTimers).toBe(0);
  });

  it('has a timeout of 5 s when none is given', async () => {
    const env = simulatedEnv();
    const state = watched(new Call(env, 'get').guard(never()));
    await env.advance(4_999);
    expect(state.error).toBeUndefined();
    await env.advance(1);
    expect(state.error).toMatchObject({ code: 'timeout' });
  });

  it('never ends by itself with an infinite timeout', async () => {
    const env = simulatedEnv();
    const promise = never();
    const call = new Call(env, 'watch', undefined, { timeoutMs: Number.POSITIVE_INFINITY });
    expect(call.guard(promise)).toBe(promise);
    expect(env.pendingTimers).toBe(0);
  });

  it('settles as its promise does, and leaves nothing behind', async () => {
    const env = simulatedEnv();
    expect(await new Call(env, 'get').guard(Promise.resolve(5))).toBe(5);
    const broken = new Error('broken');
    await expect(new Call(env, 'get').guard(Promise.reject(broken))).rejects.toBe(broken);
    expect(env.pendingTimers).toBe(0);
  });

  it('ends with aborted when its signal does, giving the reason as cause', async () => {
    const env = simulatedEnv();
    const controller = new AbortController();
    const call = new Call(env, 'get', 'k', { signal: controller.signal });
    const state = watched(call.guard(never()));
    const reason = new Error('enough');
    controller.abort(reason);
    await env.advance(0);
    expect(state.error).toMatchObject({ code: 'aborted', cause: reason, retryable: false });
    expect(() => call.throwIfEnded()).toThrow(state.error as Error);
    expect(env.pendingTimers).toBe(0);
  });

  it('has ended at once when its signal had', async () => {
    const call = new Call(simulatedEnv(), 'get', 'k', { signal: AbortSignal.abort() });
    expect(call.ended).toMatchObject({ code: 'aborted' });
    await expect(call.guard(never())).rejects.toBe(call.ended);
    await expect(call.guard(Promise.reject(new Error('late')))).rejects.toBe(call.ended);
  });

  it('says unknown-outcome once its write can no longer be called back', async () => {
    const env = simulatedEnv();
    const call = new Call(env, 'set', 'k', { timeoutMs: 10 });
    const state = watched(call.guard(never()));
    call.markSent();
    await env.advance(10);
    expect(state.error).toMatchObject({
      code: 'unknown-outcome',
      retryable: false,
      details: { reason: 'timeout' },
    });
  });

  it('keeps the first reason of its end', () => {
    const call = new Call(simulatedEnv(), 'get');
    call.end('closed');
    call.end('timeout');
    expect(call.ended?.code).toBe('closed');
  });

  it('runs what waits for its end once, and not what was removed', () => {
    const call = new Call(simulatedEnv(), 'get');
    const ran: string[] = [];
    call.onEnd(() => ran.push('kept'));
    call.onEnd(() => ran.push('removed'))();
    call.end('aborted');
    call.end('aborted');
    call.onEnd(() => ran.push('late'));
    expect(ran).toEqual(['kept', 'late']);
  });

  it('shows its end as a signal', () => {
    const call = new Call(simulatedEnv(), 'get');
    const { signal } = call;
    expect(call.signal).toBe(signal);
    expect(signal.aborted).toBe(false);
    call.end('aborted');
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBe(call.ended);
  });
});

describe('deadlines', () => {
  it('of one length share one timer', () => {
    const env = simulatedEnv();
    for (let i = 0; i < 1_000; i++) watched(new Call(env, 'get').guard(never()));
    expect(env.pendingTimers).toBe(1);
  });

  it('end each call at its own time, however they are mixed', async () => {
    const env = simulatedEnv();
    const ended: string[] = [];
    const begin = (timeoutMs: number): void => {
      const due = env.monotonicMs() + timeoutMs;
      new Call(env, 'get', undefined, { timeoutMs })
        .guard(never())
        .catch(() => ended.push(`${due} at ${env.monotonicMs()}`));
    };
    for (let i = 0; i < 60; i++) {
      begin(100);
      if (i % 3 === 0) begin(37);
      await env.advance(3);
    }
    await env.advance(200);
    expect(ended).toHaveLength(80);
    for (const line of ended) {
      const [due, at] = line.split(' at ');
      expect(at).toBe(due);
    }
    expect(env.pendingTimers).toBe(0);
  });

  it('that are met leave no timer once the last call is done', async () => {
    const env = simulatedEnv();
    const goes: (() => void)[] = [];
    const calls = Array.from({ length: 5 }, () =>
      new Call(env, 'get').guard(new Promise<void>((resolve) => goes.push(resolve))),
    );
    expect(env.pendingTimers).toBe(1);
    for (const go of goes.slice(1)) go();
    await Promise.all(calls.slice(1));
    expect(env.pendingTimers).toBe(1);
    goes[0]?.();
    await calls[0];
    expect(env.pendingTimers).toBe(0);
  });

  it('keep the process alive only while a call waits, also when calls follow one another', async () => {
    const held = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = held();
    for (let i = 0; i < 3; i++) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const call = new Call(systemEnv, 'get', undefined, { timeoutMs: 12_345 }).guard(promise);
      expect(held()).toBe(before + 1);
      resolve();
      await call;
      expect(held()).toBe(before);
    }
  });

  it('that come after a timer was left behind still end at their own time', async () => {
    const begin = (): Promise<unknown> =>
      new Call(systemEnv, 'get', undefined, { timeoutMs: 40 }).guard(never());
    await new Call(systemEnv, 'get', undefined, { timeoutMs: 40 }).guard(Promise.resolve());
    await new Promise((resolve) => setTimeout(resolve, 20));
    const startMs = performance.now();
    await expect(begin()).rejects.toMatchObject({ code: 'timeout' });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(39);
  });

  it('may be of many odd lengths', async () => {
    const env = simulatedEnv();
    const ended: number[] = [];
    for (let n = 1; n <= 300; n++)
      new Call(env, 'get', undefined, { timeoutMs: n / 3 })
        .guard(never())
        .catch(() => ended.push(n));
    await env.advance(100);
    expect(ended).toEqual(Array.from({ length: 300 }, (_, n) => n + 1));
    expect(env.pendingTimers).toBe(0);
  });

  it('hold calls that are done no longer than needed, under steady load', async () => {
    const env = simulatedEnv();
    let latest = Promise.resolve();
    let go = (): void => {};
    let done: WeakRef<object> | undefined;
    // One call is always under way, so that the queue never runs empty.
    for (let i = 0; i < 50_000; i++) {
      const [before, release] = [latest, go];
      const call = new Call(env, 'get', undefined, { timeoutMs: 3_600_000 });
      if (i === 1_000) done = new WeakRef(call);
      latest = call.guard(
        new Promise<void>((resolve) => {
          go = resolve;
        }),
      );
      release();
      await before;
    }
    // A weak reference holds its object until this turn of the loop ends.
    await env.advance(0);
    collectGarbage();
    expect(done?.deref()).toBeUndefined();
    go();
    await latest;
    expect(env.pendingTimers).toBe(0);
  });

  it('free their place when the caller that set them ends others', async () => {
    const env = simulatedEnv();
    const order: string[] = [];
    const first = new Call(env, 'get', 'first', { timeoutMs: 10 });
    const second = new Call(env, 'get', 'second', { timeoutMs: 10 });
    first.onEnd(() => second.end('aborted'));
    for (const call of [first, second])
      call
        .guard(never())
        .catch((error: { code: string }) => order.push(`${call.key} ${error.code}`));
    await env.advance(10);
    expect(order).toEqual(['second aborted', 'first timeout']);
    expect(env.pendingTimers).toBe(0);
  });
});
