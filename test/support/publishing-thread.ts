/** A thread that publishes a store in memory over the ports that it is sent; it can also be told to stop dead. */
import { parentPort } from 'node:worker_threads';
import { memory } from '../../src/drivers/memory/index.ts';
import { messagePort, type PortLike, publish } from '../../src/sync/index.ts';

const store = memory<Uint8Array>();
await store.set('a', new TextEncoder().encode('from the thread'));
const publication = publish(store, {
  authorize: () => ({ read: true, write: true }),
  limits: { heartbeatMs: 100, ackTimeoutMs: 250 },
});

parentPort?.on('message', (order: { readonly port?: PortLike; readonly sleepMs?: number }) => {
  if (order.port !== undefined) publication.accept(messagePort(order.port));
  // A thread that does nothing any more, and says nothing of it.
  if (order.sleepMs !== undefined)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, order.sleepMs);
});
