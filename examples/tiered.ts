/** A fast front over a store on disk. `node examples/tiered.ts` */
import { json, memory, tiered } from 'stratakv';
import { sqlite } from 'stratakv/sqlite';

interface User {
  readonly name: string;
  readonly visits: number;
}

const back = sqlite({ path: './users.db', codec: json<User>() }); // or redis(…), or any other store
await using users = tiered({ front: memory<User>(), back });

await back.set('user:bob', { name: 'Bob', visits: 0 });
await users.get('user:bob'); // from the back: one read, however many callers; kept in the front
await users.get('user:bob'); // from the front
await users.set('user:ada', { name: 'Ada', visits: 0 }); // to the back first, then the front
await users.update('user:ada', (user) => user && { ...user, visits: user.visits + 1 }); // in the back
console.log(users.blocking.get('user:ada')); // without a promise, where both stores can
