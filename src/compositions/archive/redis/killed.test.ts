/** Processes that are killed while they write archived keys. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { redis } from '../../../drivers/redis/index.ts';

const KEYS = ['a', 'b', 'c'];
const CYCLES = 4;
const PROGRAM = fileURLToPath(
  new URL('../../../../test/support/incrementing-process.ts', import.meta.url),
);

describeWithEngine('redis-server', 'archivedRedis, in processes that are killed', () => {
  const on = new ArchiveServer();
  /** Another database of the server: a store that many processes write to. */
  const coldUrl = (): string => `${on.url}/1`;

  /** Lets a process run for a while; gives the highest number that it said of each key. */
  async function killedAfter(ms: number): Promise<Map<string, number>> {
    const child = spawn(process.execPath, [PROGRAM, on.url, coldUrl(), ...KEYS], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
    await sleep(ms);
    child.kill('SIGKILL');
    await once(child, 'close');
    const highest = new Map<string, number>();
    for (const [, key = '', value] of said.matchAll(/^(\w+) (\d+)\n/gm))
      highest.set(key, Math.max(highest.get(key) ?? 0, Number(value)));
    return highest;
  }

  it('keeps what was acknowledged, and half of nothing', async () => {
    const cold = redis({ url: coldUrl() });
    const { one } = on.world({ cold, throttleMs: 50 });
    let isOver = false;
    let evictions = 0;
    const evicting = (async () => {
      while (!isOver) {
        await one.drain();
        evictions += (await one.evict(...KEYS)).evicted;
        await sleep(5);
      }
    })();
    const acknowledged = new Map<string, number>();
    for (let cycle = 0; cycle < CYCLES; cycle++)
      for (const [key, value] of await killedAfter(100 + cycle * 37)) {
        expect(value).toBeGreaterThanOrEqual(acknowledged.get(key) ?? 0);
        acknowledged.set(key, value);
      }
    isOver = true;
    await evicting;
    await one.ensure(...KEYS);
    const values = (await on.client.mGet(KEYS)).map(Number);
    for (const [at, key] of KEYS.entries()) {
      const told = acknowledged.get(key) as number;
      expect(values[at]).toBeGreaterThanOrEqual(told);
      // Two were under way in each process when it was killed.
      expect(values[at]).toBeLessThanOrEqual(told + 2 * CYCLES);
    }
    expect(evictions).toBeGreaterThan(0);
    // What was written last has a mark, or is in the cold store as it is.
    const evictedAll = async (): Promise<number> => {
      await one.drain();
      await one.evict(...KEYS);
      return (await one.stats()).evicted;
    };
    await expect.poll(evictedAll, { timeout: 10_000 }).toBe(KEYS.length);
    await one.ensure(...KEYS);
    expect((await on.client.mGet(KEYS)).map(Number)).toEqual(values);
    await cold.close();
  }, 60_000);
});
