import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, it } from 'vitest';
import { describeWithEngine, enginePath } from '../../../test/support/engines.ts';
import { examineLmdb } from '../../../test/support/lmdb-integrity.ts';
import { json } from '../../store/index.ts';
import { lmdb } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-lmdb-processes-'));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

let stores = 0;
const newPath = (): string => join(folder, `${++stores}`);

/** How a process ended, and what it said of it. */
interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

interface Child {
  readonly lines: AsyncIterator<string>;
  readonly ended: Promise<Ending>;
  kill(): Promise<unknown>;
}

/** A process of its own with a store in `store`; `say` brings a line here at once. */
function spawnWriter(path: string, options: object, body: string, wrap: string[] = []): Child {
  const script = `
    import { writeSync } from 'node:fs';
    import { compact, lmdb } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    import { json } from ${JSON.stringify(new URL('../../store/index.ts', import.meta.url).href)};
    const say = (line) => writeSync(1, line + '\\n');
    const store = lmdb({ path: ${JSON.stringify(path)}, codec: json(), ...${JSON.stringify(options)} });
    ${body}
  `;
  const [program, ...args] = [...wrap, process.execPath, '--input-type=module', '-e', script];
  const child = spawn(program as string, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ending>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stderr })),
  );
  return {
    lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](),
    ended,
    kill: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}

/** How those ended that did not end well: a test that fails shows all there is to know of it. */
async function failuresOf(processes: readonly Child[]): Promise<Ending[]> {
  const endings = await Promise.all(processes.map(({ ended }) => ended));
  return endings.filter(({ code }) => code !== 0);
}

describe('several processes', () => {
  it('lose none of the 1,000 increments of each, and see each commit in their watch', async () => {
    const path = newPath();
    const store = lmdb({ path, codec: json<number>(), pollMs: 2 });
    await store.set('count', 0);
    const seen: number[] = [];
    const watching = (async () => {
      for await (const { writes } of store.watch()) {
        for (const write of writes) if (write.type === 'set') seen.push(write.value);
        if (seen.at(-1) === 2_000) return;
      }
    })();
    const body = `
      let left = 1000;
      const count = async () => { while (left-- > 0) await store.update('count', (n) => n + 1, { timeoutMs: 60_000 }); };
      await Promise.all([count(), count()]);
      await store.close();
    `;
    const both = [spawnWriter(path, {}, body), spawnWriter(path, {}, body)];
    expect(await failuresOf(both)).toEqual([]);
    await watching;
    expect(await store.get('count')).toBe(2_000);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    await store.close();
    expect((await examineLmdb(path)).flaws).toEqual([]);
  }, 60_000);

  it('keep the tables in step when they write, compact and sweep at once', async () => {
    const path = newPath();
    const body = (seed: number): string => `
      for (let n = 0; n < 120; n++) {
        await store.batch(Array.from({ length: 40 }, (_, k) => {
          const key = 'k' + (n * 37 + k * ${seed}) % 701;
          if (k % 6 === 0) return { type: 'delete', key };
          return { type: 'set', key, value: n, ...(k % 7 === 0 && { ttlMs: 1 + k }) };
        }));
        if (n % 5 === 0) store.blocking.set('sync' + n % 10, n);
        if (n % 20 === 0) await compact(store);
      }
      await store.close();
    `;
    const both = [spawnWriter(path, {}, body(11)), spawnWriter(path, {}, body(13))];
    expect(await failuresOf(both)).toEqual([]);
    const store = lmdb({ path, codec: json<number>() });
    // Nothing is to expire between one look and the next.
    await new Promise((resolve) => setTimeout(resolve, 60));
    const listed = await Array.fromAsync(store.list());
    for await (const { writes } of store.watch({ after: 'start' })) {
      const followed = writes.map(({ type, ...entry }) => entry);
      expect(followed.toSorted((x, y) => (x.key < y.key ? -1 : 1))).toEqual(listed);
      break;
    }
    await store.close();
    expect((await examineLmdb(path)).flaws).toEqual([]);
  }, 60_000);

  it('make one store when they open a new path at once', async () => {
    const path = newPath();
    const body = `
      await store.set(String(process.pid), 1);
      say((await store.cursor()).split('.')[0]);
      await store.close();
    `;
    const both = [spawnWriter(path, {}, body), spawnWriter(path, {}, body)];
    const epochs = await Promise.all(both.map(async ({ lines }) => (await lines.next()).value));
    expect(await failuresOf(both)).toEqual([]);
    expect(epochs[0]).toMatch(/^[\w-]{16}$/);
    expect(epochs[0]).toBe(epochs[1]);
    await using store = lmdb({ path, codec: json() });
    expect(await Array.fromAsync(store.keys())).toHaveLength(2);
  });
});

describe('kill -9', () => {
  it('loses nothing acknowledged in a dozen crashes, and leaves values and index in step', async () => {
    const path = newPath();
    const body = (round: number): string => `
      let n = 0;
      const writer = async (name) => {
        for (;;) {
          const at = ++n;
          await store.batch([
            { type: 'set', key: name, value: { round: ${round}, at } },
            { type: 'set', key: name + '/twin', value: { round: ${round}, at } },
            { type: 'delete', key: name + '/' + (at % 3) },
            { type: 'set', key: name + '/' + ((at + 1) % 3), value: at },
          ]);
          say(JSON.stringify({ name, at }));
        }
      };
      (async () => { for (;;) await compact(store); })();
      await Promise.all(['a', 'b', 'c'].map(writer));
    `;
    for (let round = 1; round <= 12; round++) {
      const child = spawnWriter(path, { durability: round % 2 === 0 ? 'disk' : 'os' }, body(round));
      const acknowledged = new Map<string, number>();
      const hear = (line: string): void => {
        const { name, at } = JSON.parse(line);
        acknowledged.set(name, at);
      };
      const target = 5 + ((round * 7) % 40);
      for (let heard = 0; heard < target; heard++) hear((await child.lines.next()).value);
      const dead = child.kill();
      // What it had still said counts too.
      for (let step = await child.lines.next(); !step.done; step = await child.lines.next())
        hear(step.value);
      await dead;
      const store = lmdb({ path, codec: json<{ round: number; at: number }>() });
      for (const [name, at] of acknowledged) {
        const found = await store.get(name);
        expect(found?.round).toBe(round);
        expect(found?.at).toBeGreaterThanOrEqual(at);
        expect(await store.get(`${name}/twin`)).toEqual(found);
      }
      const listed = await Array.fromAsync(store.list());
      for await (const { writes } of store.watch({ after: 'start' })) {
        const followed = writes.map(({ type, ...entry }) => entry);
        expect(followed.toSorted((x, y) => (x.key < y.key ? -1 : 1))).toEqual(listed);
        break;
      }
      await store.close();
      expect((await examineLmdb(path)).flaws).toEqual([]);
    }
  }, 60_000);

  const write = `await store.set('k', 1); say(await store.cursor()); setInterval(() => {}, 1000);`;

  it('begins a new epoch where acknowledged commits may be lost', async () => {
    const path = newPath();
    const first = spawnWriter(path, { durability: 'os' }, write);
    const cursor = (await first.lines.next()).value;
    // Another process that still runs is no reason.
    const beside = lmdb({ path, codec: json(), durability: 'os' });
    expect(await beside.cursor()).toBe(cursor);
    await beside.set('k', 2);
    const resumable = await beside.cursor();
    await beside.close();
    const again = lmdb({ path, codec: json() });
    expect(await again.cursor()).toBe(resumable);
    await first.kill();
    const store = lmdb({ path, codec: json() });
    expect(await store.get('k')).toBe(2);
    // Also who had it open all along takes note.
    for (const one of [store, again]) {
      const watch = one.watch({ after: resumable })[Symbol.asyncIterator]();
      await expect(watch.next()).rejects.toMatchObject({ code: 'cursor-expired' });
    }
    const renewed = await store.cursor();
    await again.set('k', 3);
    for await (const commit of store.watch({ after: renewed })) {
      expect(commit).toMatchObject({ from: 2, to: 3 });
      break;
    }
    await again.close();
    await store.close();
    expect((await examineLmdb(path)).flaws).toEqual([]);
  });

  it('keeps the epoch where every acknowledged commit is on disk', async () => {
    const path = newPath();
    const child = spawnWriter(path, {}, write);
    const cursor = (await child.lines.next()).value;
    await child.kill();
    await using store = lmdb({ path, codec: json() });
    expect(await store.cursor()).toBe(cursor);
  });
});

describeWithEngine('strace', 'flushes, by the system calls made', () => {
  const COMMITS = 40;

  /** What a process that makes commits in one way asks of the disk: flushes, and writes that return only once they are there. */
  async function syncsOf(
    options: object,
    body: string,
  ): Promise<{ flushes: number; syncedWrites: number }> {
    const trace = join(folder, `trace-${++stores}`);
    const calls = 'trace=openat,fsync,fdatasync,msync,pwrite64';
    const wrap = [enginePath('strace'), '-f', '-e', calls, '-o', trace];
    const child = spawnWriter(newPath(), options, `await store.set('warm', 0);\n${body}`, wrap);
    expect(await failuresOf([child])).toEqual([]);
    const lines = readFileSync(trace, 'utf8').split('\n');
    // LMDB's second file handle, by which it writes its meta pages.
    const synced = lines.find((line) => line.includes('data.mdb') && line.includes('O_DSYNC'));
    const handle = / = (\d+)$/.exec(synced ?? '')?.[1];
    expect(handle).toBeDefined();
    return {
      flushes: lines.filter((line) => /\b(fsync|fdatasync|msync)\(/.test(line)).length,
      syncedWrites: lines.filter((line) => line.includes(`pwrite64(${handle}, `)).length,
    };
  }
  const each = `for (let n = 0; n < ${COMMITS}; n++) await store.set('k' + n, n);`;
  const together = `await Promise.all(Array.from({ length: ${COMMITS} }, (_, n) => store.set('k' + n, n)));`;
  const blocking = `for (let n = 0; n < ${COMMITS}; n++) store.blocking.set('k' + n, n);`;

  it('are made for each commit that is waited for, and once for many that come together', async () => {
    const none = await syncsOf({}, '');
    for (const body of [each, blocking]) {
      const found = await syncsOf({}, body);
      expect(found.flushes - none.flushes).toBeGreaterThanOrEqual(COMMITS);
      expect(found.syncedWrites - none.syncedWrites).toBeGreaterThanOrEqual(COMMITS);
    }
    const shared = await syncsOf({}, together);
    expect(shared.flushes - none.flushes).toBeGreaterThanOrEqual(1);
    expect(shared.flushes - none.flushes).toBeLessThan(4);
    // Without the second flush the last commits may be lost with the power, and nothing else.
    const loose = await syncsOf({ durability: 'os' }, each);
    expect(loose.syncedWrites).toBeLessThan(4);
  }, 60_000);

  it('come before the acknowledgement', async () => {
    const trace = join(folder, `trace-${++stores}`);
    const calls = 'trace=openat,fdatasync,pwrite64,write';
    const wrap = [enginePath('strace'), '-f', '-y', '-e', calls, '-o', trace];
    const body = `
      for (let n = 0; n < 10; n++) { await store.set('k', n); say('done ' + n); }
      store.blocking.set('k', 10); say('done 10');
      await store.close();
    `;
    expect(await failuresOf([spawnWriter(newPath(), {}, body, wrap)])).toEqual([]);
    const steps = readFileSync(trace, 'utf8')
      .split('\n')
      .flatMap((line) => {
        if (line.includes('done ')) return ['done'];
        if (/fdatasync\(\d+<.*data\.mdb>/.test(line)) return ['flush'];
        return /pwrite64\(\d+<.*data\.mdb>.*, 128, \d+/.test(line) ? ['meta'] : [];
      });
    const first = steps.indexOf('done');
    expect(steps.filter((step) => step === 'done')).toHaveLength(11);
    for (let at = first; at < steps.length && steps.slice(at).includes('done'); at += 3)
      expect(steps.slice(at - 2, at + 1)).toEqual(['flush', 'meta', 'done']);
  });
});
