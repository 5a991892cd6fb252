/** A real Redis under write-behind that stands still, is killed and comes back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { describeWithEngine, startRedis } from '../../../../test/support/engines.ts';
import { lmdb } from '../../../drivers/lmdb/index.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { redis } from '../../../drivers/redis/index.ts';
import { json } from '../../../store/index.ts';
import { type TieredEvent, tiered } from '../index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-redis-outage-'));
afterAll(() => rmSync(folder, { recursive: true }));

describeWithEngine('redis-server', 'a Redis that stands still, is killed and comes back', () => {
  it('has in the end everything that was acknowledged', { timeout: 60_000 }, async () => {
    const dir = mkdtempSync(join(folder, 'redis-'));
    const args = ['--appendonly', 'yes', '--appendfsync', 'always'];
    let server = await startRedis({ dir, args });
    const { url, port } = server;
    const open = () => redis({ url, codec: json(), durability: 'disk' });
    const events: TieredEvent[] = [];
    const store = tiered({
      front: memory(),
      back: open(),
      write: 'behind',
      journal: lmdb({ path: join(folder, 'journal'), durability: 'os' }),
      backTimeoutMs: 300,
      retry: { minMs: 20, maxMs: 200 },
      onEvent: (event) => events.push(event),
    });
    const acknowledged = new Map<string, number | undefined>();
    const failures: unknown[] = [];
    let writing = true;
    let writes = 0;
    const write = async (name: string): Promise<void> => {
      for (let i = 1; writing; i++) {
        const key = `${name}${i % 9}`;
        try {
          if (i % 6 === 5) await store.delete(key);
          else await store.set(key, i);
          acknowledged.set(key, i % 6 === 5 ? undefined : i);
          writes++;
          expect(await store.get(key)).toBe(acknowledged.get(key));
        } catch (error) {
          failures.push(error);
        }
        await sleep(1);
      }
    };
    const writers = Promise.all(['a', 'b', 'c', 'd'].map(write));
    await sleep(300);
    process.kill(server.pid, 'SIGSTOP');
    await sleep(900);
    expect(store.pending().keys).toBeGreaterThan(0);
    process.kill(server.pid, 'SIGCONT');
    for (let round = 0; round < 3; round++) {
      await sleep(400);
      await server.kill();
      await sleep(300);
      server = await startRedis({ dir, args, port });
    }
    await sleep(300);
    writing = false;
    await writers;
    // The journal took every write, whatever the back did.
    expect(failures).toEqual([]);
    expect(writes).toBeGreaterThan(300);
    expect(await store.flush({ timeoutMs: 20_000 })).toMatchObject({ keys: 0, deadLetters: 0 });
    expect(events.map(({ type }) => type)).toContain('flush-failed');
    await store.close();
    const truth = open();
    const held = new Map<string, unknown>();
    for await (const { key, value } of truth.list()) held.set(key, value);
    const expected = [...acknowledged].filter(([, value]) => value !== undefined);
    expect(Object.fromEntries(held)).toEqual(Object.fromEntries(expected));
    await truth.close();
    await server.stop();
  });
});
