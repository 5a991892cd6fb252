/** Processes that are killed while they write behind: what they acknowledged is in the back in the end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from 'redis';
import { afterAll, describe, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../../../test/support/engines.ts';
import { lmdb } from '../../../drivers/lmdb/index.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { redis } from '../../../drivers/redis/index.ts';
import { layoutOf } from '../../../drivers/redis/layout.ts';
import { json, type Store } from '../../../store/index.ts';
import { tiered } from '../index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-kills-'));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const module = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/**
 * Says first what the store holds, then of each write that it begins and that it is acknowledged.
 * Every writer has keys of its own, so that what is known of a key is one value, or two.
 */
function writer(journal: string, back: string, from: number): ChildProcess {
  const script = `
    import { writeSync } from 'node:fs';
    import { tiered } from ${module('../index.ts')};
    import { memory } from ${module('../../../drivers/memory/index.ts')};
    import { lmdb } from ${module('../../../drivers/lmdb/index.ts')};
    import { redis } from ${module('../../../drivers/redis/index.ts')};
    import { json } from ${module('../../../store/index.ts')};
    const say = (...words) => writeSync(1, JSON.stringify(words) + '\\n');
    const codec = json();
    const store = tiered({
      front: memory(),
      back: ${back},
      write: 'behind',
      journal: lmdb({ path: ${JSON.stringify(journal)}, durability: 'os' }),
      leaseMs: 100,
    });
    const held = {};
    for await (const { key, value } of store.list()) held[key] = value;
    say('held', held);
    let n = ${from};
    const write = async (name) => {
      for (let i = 0; ; i++) {
        const value = ++n;
        const key = name + i % 7;
        if (i % 5 === 4) {
          say('try', key, null, value);
          await store.delete(key);
          say('ack', key, null, value);
        } else if (i % 11 === 7) {
          const [a, b] = [name + 'x', name + 'y'];
          say('try', a, value, value);
          say('try', b, value, value);
          await store.setMany([[a, value], [b, value]]);
          say('ack', a, value, value);
          say('ack', b, value, value);
        } else {
          say('try', key, value, value);
          await store.set(key, value);
          say('ack', key, value, value);
        }
      }
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(write));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  return child;
}

/** What may stand under each key, by what the writers have said. */
class Acknowledged {
  readonly #certain = new Map<string, unknown>();
  readonly #tried = new Map<string, unknown>();
  writes = 0;
  last = 0;

  hear(word: string, key: string, value: unknown, n: number): void {
    this.last = Math.max(this.last, n);
    if (word === 'try') this.#tried.set(key, value);
    else {
      this.writes++;
      this.#certain.set(key, value);
      this.#tried.delete(key);
    }
  }

  /** Compares with what a store holds; afterwards that is what is known. */
  check(held: Readonly<Record<string, unknown>>): void {
    for (const key of new Set([...Object.keys(held), ...this.#certain.keys()])) {
      const value = held[key] ?? null;
      const allowed: unknown[] = [this.#certain.get(key) ?? null];
      if (this.#tried.has(key)) allowed.push(this.#tried.get(key));
      expect(allowed, `the value of ${key}`).toContain(value);
      this.#certain.set(key, value);
    }
    this.#tried.clear();
  }
}

/** One life: until some of its writes are acknowledged, and then for a moment more. */
async function live(child: ChildProcess, known: Acknowledged, moments: number): Promise<void> {
  const ended = new Promise((resolve) => child.on('close', resolve));
  let acks = 0;
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const [word, ...rest] = JSON.parse(line) as [string, ...unknown[]];
    if (word === 'held') known.check(rest[0] as Record<string, unknown>);
    else known.hear(word, ...(rest as [string, unknown, number]));
    // What it says after that is heard all the same: it was acknowledged before the end.
    if (word === 'ack' && ++acks === 20 + moments * 7) child.kill('SIGKILL');
  }
  await ended;
  children.delete(child);
}

async function survive(
  journal: string,
  back: string,
  open: () => Store<unknown>,
  cycles: number,
): Promise<void> {
  const known = new Acknowledged();
  for (let cycle = 0; cycle < cycles; cycle++)
    await live(writer(journal, back, known.last), known, cycle % 23);
  expect(known.writes).toBeGreaterThan(cycles * 20);
  // The last one brings everything to the back.
  const store = tiered({
    front: memory(),
    back: open(),
    write: 'behind',
    journal: lmdb({ path: journal }),
    leaseMs: 100,
  });
  expect(await store.flush({ timeoutMs: 20_000 })).toMatchObject({ keys: 0, deadLetters: 0 });
  await store.close();
  const truth = open();
  const held: Record<string, unknown> = {};
  for await (const { key, value } of truth.list()) held[key] = value;
  known.check(held);
  await truth.close();
}

describe('processes that are killed', () => {
  it('lose nothing that they acknowledged, over lmdb', { timeout: 150_000 }, async () => {
    const path = join(folder, 'back');
    const back = `lmdb({ path: ${JSON.stringify(path)}, codec, durability: 'os' })`;
    const open = (): Store<unknown> => lmdb({ path, codec: json() });
    await survive(join(folder, 'journal'), back, open, 50);
  });
});

describeWithEngine('redis', 'processes that are killed, over redis', () => {
  it('lose nothing that they acknowledged', { timeout: 90_000 }, async () => {
    const prefix = `behind-${crypto.randomUUID()}`;
    const options = { url: redisUrl(), prefix };
    const back = `redis({ ...${JSON.stringify(options)}, codec })`;
    const open = (): Store<unknown> => redis({ ...options, codec: json() });
    await survive(join(folder, 'journal-of-redis'), back, open, 12);
    const admin = createClient({ url: redisUrl() });
    await admin.connect();
    await admin.unlink([...layoutOf(prefix).keys]);
    admin.destroy();
  });
});
