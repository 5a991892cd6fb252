import type { Peer } from './peer.ts';

export type PeerName =
  | 'stratakv'
  | 'stratakv from lmdb'
  | 'bare ws frames'
  | 'y-websocket'
  | 'TinyBase'
  | 'PouchDB in one process'
  | 'NATS KV'
  | 'Redis streams';

/** Each is loaded only in the processes that run it. */
const loaders: Readonly<Record<PeerName, () => Promise<Peer>>> = {
  stratakv: async () => (await import('./stratakv.ts')).stratakv,
  'stratakv from lmdb': async () => (await import('./stratakv.ts')).stratakvFromLmdb,
  'bare ws frames': async () => (await import('./bare.ts')).bare,
  'y-websocket': async () => (await import('./y-websocket.ts')).yWebsocket,
  TinyBase: async () => (await import('./tinybase.ts')).tinybase,
  'PouchDB in one process': async () => (await import('./pouchdb.ts')).pouchdb,
  'NATS KV': async () => (await import('./nats-kv.ts')).natsKv,
  'Redis streams': async () => (await import('./redis-streams.ts')).redisStreams,
};

export function loadPeer(name: PeerName): Promise<Peer> {
  return loaders[name]();
}
