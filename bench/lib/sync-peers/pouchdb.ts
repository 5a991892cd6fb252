/**
 * PouchDB: a live replication from one database in memory to another, in one process and so without
 * a socket, which favours it: there is no server for it here that installs with reason.
 */
import { EventEmitter } from 'node:events';
import memoryAdapter from 'pouchdb-adapter-memory';
import PouchDB, { type Database } from 'pouchdb-core';
import replication from 'pouchdb-replication';
import type { Item, Peer } from './peer.ts';

PouchDB.plugin(memoryAdapter).plugin(replication);

/** Every live replication is one more listener. */
EventEmitter.defaultMaxListeners = 0;

const BATCH = 1_000;
const sources = new Map<string, Database>();
let opened = 0;

export const pouchdb: Peer = {
  async serve() {
    const address = `source-${++opened}`;
    const source = new PouchDB(address, {
      adapter: 'memory',
      revs_limit: 1,
      auto_compaction: true,
    });
    sources.set(address, source);
    const revs = new Map<string, string>();
    return {
      address,
      pid: process.pid,
      async fill(items) {
        for (let at = 0; at < items.length; at += BATCH) {
          const docs = items.slice(at, at + BATCH).map((item) => docOf(item, revs));
          for (const { id, rev } of await source.bulkDocs(docs)) revs.set(id, rev);
        }
      },
      async write(items) {
        for (const item of items) {
          const { id, rev } = await source.put(docOf(item, revs));
          revs.set(id, rev);
        }
      },
      stop: () => source.destroy().then(() => {}),
    };
  },
  async connect(address) {
    const source = sources.get(address) as Database;
    const copy = new PouchDB(`copy-${++opened}`, { adapter: 'memory', revs_limit: 1 });
    let live = await replicate(source, copy);
    return {
      has: async (item) => {
        const doc = await copy.get(item.key).catch(() => undefined);
        return doc?.value === item.text;
      },
      async entries() {
        const { rows } = await copy.allDocs({ include_docs: true });
        return rows.map(({ id, doc }) => [id, doc.value] as const);
      },
      watch: (key, heard) =>
        void copy.changes({ live: true, since: 'now' }).on('change', ({ id }) => {
          if (id === key) heard();
        }),
      close: async () => live.cancel(),
      async resume() {
        live = await replicate(source, copy);
      },
    };
  },
};

function docOf({ key, text }: Item, revs: ReadonlyMap<string, string>) {
  const _rev = revs.get(key);
  return { _id: key, value: text, ...(_rev !== undefined && { _rev }) };
}

/** First until it has caught up, then live. */
async function replicate(source: Database, copy: Database): Promise<{ cancel(): void }> {
  await PouchDB.replicate(source, copy, { batch_size: BATCH });
  const live = PouchDB.replicate(source, copy, { live: true, batch_size: BATCH });
  return { cancel: () => live.cancel() };
}
