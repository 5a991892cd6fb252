/** Processes that follow one back, each with a front of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createClient } from 'redis';
import { afterAll, describe, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../../test/support/engines.ts';
import type { FollowingOptions, FollowingReport } from '../../../test/support/following-process.ts';
import { lmdb } from '../../drivers/lmdb/index.ts';
import { redis } from '../../drivers/redis/index.ts';
import { layoutOf } from '../../drivers/redis/layout.ts';
import { json, type Store } from '../../store/index.ts';

const script = fileURLToPath(
  new URL('../../../test/support/following-process.ts', import.meta.url),
);
const folder = mkdtempSync(join(tmpdir(), 'stratakv-following-'));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

interface Following {
  /** The next line that it says. */
  next(): Promise<string>;
  tell(): void;
  readonly ended: Promise<number | null>;
}

function follow(options: FollowingOptions): Following {
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.add(child);
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    next: async () => {
      const { value, done } = await lines.next();
      if (done) throw new Error(`the process ended with ${await ended}`);
      return value;
    },
    tell: () => void child.stdin.write('\n'),
    ended,
  };
}

/** Two processes write at once in every way; then their fronts show what is in the back. */
async function converge(
  options: Pick<FollowingOptions, 'engine' | 'at' | 'prefix'>,
  back: Store<unknown>,
  operations: number,
): Promise<void> {
  const both = ['one', 'two'].map((name, i) =>
    follow({ ...options, name, seed: 41 + i, operations }),
  );
  for (const one of both) expect(await one.next()).toBe('ready');
  for (const one of both) one.tell();
  for (const one of both) expect(await one.next()).toBe('done');
  // What is to expire has expired, and the feed has told of everything.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const truth = Object.fromEntries(
    (await Array.fromAsync(back.list())).map(({ key, value }) => [key, value]),
  );
  for (const one of both) {
    one.tell();
    const { seen, copies, backwards, lagsMs }: FollowingReport = JSON.parse(await one.next());
    const at = (share: number): string =>
      (lagsMs[Math.floor((lagsMs.length - 1) * share)] ?? Number.NaN).toFixed(1);
    console.info(
      `${options.engine}: ${lagsMs.length} changes of the other process were in the front after ${at(0.5)} ms (half of them), ${at(0.99)} ms (99 %), ${at(1)} ms (all)`,
    );
    expect(seen).toEqual(
      Object.fromEntries(Object.entries(truth).filter(([key]) => !key.startsWith('beacon/'))),
    );
    // None of its copies is old, those that were not asked for included.
    expect(truth).toMatchObject(copies);
    expect(backwards).toBe(0);
    expect(seen).toMatchObject({ 'count/one': operations, 'count/two': operations });
    expect(lagsMs.length).toBeGreaterThan(10);
  }
  for (const one of both) one.tell();
  expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0]);
}

describe('two processes over one lmdb', () => {
  it('see what is in it, and end although they follow it', async () => {
    const at = join(folder, 'lmdb');
    await using back = lmdb({ path: at, codec: json() });
    await converge({ engine: 'lmdb', at, prefix: '' }, back, 400);
  }, 60_000);
});

describeWithEngine('redis', 'two processes over one redis', () => {
  it('see what is in it', async () => {
    const prefix = `following-${crypto.randomUUID()}`;
    {
      await using back = redis({ url: redisUrl(), prefix, codec: json() });
      await converge({ engine: 'redis', at: redisUrl(), prefix }, back, 400);
    }
    const admin = createClient({ url: redisUrl() });
    await admin.connect();
    await admin.unlink([...layoutOf(prefix).keys]);
    admin.destroy();
  }, 60_000);
});
