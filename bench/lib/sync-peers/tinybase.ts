/** TinyBase: one mergeable store of keyed values, held by its own WebSocket server. Values are texts. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createMergeableStore } from 'tinybase';
import { createCustomPersister } from 'tinybase/persisters';
import { createWsSynchronizer } from 'tinybase/synchronizers/synchronizer-ws-client';
import { createWsServer } from 'tinybase/synchronizers/synchronizer-ws-server';
import { WebSocket, WebSocketServer } from 'ws';
import { inTurns, type Peer } from './peer.ts';

const PATH = 'bench';
/** `Persists.MergeableStoreOnly`, a constant of the types alone. */
const MERGEABLE_STORE_ONLY = 2;
/** How long an answer may take, in seconds: by default it is given up after one. */
const PATIENCE_S = 60;

export const tinybase: Peer = {
  async serve() {
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    await once(sockets, 'listening');
    const store = createMergeableStore('source');
    // A persister is how a server comes to hold a store; this one keeps nothing.
    const server = createWsServer(sockets, () =>
      createCustomPersister(
        store,
        async () => undefined,
        async () => {},
        () => undefined,
        () => {},
        undefined,
        MERGEABLE_STORE_ONLY,
      ),
    );
    return {
      address: `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}/${PATH}`,
      pid: process.pid,
      async fill(items) {
        store.transaction(() => {
          for (const { key, text } of items) store.setValue(key, text);
        });
      },
      write: (items) =>
        inTurns(items, (turn) => {
          for (const { key, text } of turn) store.setValue(key, text);
        }),
      stop: () => server.destroy(),
    };
  },
  async connect(address) {
    const store = createMergeableStore();
    const open = async (to: string) => {
      const synchronizer = await createWsSynchronizer(store, new WebSocket(to), PATIENCE_S);
      await synchronizer.startSync();
      return synchronizer;
    };
    let synchronizer = await open(address);
    return {
      has: (item) => store.getValue(item.key) === item.text,
      entries: () => Object.entries(store.getValues()) as [string, string][],
      watch: (key, heard) => void store.addValueListener(key, () => heard()),
      close: async () => void (await synchronizer.destroy()),
      async resume(to) {
        synchronizer = await open(to);
      },
    };
  },
};
