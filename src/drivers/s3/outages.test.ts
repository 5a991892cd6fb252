import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { S3Client } from '@aws-sdk/client-s3';
import { createClient } from 'redis';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { describeWithEngine, startRedis } from '../../../test/support/engines.ts';
import { S3Bucket } from '../../../test/support/s3-bucket.ts';
import { meddledClient } from '../../../test/support/s3-server.ts';
import { TcpProxy } from '../../../test/support/tcp-proxy.ts';
import { archive, redisKeys } from '../../compositions/archive/index.ts';
import { isStrataError, json, type Store } from '../../store/index.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { type S3Options, s3 } from './index.ts';

const CYCLES = 6;
/** What a killed process writes: a number, and bytes that follow from it. */
interface Padded {
  readonly n: number;
  readonly pad: string;
}
const padOf = (n: number): string => `${n},`.repeat(20_000);

describeWithEngine('radosgw', 's3, when things end', () => {
  const on = new S3Bucket();
  const children = new Set<ChildProcess>();
  let proxy: TcpProxy;
  let through: S3Client;
  beforeAll(async () => {
    proxy = await TcpProxy.start(on.server.port);
    const endpoint = `http://127.0.0.1:${proxy.port}`;
    through = on.server.client({ endpoint, maxAttempts: 1 });
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    through?.destroy();
    await proxy?.stop();
  });

  const open = <V>(prefix: string, options: Partial<S3Options> = {}): Store<V> =>
    s3({ client: through, bucket: on.name, prefix, codec: json<V>(), ...options });

  /** A process that writes on and on, and tells each write that was acknowledged; killed so long after the first. */
  async function killedWriter(prefix: string, from: number, forMs: number): Promise<number> {
    const credentials = await on.server.client().config.credentials();
    const script = `
      import { writeSync } from 'node:fs';
      import { S3Client } from '@aws-sdk/client-s3';
      import { s3 } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
      import { json } from ${JSON.stringify(new URL('../../store/index.ts', import.meta.url).href)};
      const client = new S3Client({
        endpoint: 'http://127.0.0.1:${on.server.port}', region: 'us-east-1', forcePathStyle: true,
        credentials: ${JSON.stringify(credentials)},
      });
      const store = s3({ client, bucket: '${on.name}', prefix: '${prefix}', codec: json() });
      const padOf = ${padOf.toString()};
      for (let n = ${from}; ; n++) {
        await store.set('k', { n, pad: padOf(n) });
        writeSync(1, n + '\\n');
      }
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.add(child);
    let acknowledged = from - 1;
    let killing: NodeJS.Timeout | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      killing ??= setTimeout(() => child.kill('SIGKILL'), forMs);
    }
    clearTimeout(killing);
    children.delete(child);
    return acknowledged;
  }

  it(`keeps what was acknowledged, and all of it, when ${CYCLES} writers are killed`, async () => {
    const prefix = crypto.randomUUID();
    const store = open<Padded>(prefix, { client: on.server.client() });
    let next = 1;
    let total = 0;
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      const acknowledged = await killedWriter(prefix, next, cycle * 37);
      total += acknowledged - next + 1;
      const entry = await store.get('k');
      // The write that was under way when it was killed may have been carried out.
      const n = entry?.n ?? 0;
      expect([acknowledged, acknowledged + 1]).toContain(n === 0 ? next - 1 : n);
      if (entry !== undefined) expect(entry.pad).toBe(padOf(n));
      next = acknowledged + 2;
      await store.set('k', { n: next - 1, pad: padOf(next - 1) });
    }
    expect(total).toBeGreaterThanOrEqual(CYCLES);
  }, 240_000);

  it('loses and doubles no update when connections are cut', async () => {
    const store = open<number>(crypto.randomUUID(), { timeoutMs: 60_000 });
    await store.set('count', 0);
    let done = 0;
    let unknown = 0;
    let over = false;
    const cutting = (async () => {
      while (!over) {
        await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 80));
        proxy.cut();
      }
    })();
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let n = 0; n < 25; n++)
          try {
            await store.update('count', (count = 0) => count + 1);
            done++;
          } catch (error) {
            if (isStrataError(error, 'unknown-outcome')) unknown++;
            else if (!isStrataError(error, 'unavailable', 'conflict')) throw error;
          }
      }),
    );
    over = true;
    await cutting;
    const count = (await store.get('count')) ?? -1;
    expect(done).toBeGreaterThan(0);
    expect(count).toBeGreaterThanOrEqual(done);
    expect(count).toBeLessThanOrEqual(done + unknown);
  }, 120_000);

  it('says unavailable while the endpoint is away, within the bound, and goes on after', async () => {
    const store = open<number>(crypto.randomUUID(), { timeoutMs: 3_000 });
    await store.set('a', 1);
    proxy.down = true;
    proxy.cut();
    for (let n = 0; n < 3; n++) {
      await expect(store.get('a')).rejects.toMatchObject({ code: 'unavailable', retryable: true });
      await expect(store.set('a', 2)).rejects.toMatchObject({
        code: expect.stringMatching(/unavailable|unknown-outcome/),
      });
    }
    proxy.down = false;
    expect(await store.get('a')).toBe(1);
    await store.set('a', 3);
    expect(await store.get('a')).toBe(3);
  }, 60_000);

  it('leaves nothing of the trial of conditions, also when that is given up', async () => {
    const goOn = Promise.withResolvers<void>();
    let puts = 0;
    const slow = meddledClient(on.server, async ({ command, send }) => {
      if (command === 'PutObjectCommand' && ++puts === 2) await goOn.promise;
      return send();
    });
    const env = simulatedEnv();
    const store = open<number>(crypto.randomUUID(), { client: slow, env, timeoutMs: 60_000 });
    const refused = expect(store.set('a', 1)).rejects.toMatchObject({ code: 'timeout' });
    await vi.waitUntil(() => puts === 2, { timeout: 10_000 });
    expect(await on.stored(store)).toHaveLength(1);
    await env.advance(5_000);
    await refused;
    goOn.resolve();
    await vi.waitUntil(async () => (await on.stored(store)).length === 0, { timeout: 10_000 });
  });

  it('writes although it may not remove what it tried conditions on', async () => {
    const store = open<number>(crypto.randomUUID(), {
      client: meddledClient(on.server, ({ command, send }) => {
        if (command === 'DeleteObjectCommand') throw new Error('not here');
        return send();
      }),
    });
    await store.set('a', 1, { if: 'absent' });
    const keys: string[] = [];
    for await (const key of store.keys()) keys.push(key);
    expect(keys).toEqual(['a']);
    expect(await on.stored(store)).toHaveLength(2);
  });

  it('gives up in time when nothing comes back, and says what may have happened', async () => {
    const store = open<number>(crypto.randomUUID(), { timeoutMs: 600 });
    const patient = { timeoutMs: 10_000 };
    await store.set('a', 1, patient);
    proxy.blackhole = true;
    const began = performance.now();
    await expect(store.get('a')).rejects.toMatchObject({ code: 'timeout' });
    await expect(store.set('a', 2)).rejects.toMatchObject({ code: 'timeout' });
    await expect(store.set('b', 2, { if: 'absent' })).rejects.toMatchObject({
      code: 'unknown-outcome',
    });
    expect(performance.now() - began).toBeLessThan(10_000);
    proxy.blackhole = false;
    proxy.cut();
    expect(await store.get('a', patient)).toBe(1);
    expect(await store.get('b', patient)).toBeUndefined();
  }, 60_000);

  describeWithEngine('redis-server', 'as the cold store of an archive', () => {
    it('may be away for seconds under load: nothing is lost or evicted, and all follows', async () => {
      await using redis = await startRedis();
      const client = createClient({ url: redis.url });
      await client.connect();
      const cold = s3({
        client: through,
        bucket: on.name,
        prefix: crypto.randomUUID(),
        timeoutMs: 2_000,
      });
      const hot = redisKeys(client);
      const safe = archive({ hot, cold, throttleMs: 0, coldTimeoutMs: 2_000 });
      safe.worker({ idleMs: 20, retry: { firstMs: 50, mostMs: 500 } });
      const written = new Map<string, string>();
      const write = async (n: number): Promise<void> => {
        const key = `k${n % 40}`;
        await client.set(key, `value ${n}`);
        written.set(key, `value ${n}`);
        await safe.dirty(key);
      };
      let n = 0;
      for (; n < 40; n++) await write(n);
      await vi.waitUntil(async () => (await safe.stats()).dirty === 0, { timeout: 30_000 });
      await safe.evict('k0', 'k1');
      proxy.down = true;
      proxy.cut();
      for (const until = performance.now() + 5_000; performance.now() < until; n++) {
        if (n % 40 > 1) await write(n);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      expect(await safe.evict('k2', 'k3')).toMatchObject({ evicted: 0 });
      await expect(safe.ensure('k0')).rejects.toMatchObject({ code: 'unavailable', key: 'k0' });
      expect((await safe.stats()).dirty).toBeGreaterThan(30);
      proxy.down = false;
      await vi.waitUntil(async () => (await safe.stats()).dirty === 0, { timeout: 60_000 });
      const keys = [...written.keys()];
      const { evicted } = await safe.evict(...keys.slice(2));
      expect(evicted).toBe(keys.length - 2);
      expect(await client.exists(keys)).toBe(0);
      await safe.ensure(...keys);
      expect(await client.mGet(keys)).toEqual([...written.values()]);
      await safe.close();
      await cold.close();
      client.destroy();
    }, 180_000);
  });
});
