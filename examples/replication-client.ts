/** Keeps a live copy of what `replication-server.ts` serves. `TOKEN=secret node examples/replication-client.ts`. */
import { json } from 'stratakv';
import { lmdb } from 'stratakv/lmdb';
import { subscribe, webSocket } from 'stratakv/sync';

const codec = json<{ name: string; visits: number }>();
const local = lmdb({ path: './copy', codec }); // in a browser: indexeddb({ name: 'users', codec })
const server = webSocket(process.env.SERVER ?? 'ws://127.0.0.1:8080');
const subscription = subscribe(server, local, { token: process.env.TOKEN ?? '' });
subscription.onChange('user:', ({ key, value, deleted }) => console.log(key, deleted, value));
await subscription.ready; // the copy is whole; it survives restarts, and goes on where it was
await subscription.remote.set('user:ada', { name: 'Ada', visits: 1 }); // there first, then here
console.log('here too:', await local.get('user:ada'));

process.once('SIGINT', async () => {
  await subscription.close();
  await local.close();
});
console.log('Ctrl-C ends it');
