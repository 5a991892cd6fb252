/** Nothing but `ws` and frames: what the others are held against. */
import { BareClient, BareServer } from '../bare-frames.ts';
import type { Peer } from './peer.ts';
import { inTurns, sameText, textsOf } from './peer.ts';

export const bare: Peer = {
  async serve() {
    const server = await BareServer.start();
    return {
      address: server.url,
      pid: process.pid,
      async fill(items) {
        server.fill(items.map(({ key, bytes }) => [key, bytes]));
      },
      write: (items) =>
        inTurns(items, (turn) => server.update(turn.map(({ key, bytes }) => [key, bytes]))),
      stop: () => server.stop(),
    };
  },
  async connect(address) {
    const client = new BareClient(address);
    await client.rounds(1);
    return {
      has: (item) => sameText(client.pairs.get(item.key), item),
      entries: () => textsOf(client.pairs),
      watch: (key, heard) => client.watch(key, heard),
      close: async () => client.close(),
    };
  },
};
