/** A process is killed as it writes: its first store lives in memory, its only other one lags, the journal is on the disk. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from 'vitest';
import { lmdb } from '../../drivers/lmdb/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { sqlite } from '../../drivers/sqlite/index.ts';
import { json } from '../../store/index.ts';
import { replica } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-replica-kills-'));
afterAll(() => rmSync(folder, { recursive: true }));
const paths = { mirror: join(folder, 'mirror.db'), journal: join(folder, 'journal') };
const module = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Writes for ever to a replica whose mirror is late, and says what it begins and what is acknowledged. */
function writer(from: number): ReturnType<typeof spawn> {
  const script = `
    import { writeSync } from 'node:fs';
    import { replica } from ${module('./index.ts')};
    import { lmdb } from ${module('../../drivers/lmdb/index.ts')};
    import { memory } from ${module('../../drivers/memory/index.ts')};
    import { sqlite } from ${module('../../drivers/sqlite/index.ts')};
    import { FaultPlan, faulty } from ${module('../../testing/index.ts')};
    import { json } from ${module('../../store/index.ts')};
    const say = (...words) => writeSync(1, JSON.stringify(words) + '\\n');
    const options = { codec: json(), durability: 'os' };
    const late = new FaultPlan().delay('commit', 40);
    const store = replica({
      sync: [memory()],
      async: [faulty(sqlite({ path: ${JSON.stringify(paths.mirror)}, ...options }), late)],
      journal: lmdb({ path: ${JSON.stringify(paths.journal)}, ...options }),
      timeoutMs: 30_000,
    });
    let n = ${from};
    const write = async (name) => {
      for (let i = 0; ; i++) {
        const key = name + (i % 5);
        const value = i % 4 === 3 ? null : ++n;
        say('try', key, value);
        if (value === null) await store.delete(key);
        else await store.set(key, value);
        say('ack', key, value);
      }
    };
    await Promise.all(['a', 'b', 'c'].map(write));
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Kills the writer after so many acknowledgements. Gives what was under way, and enters the rest. */
async function killed(
  acks: number,
  from: number,
  certain: Map<string, number | null>,
): Promise<{ readonly tried: Map<string, number | null>; readonly last: number }> {
  const tried = new Map<string, number | null>();
  const child = writer(from);
  const ended = new Promise((resolve) => child.on('close', resolve));
  let last = from;
  let heard = 0;
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const [word, key, value] = JSON.parse(line) as [string, string, number | null];
    last = Math.max(last, value ?? 0);
    if (word === 'try') tried.set(key, value);
    else {
      certain.set(key, value);
      tried.delete(key);
      if (++heard === acks) child.kill('SIGKILL');
    }
  }
  await ended;
  return { tried, last };
}

test('loses nothing that was acknowledged, and brings nothing back', {
  timeout: 120_000,
}, async () => {
  const certain = new Map<string, number | null>();
  const options = { codec: json<number>(), durability: 'os' } as const;
  let from = 0;
  let brought = 0;
  for (let cycle = 0; cycle < 4; cycle++) {
    const { tried, last } = await killed(25 + cycle * 40, from, certain);
    from = last;
    const mirror = sqlite({ path: paths.mirror, ...options });
    const before = Object.fromEntries(
      await Array.fromAsync(mirror.list(), (e) => [e.key, e.value]),
    );
    const store = replica<number>({
      sync: [memory()],
      async: [mirror],
      journal: lmdb({ path: paths.journal, ...options }),
      timeoutMs: 30_000,
    });
    const held = Object.fromEntries(await Array.fromAsync(store.list(), (e) => [e.key, e.value]));
    for (const key of new Set([...certain.keys(), ...tried.keys()])) {
      const value = held[key] ?? null;
      const allowed: unknown[] = [certain.get(key) ?? null];
      if (tried.has(key)) allowed.push(tried.get(key));
      expect(allowed, `the value of ${key}`).toContain(value);
      certain.set(key, value);
      if ((before[key] ?? null) !== value) brought++;
    }
    expect(await store.flush({ timeoutMs: 20_000 })).toMatchObject({ behind: [] });
    const mirrored = await Array.fromAsync(mirror.list(), (e) => [e.key, e.value]);
    expect(Object.fromEntries(mirrored)).toEqual(held);
    await store.close();
  }
  // The kills did come before the mirror had everything.
  expect(brought).toBeGreaterThan(0);
});
