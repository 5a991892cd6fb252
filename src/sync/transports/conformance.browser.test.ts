/** The transports of pages under the one suite, and a store that a worker publishes. */
import { afterEach, describe, expect, inject, it } from 'vitest';
import { bytes, words } from '../../../test/support/bytes.ts';
import { memory } from '../../drivers/memory/index.ts';
import { transportConformance } from '../../testing/index.ts';
import { channelPair, messagePort, subscribe, webSocket } from '../index.ts';

const { pipe, control } = inject('syncServer');

transportConformance({
  test: { describe, it },
  name: 'channelPair',
  factory: {
    listen: (accept) => ({
      connector: {
        connect: () => {
          const [near, far] = channelPair();
          accept(far);
          return near;
        },
      },
    }),
  },
});

transportConformance({
  test: { describe, it },
  name: 'messagePort',
  factory: {
    listen: (accept) => ({
      connector: {
        connect: () => {
          const { port1, port2 } = new MessageChannel();
          accept(messagePort(port2));
          return messagePort(port1);
        },
      },
    }),
  },
});

transportConformance({
  test: { describe, it },
  name: 'webSocket',
  factory: {
    listen: (accept) => {
      let stalls = '';
      let last = '';
      return {
        connector: {
          connect: () => {
            last = `${stalls}${crypto.randomUUID()}`;
            const { connect } = webSocket(`${pipe}${last}`);
            const near = connect();
            accept(connect());
            return near;
          },
        },
        stall: () => {
          stalls = 'stalled-';
          return () => void fetch(`${control}/resume/${last}`);
        },
      };
    },
  },
});

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

describe('a worker of a page', () => {
  /** A worker that publishes a store in memory over its own scope. */
  function publishing(): Worker {
    const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const source = `
      import { memory } from ${at('../../drivers/memory/index.ts')};
      import { messagePort, publish } from ${at('../index.ts')};
      const store = memory();
      const publication = publish(store, {
        authorize: () => ({ read: true, write: true }),
        limits: { heartbeatMs: 100, ackTimeoutMs: 250 },
      });
      publication.accept(messagePort(self));
      addEventListener('message', ({ data }) => {
        if (data !== 'hang') return;
        const endMs = performance.now() + 1500;
        while (performance.now() < endMs);
      });
      postMessage('started');`;
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    const worker = new Worker(url, { type: 'module' });
    opened.push(() => worker.terminate());
    return worker;
  }

  const started = (worker: Worker): Promise<void> =>
    new Promise((resolve) => {
      worker.addEventListener('message', ({ data }) => {
        if (data === 'started') resolve();
      });
    });

  function joining(worker: Worker) {
    const local = memory<Uint8Array>();
    const subscription = subscribe(messagePort(worker), local, { token: 'any' });
    opened.push(() => subscription.close());
    return { local, subscription };
  }

  it('publishes a store to the page', async () => {
    const worker = publishing();
    await started(worker);
    const { local, subscription } = joining(worker);
    await subscription.ready;
    const large = new Uint8Array(2_000_000).fill(3);
    await subscription.remote.set('large', large);
    await subscription.remote.set('a', bytes('1'));
    expect((await local.get('large'))?.length).toBe(large.length);
    expect(words(await local.get('a'))).toBe('1');
  });

  it.each(['hang', 'terminate'] as const)(
    'is missed by heartbeats when it does %s',
    async (how) => {
      const worker = publishing();
      await started(worker);
      const { subscription } = joining(worker);
      await subscription.ready;
      if (how === 'hang') worker.postMessage('hang');
      else worker.terminate();
      await expect.poll(() => subscription.status().state, { timeout: 5_000 }).toBe('closed');
      expect(subscription.status().lastError?.message).toMatch(
        /nothing was heard|connection ended/,
      );
    },
  );
});
