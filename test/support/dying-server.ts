/**
 * A process that serves a store over WebSocket and stops half way through a commit when told: the
 * commit is applied, or not, and nothing is said of it. Arguments: `lmdb` or `redis`, path or URL, port.
 */
import { Redis } from 'ioredis';
import { lmdb } from '../../src/drivers/lmdb/index.ts';
import { redis } from '../../src/drivers/redis/index.ts';
import { publish } from '../../src/sync/index.ts';
import { serveWebSocket } from '../../src/sync/node.ts';
import { FaultPlan, faulty } from '../../src/testing/index.ts';

const [engine, place = '', port = '0'] = process.argv.slice(2);
const store =
  engine === 'lmdb' ? lmdb({ path: place }) : redis({ client: new Redis(place), prefix: 'once' });
const plan = new FaultPlan();
const publication = publish(faulty(store, plan), {
  authorize: ({ token }) => token === 'secret' && { read: true, write: true },
});
const service = await serveWebSocket({ publication, port: Number(port) });

process.on('message', ({ stopAt, applied }: { stopAt: number; applied: boolean }) => {
  // All from then on: one that loses a condition fails, and hangs nowhere.
  plan.hangNext('commit', { after: stopAt, applied, times: Number.POSITIVE_INFINITY });
  const look = setInterval(() => {
    if (plan.hanging === 0) return;
    clearInterval(look);
    process.send?.({ stopped: true });
  }, 5);
});
process.send?.({ port: service.port });
