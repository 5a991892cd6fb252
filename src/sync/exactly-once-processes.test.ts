import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { describeWithEngine, startRedis } from '../../test/support/engines.ts';
import { memory } from '../drivers/memory/index.ts';
import { type Subscription, subscribe, webSocket } from './index.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

interface Server {
  readonly child: ChildProcess;
  readonly port: number;
}

const program = new URL('../../test/support/dying-server.ts', import.meta.url);

function said<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve) => child.once('message', (message) => resolve(message as T)));
}

async function start(engine: 'lmdb' | 'redis', place: string, port = 0): Promise<Server> {
  const child = fork(program, [engine, place, String(port)]);
  cleanups.push(() => child.kill('SIGKILL'));
  const { port: listening } = await said<{ port: number }>(child);
  return { child, port: listening };
}

/** Kills a server half way through one of the next commits. */
async function killAt(server: Server, stopAt: number, applied: boolean): Promise<void> {
  server.child.send({ stopAt, applied });
  await said(server.child);
  server.child.kill('SIGKILL');
  await new Promise((resolve) => server.child.once('exit', resolve));
}

function subscribed(port: () => number): Subscription<Uint8Array> {
  const to = { connect: () => webSocket(`ws://127.0.0.1:${port()}/`).connect() };
  const subscription = subscribe(to, memory<Uint8Array>(), {
    token: 'secret',
    reconnect: { baseMs: 10, capMs: 50 },
    timeoutMs: 60_000,
  });
  cleanups.push(() => subscription.close());
  return subscription;
}

const increment = (value: Uint8Array | undefined): Uint8Array =>
  bytes(String(Number(words(value) ?? 0) + 1));

/** Two writers count while servers are killed; every count is there once. */
async function countsThrough(next: (round: number) => Promise<Server>): Promise<void> {
  let server = await next(0);
  const counters = [subscribed(() => server.port), subscribed(() => server.port)];
  await Promise.all(counters.map(({ ready }) => ready));
  let isOver = false;
  const counted = counters.map(async ({ remote }, who) => {
    let count = 0;
    for (; !isOver; count++) {
      // Without a condition, a second application would be seen as well.
      await remote.set(`${who}/${count}`, bytes(''));
      await remote.update('n', increment);
      expect(await remote.delete(`${who}/${count}`)).toBe(true);
    }
    return count;
  });
  for (let round = 1; round <= 3; round++) {
    await killAt(server, round * 3, round % 2 === 0);
    server = await next(round);
  }
  isOver = true;
  const total = (await Promise.all(counted)).reduce((sum, count) => sum + count, 0);
  for (const { remote } of counters) {
    await expect.poll(async () => words(await remote.get('n'))).toBe(String(total));
    expect([...(await remote.hasMany(['0/0', '1/0']))]).toEqual([]);
  }
  expect(total).toBeGreaterThan(3);
}

describe('writes through servers that are killed', () => {
  it('are applied once, over a store on disk', async () => {
    const path = mkdtempSync(join(tmpdir(), 'stratakv-once-'));
    cleanups.push(() => rmSync(path, { recursive: true }));
    await countsThrough(() => start('lmdb', path));
  }, 60_000);
});

describeWithEngine('redis', 'writes through two servers of one Redis', () => {
  it('are applied once, whichever of them is killed', async () => {
    const redis = await startRedis();
    cleanups.push(() => redis.stop());
    const spare = await start('redis', redis.url);
    let waiting = spare;
    await countsThrough(async (round) => {
      // The next one is there already.
      const server = round === 0 ? await start('redis', redis.url) : waiting;
      if (round > 0) waiting = await start('redis', redis.url);
      return server;
    });
  }, 60_000);
});
