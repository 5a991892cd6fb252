/** NATS: a key-value bucket in memory, watched by each subscriber. */
import { jetstream } from '@nats-io/jetstream';
import { type KV, Kvm, type KvWatchEntry } from '@nats-io/kv';
import { connect, type NatsConnection, type QueuedIterator } from '@nats-io/transport-node';
import { startNats } from '../../../test/support/nats-server.ts';
import { inFlight } from '../in-flight.ts';
import type { Item, Peer } from './peer.ts';
import { sameText, textsOf } from './peer.ts';

const BUCKET = 'bench';
const IN_FLIGHT = 1_000;

export const natsKv: Peer = {
  async serve() {
    const server = await startNats();
    const connection = await connect({ servers: server.address });
    const bucket = await open(connection, true);
    const write = (items: readonly Item[]): Promise<void> =>
      inFlight(IN_FLIGHT, items.length, (i) => {
        const { key, bytes } = items[i] as Item;
        return bucket.put(legal(key), bytes);
      });
    return {
      address: server.address,
      pid: server.pid,
      fill: write,
      write,
      async stop() {
        await connection.close();
        await server.stop();
      },
    };
  },
  async connect(address) {
    const watcher = new Watcher();
    await watcher.open(address);
    return {
      has: (item) => sameText(watcher.held.get(item.key), item),
      entries: () => textsOf(watcher.held),
      watch: (key, heard) => void watcher.watched.set(key, heard),
      close: () => watcher.close(),
      resume: (to) => watcher.open(to),
    };
  },
};

/** A colon may not be in a key of NATS. */
function legal(key: string): string {
  return key.replace(':', '/');
}

async function open(connection: NatsConnection, create: boolean): Promise<KV> {
  const kvm = new Kvm(jetstream(connection));
  return create ? kvm.create(BUCKET, { history: 1, storage: 'memory' as never }) : kvm.open(BUCKET);
}

class Watcher {
  readonly held: Map<string, Uint8Array> = new Map();
  readonly watched: Map<string, () => void> = new Map();
  #revision = 0;
  #connection: NatsConnection | undefined;

  async open(address: string): Promise<void> {
    this.#connection = await connect({ servers: address });
    const bucket = await open(this.#connection, false);
    const entries = await bucket.watch(
      this.#revision > 0 ? { resumeFromRevision: this.#revision + 1 } : {},
    );
    void this.#read(entries);
  }

  async close(): Promise<void> {
    await this.#connection?.close();
  }

  async #read(entries: QueuedIterator<KvWatchEntry>): Promise<void> {
    for await (const { key, value, revision } of entries) {
      const name = key.replace('/', ':');
      this.held.set(name, value);
      this.#revision = revision;
      this.watched.get(name)?.();
    }
  }
}
