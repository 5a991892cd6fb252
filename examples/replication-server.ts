/** Serves a store live. `TOKEN=secret node examples/replication-server.ts`. */
import { json } from 'stratakv';
import { lmdb } from 'stratakv/lmdb';
import { publish } from 'stratakv/sync';
import { serveWebSocket } from 'stratakv/sync/node';

const users = lmdb({ path: './users', codec: json<{ name: string; visits: number }>() });
const publication = publish(users, {
  authorize: ({ token }) => token === process.env.TOKEN && { read: true, write: ['user:'] },
});
const service = await serveWebSocket({ publication, port: Number(process.env.PORT ?? 8080) });
console.log(`serving ${service.url}`);

process.once('SIGINT', async () => {
  await publication.close();
  await service.close();
  await users.close();
});
console.log('Ctrl-C ends it');
