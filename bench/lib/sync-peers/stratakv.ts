/** Ours, over WebSocket: from a store in memory or in lmdb to stores in memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lmdb } from '../../../src/drivers/lmdb/index.ts';
import { memory } from '../../../src/drivers/memory/index.ts';
import type { Store } from '../../../src/store/store.ts';
import { publish, type Subscription, subscribe, webSocket } from '../../../src/sync/index.ts';
import { serveWebSocket } from '../../../src/sync/node.ts';
import type { Item, Peer, PeerServer, PeerSubscriber } from './peer.ts';
import { inTurns, sameText, textOf } from './peer.ts';

const FILL_BATCH = 1_000;

export const stratakv: Peer = {
  serve: () => serve(memory<Uint8Array>()),
  connect,
};

export const stratakvFromLmdb: Peer = {
  async serve() {
    const folder = await mkdtemp(join(tmpdir(), 'stratakv-bench-'));
    const server = await serve(lmdb({ path: folder }));
    const stop = async (): Promise<void> => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    };
    return { ...server, stop };
  },
  connect,
};

async function serve(store: Store<Uint8Array>): Promise<PeerServer> {
  const publication = publish(store);
  const service = await serveWebSocket({ publication, port: 0, host: '127.0.0.1' });
  return {
    address: service.url,
    pid: process.pid,
    async fill(items) {
      for (let at = 0; at < items.length; at += FILL_BATCH)
        await store.setMany(
          items.slice(at, at + FILL_BATCH).map(({ key, bytes }) => [key, bytes] as const),
          { timeoutMs: 60_000 },
        );
    },
    write: (items) =>
      inTurns(items, (turn) => Promise.all(turn.map(({ key, bytes }) => store.set(key, bytes)))),
    async stop() {
      await service.close();
      await publication.close();
      await store.close();
    },
  };
}

async function connect(address: string): Promise<PeerSubscriber> {
  const store = memory<Uint8Array>();
  const { blocking } = store;
  let subscription: Subscription<Uint8Array> = subscribe(webSocket(address), store);
  await subscription.ready;
  return {
    has: (item: Item) => sameText(blocking.get(item.key), item),
    *entries() {
      for (const { key, value } of blocking.list()) yield [key, textOf(value)] as const;
    },
    watch: (key, heard) => void subscription.onChange({ key }, heard),
    close: () => subscription.close(),
    async resume(to) {
      subscription = subscribe(webSocket(to), store);
      await subscription.ready;
      if (subscription.status().resumes !== 1) throw new Error('it did not resume');
    },
  };
}
