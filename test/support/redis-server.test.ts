import { createClient } from 'redis';
import { expect, test } from 'vitest';
import { describeWithEngine, freePort, redisUrl, startRedis } from './engines.ts';

describeWithEngine('redis', 'the Redis shared by the run', () => {
  test('answers a client', async () => {
    const client = await createClient({ url: redisUrl() }).connect();
    expect(await client.ping()).toBe('PONG');
    client.destroy();
  });
});

describeWithEngine('redis-server', 'a Redis of the test’s own', () => {
  test('comes back on the same port after a kill, empty', async () => {
    const first = await startRedis();
    const before = await createClient({ url: first.url }).connect();
    await before.set('a', '1');
    before.on('error', () => undefined);
    before.destroy();
    await first.kill();
    await using second = await startRedis({ port: first.port });
    const after = await createClient({ url: second.url }).connect();
    expect(await after.get('a')).toBeNull();
    after.destroy();
    await first.stop();
  });

  test('says what the server said when it does not start', async () => {
    await expect(startRedis({ args: ['--no-such-option', 'x'] })).rejects.toThrow('no-such-option');
  });
});

test('a free port is none that an outgoing connection could take', async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, freePort));
  expect(Math.max(...ports)).toBeLessThan(32_768);
});
