import { channel } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { Call, json, primitivesOf, type Store, text } from '../../store/index.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { encoded } from '../encoded/index.ts';
import {
  OPERATION_CHANNEL,
  type OperationEnd,
  type OperationStart,
  observed,
  observedStats,
} from './index.ts';

describe('observed', () => {
  it('counts operations, bytes and errors', async () => {
    const store = observed(memory<Uint8Array>(), { name: 'bytes' });
    await store.set('a', new Uint8Array(10));
    await store.setMany([
      ['b', new Uint8Array(20)],
      ['c', new Uint8Array(30)],
    ]);
    await store.get('a');
    await store.get('missing');
    await store.getMany(['a', 'b']);
    await Array.fromAsync(store.list());
    await store.update('a', () => new Uint8Array(1));
    await expect(store.set('a', new Uint8Array(1), { if: 'absent' })).rejects.toThrow();
    expect(observedStats(store)).toMatchObject({
      name: 'bytes',
      hookErrors: 0,
      operations: {
        set: { count: 2, inBytes: 11, outBytes: 0, errors: { conflict: 1 } },
        setMany: { count: 1, inBytes: 50 },
        get: { count: 2, outBytes: 10, errors: {} },
        getMany: { count: 1, outBytes: 30 },
        list: { count: 1, outBytes: 60 },
        update: { count: 2, inBytes: 1, outBytes: 10 },
      },
    });
  });

  it('counts synchronous use', () => {
    const store = observed(memory<string>());
    store.blocking.set('a', 'four');
    store.blocking.batch([
      { type: 'delete', key: 'a' },
      { type: 'set', key: 'b', value: 'x' },
    ]);
    store.blocking.get('b');
    for (const _ of store.blocking.list()) break;
    expect(() => store.blocking.delete('b', { if: { version: 'no' } })).toThrow();
    expect(observedStats(store)).toMatchObject({
      name: 'memory',
      operations: {
        set: { count: 1, inBytes: 4 },
        batch: { count: 1, inBytes: 1 },
        get: { count: 1, outBytes: 1 },
        list: { count: 1, outBytes: 1 },
        delete: { count: 1, errors: { conflict: 1 } },
      },
    });
  });

  it('measures the time in the store, not that of the reader', async () => {
    const env = simulatedEnv();
    const store = observed(memory<string>({ env }));
    await store.set('a', 'x');
    for await (const _ of store.list()) await env.advance(1_000);
    for (const _ of store.blocking.list()) {
      env.advanceSync(1_000);
      break;
    }
    const { totalMs, maxMs } = observedStats(store).operations.list ?? {};
    expect([totalMs, maxMs]).toEqual([0, 0]);
  });

  it('tells hooks what begins and what has ended, with one id', async () => {
    const starts: OperationStart[] = [];
    const ends: OperationEnd[] = [];
    const store = observed(memory<string>(), {
      name: 'm',
      before: (start) => starts.push(start),
      after: (end) => ends.push(end),
    });
    const { rev } = await store.set('k', 'v');
    await expect(store.delete('k', { if: { version: 'no' } })).rejects.toThrow();
    await store.get('k');
    expect(starts.map(({ operation, step }) => `${operation} ${step}`)).toEqual([
      'set commit',
      'delete commit',
      'get read',
    ]);
    expect(ends).toMatchObject([
      { store: 'm', operation: 'set', key: 'k', keys: 1, inBytes: 1, rev },
      { operation: 'delete', error: { code: 'conflict' } },
      { operation: 'get', key: 'k', found: 1, outBytes: 1 },
    ]);
    expect(ends.map(({ id }) => id)).toEqual(starts.map(({ id }) => id));
    expect(new Set(ends.map(({ id }) => id)).size).toBe(3);
  });

  it('tells of what a watch reads', async () => {
    const ends: OperationEnd[] = [];
    const store = observed(memory<string>(), { after: (end) => ends.push(end) });
    await store.setMany([
      ['a', 'x'],
      ['b', 'y'],
    ]);
    for await (const _ of store.watch({ after: 'start' })) break;
    await expect
      .poll(() => ends.at(-1))
      .toMatchObject({ operation: 'watch', step: 'feed', found: 2 });
  });

  it('goes on when a hook throws, and reports it', async () => {
    const reported: unknown[] = [];
    const broken = new Error('broken hook');
    const fail = (): never => {
      throw broken;
    };
    const store = observed(memory<number>(), {
      before: fail,
      after: fail,
      onHookError: (error) => reported.push(error),
    });
    await store.set('k', 1);
    expect(store.blocking.get('k')).toBe(1);
    await expect(store.set('k', 2, { if: 'absent' })).rejects.toMatchObject({ code: 'conflict' });
    expect(reported).toEqual(Array(6).fill(broken));
    expect(observedStats(store).hookErrors).toBe(6);
    const worst = observed(memory<number>(), { after: fail, onHookError: fail });
    await worst.set('k', 1);
    expect(await worst.get('k')).toBe(1);
    expect(observedStats(worst).hookErrors).toBe(4);
  });

  it('publishes on the diagnostics channel while somebody subscribes', async () => {
    const events: unknown[] = [];
    const listen = (event: unknown): void => void events.push(event);
    const store = observed(memory<number>(), { name: 'published' });
    const silent = observed(memory<number>(), { diagnostics: false });
    await store.set('a', 1);
    channel(OPERATION_CHANNEL).subscribe(listen);
    try {
      await store.set('b', 1);
      await silent.set('b', 1);
    } finally {
      channel(OPERATION_CHANNEL).unsubscribe(listen);
    }
    await store.set('c', 1);
    expect(events).toMatchObject([{ store: 'published', operation: 'set', key: 'b' }]);
  });

  it('publishes to a publisher of the caller', async () => {
    const events: unknown[] = [];
    const diagnostics = { hasSubscribers: true, publish: (event: unknown) => events.push(event) };
    await observed(memory<number>(), { diagnostics }).set('a', 1);
    expect(events).toMatchObject([{ operation: 'set', key: 'a' }]);
  });

  it('stays without a promise where the store inside answers at once', () => {
    const store: Store<string> = observed(encoded(memory<Uint8Array>(), { codec: text() }));
    expect(store.get('k')).toBeInstanceOf(Promise);
    expect(observedStats(store).operations.get?.count).toBe(1);
  });

  it('counts what replication moves beneath a codec', async () => {
    const store = observed(encoded(memory<Uint8Array>(), { codec: json() }));
    await store.set('k', 'value');
    const { bytes, env } = primitivesOf(store);
    await bytes?.readOne('k', Call.background(env, 'replicate'));
    expect(observedStats(store).operations.replicate).toMatchObject({ count: 1, outBytes: 7 });
  });

  it('refuses unknown options and stores that it did not make', () => {
    expect(() => observed(memory(), { hooks: {} } as never)).toThrow(/unknown option "hooks"/);
    expect(() => observed(memory(), { after: 1 } as never)).toThrow(/the option after is 1/);
    expect(() => observedStats(memory())).toThrow(/a store made by observed/);
  });
});
