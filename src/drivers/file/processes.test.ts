import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { describeWithEngine, enginePath } from '../../../test/support/engines.ts';
import { defineStore, json, type StoreWithBlocking } from '../../store/index.ts';
import { withCodec } from '../../store/with-codec.ts';
import { file, toPrimitives } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-file-processes-'));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

let files = 0;
const newPath = (): string => join(folder, `${++files}`);

interface Child {
  readonly pid: number;
  readonly lines: AsyncIterator<string>;
  readonly ended: Promise<number | null>;
  kill(): Promise<unknown>;
}

const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** A program with a store of small shards in `store`; `say` brings a line here at once. */
const program = (path: string, options: object, body: string): string => `
  import { writeSync } from 'node:fs';
  import { toPrimitives } from ${here('./index.ts')};
  import { systemDisk } from ${here('./disk.ts')};
  import { json, defineStore } from ${here('../../store/index.ts')};
  import { withCodec } from ${here('../../store/with-codec.ts')};
  const say = (line) => writeSync(1, line + '\\n');
  const primitives = toPrimitives(
    { path: ${JSON.stringify(path)}, ...${JSON.stringify(options)} }, systemDisk, 8);
  const store = defineStore(withCodec(primitives, json()));
  ${body}
`;

function spawnProgram(path: string, options: object, body: string, wrap: string[] = []): Child {
  const script = program(path, options, body);
  const [command, ...args] = [...wrap, process.execPath, '--input-type=module', '-e', script];
  const child = spawn(command as string, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return {
    pid: child.pid as number,
    lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](),
    ended,
    kill: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}

function openSmall<V>(path: string, options: object = {}): StoreWithBlocking<V> {
  return defineStore(withCodec<V>(toPrimitives({ path, ...options }, undefined, 8), json<V>()));
}

const STAY = `say('open'); setInterval(() => {}, 1000);`;

describe('one process writes', () => {
  it('and a second is told which, until it has ended, however it ends', async () => {
    const path = newPath();
    const child = spawnProgram(path, {}, `await store.set('a', 1); ${STAY}`);
    await child.lines.next();
    expect(() => file({ path })).toThrow(
      expect.objectContaining({
        code: 'conflict',
        details: { pid: child.pid },
        message: expect.stringContaining(`the process ${child.pid}`),
      }),
    );
    await using reader = openSmall(path, { readonly: true });
    expect(await reader.get('a')).toBe(1);
    await expect(reader.set('a', 2)).rejects.toMatchObject({ code: 'denied' });
    await child.kill();
    await using store = openSmall<number>(path);
    expect(await store.get('a')).toBe(1);
    await store.set('a', 2);
    expect(await reader.get('a')).toBe(2);
    expect(() => file({ path })).toThrow(
      expect.objectContaining({ code: 'conflict', details: { pid: process.pid } }),
    );
  });

  it('so that of many that open one path at once exactly one does', async () => {
    const path = newPath();
    await openSmall(path).close();
    const body = `say('open'); await new Promise((resolve) => setTimeout(resolve, 1500));`;
    const all = Array.from({ length: 5 }, () =>
      spawnProgram(path, {}, body, ['sh', '-c', '"$@" 2>/dev/null', 'sh']),
    );
    const opened = await Promise.all(all.map(async ({ lines }) => (await lines.next()).value));
    await Promise.all(all.map((child) => child.ended));
    expect(opened.filter((line) => line === 'open')).toHaveLength(1);
  });

  it('in one thread, and another may when that has ended', async () => {
    const path = newPath();
    const script = program(
      path,
      {},
      `
      import { parentPort } from 'node:worker_threads';
      parentPort.postMessage('open');
      setInterval(() => {}, 1000);`,
    );
    const source = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
    const worker = new Worker(source);
    await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    expect(() => file({ path })).toThrow(expect.objectContaining({ code: 'conflict' }));
    await worker.terminate();
    await file({ path }).close();
  });

  it('while others see each state of each key in turn, and every key in lists', async () => {
    const path = newPath();
    const keys = Array.from({ length: 60 }, (_, n) => `k${String(n).padStart(3, '0')}`);
    const child = spawnProgram(
      path,
      { durability: 'os' },
      `
      const fixed = ${JSON.stringify(keys)};
      for (const key of fixed) await store.set(key, 0);
      say('ready');
      for (let n = 1; ; n++) {
        await Promise.all(fixed.map((key) => store.set(key, n)));
        // Between them others come and go, so that shards do.
        const more = Array.from({ length: 40 }, (_, at) => fixed[(n * 7 + at) % 60] + ':' + at);
        await Promise.all(more.map((key) => store.set(key, n)));
        await Promise.all(more.map((key) => store.delete(key)));
        say(String(n));
      }`,
    );
    await child.lines.next();
    await using store = openSmall<number>(path, { readonly: true });
    const seen = new Map<string, number>();
    const note = (key: string, value: number | undefined): void => {
      expect(value).toBeGreaterThanOrEqual(seen.get(key) ?? 0);
      seen.set(key, value as number);
    };
    for (let round = 0; round < 40; round++) {
      for (const key of keys) note(key, await store.get(key));
      const listed = new Map<string, number>();
      const reverse = round % 2 === 1;
      for await (const entry of store.list({ reverse })) listed.set(entry.key, entry.value);
      const order = [...listed.keys()];
      expect(order).toEqual(reverse ? order.toSorted().reverse() : order.toSorted());
      for (const key of keys) note(key, listed.get(key));
    }
    expect(Math.max(...seen.values())).toBeGreaterThan(2);
    await child.kill();
  }, 60_000);
});

describe('kill -9', () => {
  it('loses nothing acknowledged in 50 crashes, and leaves nothing torn behind', async () => {
    const path = newPath();
    const body = (round: number): string => `
      let n = 0;
      const big = 'x'.repeat(20_000);
      const writer = async (name) => {
        for (;;) {
          const at = ++n;
          const key = name + ':' + (at * 31) % 40;
          if (at % 5 === 0) await store.delete(key);
          else if (at % 5 === 1) store.blocking.set(key, { round: ${round}, at, big });
          else await store.set(key, { round: ${round}, at, big }, { meta: { at } });
          say(JSON.stringify({ key, at: at % 5 === 0 ? 0 : at }));
        }
      };
      await Promise.all(['a', 'b', 'c', 'd'].map(writer));`;
    const expected = new Map<string, { round: number; at: number }>();
    for (let round = 1; round <= 50; round++) {
      const options = { durability: round % 5 === 0 ? 'disk' : 'os' };
      const child = spawnProgram(path, options, body(round));
      const acknowledge = (line: string): void => {
        const { key, at } = JSON.parse(line) as { key: string; at: number };
        if (at === 0) expected.delete(key);
        else expected.set(key, { round, at });
      };
      for (let heard = 0; heard < 10 + ((round * 37) % 150); heard++)
        acknowledge((await child.lines.next()).value);
      const dead = child.kill();
      for (let step = await child.lines.next(); !step.done; step = await child.lines.next())
        acknowledge(step.value);
      await dead;
      await using store = openSmall<{ round: number; at: number; big: string }>(path);
      expect(readdirSync(join(path, 'tmp'))).toEqual([]);
      const listed = new Map<string, { round: number; at: number }>();
      for await (const { key, value } of store.list()) {
        expect(value.big).toHaveLength(20_000);
        expect(await store.get(key)).toEqual(value);
        listed.set(key, value);
      }
      // One write of each writer may have been made and not been told.
      const differing = [...new Set([...listed.keys(), ...expected.keys()])].filter((key) => {
        const [is, was] = [listed.get(key), expected.get(key)];
        return is?.at !== was?.at || is?.round !== was?.round;
      });
      for (const key of differing) {
        const is = listed.get(key);
        if (is !== undefined) expect(is.round).toBe(round);
      }
      expect(differing.length).toBeLessThanOrEqual(4);
      expected.clear();
      for (const [key, { round: made, at }] of listed) expected.set(key, { round: made, at });
    }
  }, 120_000);
});

describeWithEngine('strace', 'flushes, by the system calls made', () => {
  /** The calls of a process that makes some writes in one way, with the paths in them. */
  async function callsOf(options: object, body: string): Promise<string[]> {
    const trace = join(folder, `trace-${++files}`);
    const calls = 'trace=fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat';
    const wrap = [enginePath('strace'), '-f', '-y', '-e', calls, '-o', trace];
    const child = spawnProgram(newPath(), options, `await store.set('warm', 0);\n${body}`, wrap);
    expect(await child.ended).toBe(0);
    return readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => line.includes(folder));
  }
  const ONE_FILE = /\/\d+\/tmp\/[^/>]+>/;
  const flushed = (calls: readonly string[], part: RegExp): number =>
    calls.filter((line) => line.includes('fsync(') && part.test(line)).length;

  it('are one of the file before its rename, and one of the folder after it', async () => {
    const calls = await callsOf({}, `for (let n = 0; n < 5; n++) await store.set('k', n);`);
    const kinds = calls
      .map((line) =>
        /fsync\(.*\/\d+\/tmp\/[^/>]+>/.test(line)
          ? 'file'
          : /fsync\(.*\/data\/s>/.test(line)
            ? 'folder'
            : /rename.*\/data\/s\//.test(line)
              ? 'rename'
              : undefined,
      )
      .filter((kind) => kind !== undefined);
    expect(kinds.join(' ')).toContain(Array(5).fill('file rename folder').join(' '));
  }, 30_000);

  it('are made for deletes and for synchronous writes too, and one of the folder for many together', async () => {
    const none = await callsOf({}, '');
    const blocking = await callsOf({}, `for (let n = 0; n < 5; n++) store.blocking.set('k', n);`);
    expect(flushed(blocking, ONE_FILE) - flushed(none, ONE_FILE)).toBe(5);
    expect(flushed(blocking, /\/data\/s>/) - flushed(none, /\/data\/s>/)).toBe(5);
    const removed = await callsOf({}, `await store.delete('warm');`);
    expect(flushed(removed, /\/data\/s>/) - flushed(none, /\/data\/s>/)).toBe(1);
    const together = await callsOf(
      {},
      `await Promise.all([1, 2, 3, 4, 5].map((n) => store.set('k' + n, n)));`,
    );
    expect(flushed(together, ONE_FILE) - flushed(none, ONE_FILE)).toBe(5);
    expect(flushed(together, /\/data\/s>/) - flushed(none, /\/data\/s>/)).toBe(1);
    const os = await callsOf({ durability: 'os' }, `await store.set('k', 1);`);
    expect(flushed(os, /\/data\/s>/)).toBe(0);
  }, 30_000);
});
