/** A store on disk. `node examples/store.ts`, as often as you like. */
import { json } from 'stratakv';
import { lmdb } from 'stratakv/lmdb';

await using users = lmdb({ path: './users', codec: json<{ name: string; visits: number }>() });

await users.getOrSet('user:ada', () => ({ name: 'Ada', visits: 0 }));
await users.update('user:ada', (user) => user && { ...user, visits: user.visits + 1 });
await users.batch([
  { type: 'set', key: 'user:bob', value: { name: 'Bob', visits: 0 }, ttlMs: 60_000 },
  { type: 'delete', key: 'user:eve' },
]);
for await (const { key, value } of users.list({ prefix: 'user:' })) console.log(key, value.name);
for await (const { writes, cursor } of users.watch({ after: 'start' })) {
  console.log(writes, cursor); // keep the cursor: a watch goes on after it, also after a restart
  break; // or stay, and hear of every change
}
