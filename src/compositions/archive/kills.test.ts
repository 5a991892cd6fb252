/** Processes of an archive die at random and at each step: what they leave behind is put in order by the others. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ArchiveServer, makeDue } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { redisClients } from '../../../test/support/redis-clients.ts';
import { lmdb } from '../../drivers/lmdb/index.ts';
import type { Store } from '../../store/store.ts';
import { type Archive, archive, redisKeys } from './index.ts';

const program = fileURLToPath(new URL('../../../test/support/archive-process.ts', import.meta.url));
const KILLS = Number(process.env.STRATAKV_ARCHIVE_KILLS ?? 12);
const AT_ONCE = 3;

describeWithEngine('redis-server', 'archive, whose processes are killed', () => {
  const on = new ArchiveServer();
  const path = mkdtempSync(join(tmpdir(), 'stratakv-archive-kills-'));
  let cold: Store<Uint8Array>;
  beforeAll(() => {
    cold = lmdb({ path, durability: 'os' });
  });
  afterAll(async () => {
    await cold.close();
    rmSync(path, { recursive: true });
  });
  const started = (namespace: string, action: string, dieAt: string): ChildProcess =>
    spawn(process.execPath, [program, on.url, path, namespace, action, dieAt], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  const opened = (namespace: string): Archive =>
    archive({
      hot: redisKeys(redisClients['node-redis'](on.url).client, { namespace }),
      ...{ cold, leaseMs: 200, throttleMs: 0 },
    });

  /** What a process was about, where it died, and what the key then is. */
  const deaths: readonly (readonly [string, string, 'old' | 'new' | null])[] = [
    ['dirty', 'mark:before', 'new'],
    ['dirty', 'mark:after', 'new'],
    ...['take', 'put', 'settle'].flatMap((step) => [
      ['drain', `${step}:before`, 'new'] as const,
      ['drain', `${step}:after`, 'new'] as const,
    ]),
    ...['beginEvict', 'find', 'evict'].flatMap((step) => [
      ['evict', `${step}:before`, 'old'] as const,
      ['evict', `${step}:after`, 'old'] as const,
    ]),
    ...['presence', 'find', 'restore'].map((step) => ['ensure', `${step}:after`, 'old'] as const),
    ['forget', 'forget:before', 'old'],
    ['forget', 'forget:after', null],
    ...['take', 'put', 'settle'].flatMap((step) => [
      ['forget', `${step}:before`, null] as const,
      ['forget', `${step}:after`, null] as const,
    ]),
  ];

  async function dies(action: string, dieAt: string, left: 'old' | 'new' | null): Promise<void> {
    const namespace = `${action}-${dieAt.replace(':', '-')}`;
    const key = `${namespace}.0`;
    const one = opened(namespace);
    await on.frozen(one, key, 'old');
    if (action === 'ensure') await one.evict(key);
    if (action === 'dirty' || action === 'drain') await on.client.set(key, 'new');
    if (action === 'drain') await one.dirty(key);
    const [, signal] = await once(started(namespace, action, dieAt), 'exit');
    expect(signal, `${action}, ${dieAt}`).toBe('SIGKILL');
    // Twice: what was found to have changed is frozen, and then evicted.
    for (let round = 0; round < 2; round++) {
      await makeDue(on.client, namespace);
      expect((await one.drain()).failed).toEqual([]);
      await one.evict(key);
    }
    const evicted = left === null ? 0 : 1;
    expect(await one.stats(), `${action}, ${dieAt}`).toMatchObject({ dirty: 0, evicted });
    expect(await on.client.exists(key)).toBe(0);
    await one.ensure(key);
    expect(await on.client.get(key), `${action}, ${dieAt}`).toBe(left);
    await one.close();
  }

  it('has every key as it was, at whichever step a process dies', {
    timeout: 240_000,
  }, async () => {
    const waiting = [...deaths];
    const next = async (): Promise<void> => {
      for (let death = waiting.shift(); death !== undefined; death = waiting.shift())
        await dies(...death);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  });

  it('loses and resurrects nothing while workers are killed at random', {
    timeout: 240_000,
  }, async () => {
    const namespace = 'random';
    const one = opened(namespace);
    const keys = Array.from({ length: 20 }, (_, n) => `${namespace}.${n}`);
    const expected = new Map<string, string>();
    let over = false;
    let written = 0;
    const write = async (own: readonly string[]): Promise<void> => {
      while (!over) {
        const key = own[written % own.length] as string;
        const value = `v${written++}`;
        await one.ensure(key);
        if (written % 7 === 0) {
          await one.forget(key);
          expected.delete(key);
        } else {
          const transaction = on.client.multi().set(key, value);
          one.dirtyAtomically(transaction, [key]);
          await transaction.exec();
          expected.set(key, value);
        }
      }
    };
    const kill = async (kills: number): Promise<void> => {
      for (let n = 0; n < kills; n++) {
        const child = started(namespace, 'work', '');
        const exit = once(child, 'exit');
        await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), exit]);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
        child.kill('SIGKILL');
        expect((await exit)[1]).toBe('SIGKILL');
      }
    };
    const writers = Promise.all([write(keys.slice(0, 10)), write(keys.slice(10))]);
    await Promise.all(
      Array.from({ length: AT_ONCE }, (_, n) => kill(Math.ceil((KILLS - n) / AT_ONCE))),
    ).finally(() => {
      over = true;
    });
    await writers;
    const compare = async (): Promise<void> => {
      await one.ensure(...keys);
      const found = await on.client.mGet(keys);
      expect(found).toEqual(keys.map((key) => expected.get(key) ?? null));
    };
    await compare();
    for (let round = 0; round < 3; round++) {
      await makeDue(on.client, namespace);
      expect((await one.drain()).failed).toEqual([]);
      await one.evict(...keys);
    }
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: expected.size });
    await compare();
    await one.close();
  });
});
