/** Ports between real threads. */
import { MessageChannel, Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { bytes, words } from '../../../test/support/bytes.ts';
import { memory } from '../../drivers/memory/index.ts';
import { type Connector, messagePort, type Subscription, subscribe } from '../index.ts';

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

const PROGRAM = new URL('../../../test/support/publishing-thread.ts', import.meta.url);

function thread(): Worker {
  const worker = new Worker(PROGRAM);
  opened.push(() => worker.terminate());
  return worker;
}

/** A new port of the thread for every connection. */
const to = (worker: () => Worker): Connector => ({
  connect: () => {
    const { port1, port2 } = new MessageChannel();
    worker().postMessage({ port: port2 }, [port2]);
    return messagePort(port1);
  },
});

function joining(connector: Connector): {
  local: ReturnType<typeof memory<Uint8Array>>;
  subscription: Subscription<Uint8Array>;
} {
  const local = memory<Uint8Array>();
  const subscription = subscribe(connector, local, {
    token: 'any',
    timeoutMs: 15_000,
    reconnect: { baseMs: 5, capMs: 50 },
    limits: { connectTimeoutMs: 3_000 },
  });
  opened.push(() => subscription.close());
  return { local, subscription };
}

describe('a port between threads', () => {
  it('replicates both ways, large values too', async () => {
    const worker = thread();
    const { local, subscription } = joining(to(() => worker));
    await subscription.ready;
    expect(words(await local.get('a'))).toBe('from the thread');
    const large = new Uint8Array(3_000_000).fill(9);
    await subscription.remote.set('large', large);
    expect((await local.get('large'))?.length).toBe(large.length);
    const other = joining(to(() => worker));
    await other.subscription.ready;
    await subscription.remote.set('b', bytes('1'));
    await expect.poll(async () => words(await other.local.get('b'))).toBe('1');
  });

  it('ends when the thread is terminated, and connects to the next one', async () => {
    let worker = thread();
    const { local, subscription } = joining(to(() => worker));
    await subscription.ready;
    const gone = worker;
    worker = thread();
    await gone.terminate();
    // The next one has a store of its own, so this copy cannot go on from it; that is told.
    await expect
      .poll(() => subscription.status().lastError?.message, { timeout: 10_000 })
      .toContain('another source');
    expect(words(await local.get('a'))).toBe('from the thread');
  });

  it('notices by heartbeats that a thread does nothing any more', async () => {
    const worker = thread();
    const { subscription } = joining(to(() => worker));
    await subscription.ready;
    worker.postMessage({ sleepMs: 1_500 });
    await expect.poll(() => subscription.status().connected, { interval: 10 }).toBe(false);
    expect(subscription.status().lastError?.message).toContain('nothing was heard');
    await expect.poll(() => subscription.status().connected, { timeout: 10_000 }).toBe(true);
    await subscription.remote.set('b', bytes('again'));
  });

  it('works over a worker itself, beside messages of the application', async () => {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       parentPort.on('message', (data) => parentPort.postMessage(data));`,
      { eval: true },
    );
    opened.push(() => worker.terminate());
    const heard: unknown[] = [];
    worker.on('message', (data) => void heard.push(data));
    const transport = messagePort(worker);
    const got: Uint8Array[] = [];
    const ends: unknown[] = [];
    transport.start({
      message: (message) => void got.push(message),
      drain: () => undefined,
      close: (how) => void ends.push(how),
    });
    worker.postMessage('of the application');
    transport.send(bytes('ours'));
    await expect.poll(() => got.map(words)).toEqual(['ours']);
    expect(heard).toContain('of the application');
    await worker.terminate();
    await expect.poll(() => ends).toEqual([{ code: 1006, reason: 'the other side is gone' }]);
    expect(transport.bufferedBytes).toBe(0);
  });

  it('refuses what is no port', () => {
    for (const port of [undefined, null, 1, {}, { postMessage: () => undefined }])
      expect(() => messagePort(port as never)).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
    const { port1 } = new MessageChannel();
    opened.push(() => port1.close());
    expect(() => messagePort(port1, { keep: true } as never)).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });
});
