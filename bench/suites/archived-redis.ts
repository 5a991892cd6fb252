import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { archive, redisKeys } from '../../src/compositions/archive/index.ts';
import { archivedRedis } from '../../src/compositions/archive/redis/index.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import { inFlight } from '../lib/in-flight.ts';
import { compare } from '../lib/measure.ts';
import { rateRow } from '../lib/rate-row.ts';
import { startOrSkip } from '../lib/redis-or-skip.ts';
import type { Report, Suite } from '../lib/row.ts';

const KEYS = 1_000;
const CALLS = 4_000;
const ROUNDS = 7;

/** What a client is asked for. */
interface Calls {
  get(key: string): Promise<string | null>;
  incr(key: string): Promise<number>;
}

interface Clients {
  readonly library: string;
  readonly bare: Calls;
  readonly archived: Calls;
}

const keyAt = (i: number): string => `n:${i % KEYS}`;

async function calls(
  { library, bare, archived }: Clients,
  command: keyof Calls,
  atOnce: number,
  report: Report,
): Promise<void> {
  const contender = (name: string, client: Calls) => ({
    name,
    operations: CALLS,
    run: () => inFlight(atOnce, CALLS, (i) => client[command](keyAt(i))),
  });
  const result = await compare([contender('archived', archived), contender('bare', bare)], ROUNDS);
  const name = `${command}, ${library}, ${atOnce === 1 ? 'one by one' : `${atOnce} at once`}`;
  // A read is four commands in place of one, a write seven, two of them scripts.
  const least = command === 'get' ? 0.15 : 0.1;
  report(rateRow(result, { name, unit: 'calls/s', own: 'archived', against: 'bare', least }));
}

export const archivedRedisSuite: Suite = {
  name: 'archived-redis',
  about: 'a client with an archive against the bare client, keys in Redis',
  async run(report) {
    const { url, stop } = await startOrSkip();
    const io = new Redis(url);
    const node = createClient({ url });
    await node.connect();
    const safe = archive({ hot: redisKeys(io), cold: memory<Uint8Array>() });
    const both: Clients[] = [
      { library: 'ioredis', bare: io, archived: archivedRedis(io, { archive: safe }) },
      { library: 'node-redis', bare: node, archived: archivedRedis(node, { archive: safe }) },
    ];
    try {
      for (let i = 0; i < KEYS; i++) await io.set(keyAt(i), '0');
      for (const clients of both)
        for (const command of ['get', 'incr'] as const)
          for (const atOnce of [1, 100]) await calls(clients, command, atOnce, report);
    } finally {
      await safe.close();
      io.disconnect();
      node.destroy();
      await stop();
    }
  },
};
