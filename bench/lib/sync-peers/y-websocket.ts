/** Yjs: one `Y.Map` of bytes, served by its own WebSocket server. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { getYDoc, setupWSConnection } from '@y/websocket-server/utils';
import { WebSocketServer } from 'ws';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import type { Peer } from './peer.ts';
import { inTurns, sameText, textsOf } from './peer.ts';

const ROOM = 'bench';
const MAP = 'kv';

export const yWebsocket: Peer = {
  async serve() {
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    await once(sockets, 'listening');
    sockets.on('connection', (socket, request) => setupWSConnection(socket, request));
    const doc = getYDoc(ROOM);
    const map = doc.getMap(MAP);
    return {
      address: `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`,
      pid: process.pid,
      async fill(items) {
        doc.transact(() => {
          for (const { key, bytes } of items) map.set(key, bytes);
        });
      },
      write: (items) =>
        inTurns(items, (turn) => {
          for (const { key, bytes } of turn) map.set(key, bytes);
        }),
      async stop() {
        for (const socket of sockets.clients) socket.terminate();
        sockets.close();
      },
    };
  },
  async connect(address) {
    // Every provider listens for the end of the process, and there may be a thousand.
    process.setMaxListeners(0);
    const doc = new Y.Doc();
    const map = doc.getMap<Uint8Array>(MAP);
    let provider = await synced(address, doc);
    return {
      has: (item) => sameText(map.get(item.key), item),
      entries: () => textsOf(map.entries()),
      watch: (key, heard) =>
        map.observe(({ keysChanged }) => {
          if (keysChanged.has(key)) heard();
        }),
      close: async () => provider.destroy(),
      async resume(to) {
        provider = await synced(to, doc);
      },
    };
  },
};

async function synced(address: string, doc: Y.Doc): Promise<WebsocketProvider> {
  const provider = new WebsocketProvider(address, ROOM, doc, { disableBc: true });
  await new Promise<void>((resolve) => provider.once('sync', () => resolve()));
  return provider;
}
