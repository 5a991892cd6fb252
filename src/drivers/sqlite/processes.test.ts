import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, it } from 'vitest';
import { describeWithEngine, enginePath } from '../../../test/support/engines.ts';
import { Envelope } from '../../store/feed/envelope.ts';
import { json } from '../../store/index.ts';
import { ENVELOPES, keyText } from './engine.ts';
import { sqlite } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-sqlite-processes-'));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

let files = 0;
const newPath = (): string => join(folder, `${++files}.db`);

interface Child {
  readonly lines: AsyncIterator<string>;
  readonly ended: Promise<number | null>;
  kill(): Promise<unknown>;
}

/** A process of its own with a store in `store`; \`say\` brings a line here at once. */
function spawnWriter(path: string, options: object, body: string, wrap: string[] = []): Child {
  const script = `
    import { writeSync } from 'node:fs';
    import { sqlite } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    import { json } from ${JSON.stringify(new URL('../../store/index.ts', import.meta.url).href)};
    const say = (line) => writeSync(1, line + '\\n');
    const store = sqlite({ path: ${JSON.stringify(path)}, codec: json(), ...${JSON.stringify(options)} });
    ${body}
  `;
  const [program, ...args] = [...wrap, process.execPath, '--input-type=module', '-e', script];
  const child = spawn(program as string, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return {
    lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](),
    ended,
    kill: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}

/** Every row, held against the envelope in it, the ids of the commits and the accounts kept. */
function checkConsistency(path: string): void {
  const db = new DatabaseSync(path, { readOnly: true });
  const check = db.prepare('PRAGMA integrity_check').get();
  expect(check).toEqual({ integrity_check: 'ok' });
  const head = db.prepare('SELECT max(rev) AS rev, count(*) AS commits FROM commits').get();
  expect(head?.rev).toBe(head?.commits);
  let tombstoneBytes = 0;
  for (const row of db.prepare('SELECT * FROM entries').iterate()) {
    const key = row.key as Uint8Array;
    expect(row.rev).toBeLessThanOrEqual(head?.rev as number);
    expect(row.entry === null).toBe(row.deleted_at !== null);
    if (row.entry === null) tombstoneBytes += 96 + key.length;
    else {
      const envelope = new Envelope(ENVELOPES, keyText(key), row.entry as Uint8Array);
      expect([envelope.rev, envelope.pos]).toEqual([row.rev, row.pos]);
    }
  }
  expect(db.prepare('SELECT tombstone_bytes FROM state').get()).toEqual({
    tombstone_bytes: tombstoneBytes,
  });
  db.close();
}

describe('several processes', () => {
  it('lose no increment of a counter, and see each commit in their watch', async () => {
    const path = newPath();
    await using store = sqlite({ path, codec: json<number>(), pollMs: 2 });
    await store.set('count', 0);
    const seen: number[] = [];
    const watching = (async () => {
      for await (const { writes } of store.watch()) {
        for (const write of writes) if (write.type === 'set') seen.push(write.value);
        if (seen.at(-1) === 200) return;
      }
    })();
    const body = `
      for (let n = 0; n < 100; n++) await store.update('count', (count) => count + 1);
      await store.close();
    `;
    const both = [spawnWriter(path, {}, body), spawnWriter(path, {}, body)];
    expect(await Promise.all(both.map((child) => child.ended))).toEqual([0, 0]);
    await watching;
    expect(await store.get('count')).toBe(200);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    checkConsistency(path);
  });

  it('make one store when they open a new path at once', async () => {
    const path = newPath();
    const body = `
      await store.set(String(process.pid), 1);
      say((await store.cursor()).split('.')[0]);
      await store.close();
    `;
    const both = [spawnWriter(path, {}, body), spawnWriter(path, {}, body)];
    const epochs = await Promise.all(both.map(async ({ lines }) => (await lines.next()).value));
    await Promise.all(both.map((child) => child.ended));
    expect(epochs[0]).toMatch(/^[\w-]{16}$/);
    expect(epochs[0]).toBe(epochs[1]);
    await using store = sqlite({ path, codec: json() });
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
      await Promise.all(['a', 'b', 'c'].map(writer));
    `;
    for (let round = 1; round <= 12; round++) {
      const child = spawnWriter(path, { durability: round % 2 === 0 ? 'disk' : 'os' }, body(round));
      const acknowledged = new Map<string, number>();
      const target = 5 + ((round * 7) % 40);
      for (let heard = 0; heard < target; heard++) {
        const { name, at } = JSON.parse((await child.lines.next()).value);
        acknowledged.set(name, at);
      }
      const dead = child.kill();
      // What it had still said counts too.
      for (let step = await child.lines.next(); !step.done; step = await child.lines.next()) {
        const { name, at } = JSON.parse(step.value);
        acknowledged.set(name, at);
      }
      await dead;
      await using store = sqlite({ path, codec: json<{ round: number; at: number }>() });
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
      checkConsistency(path);
    }
  }, 60_000);

  const write = `await store.set('k', 1); say(await store.cursor()); setInterval(() => {}, 1000);`;

  it('begins a new epoch where acknowledged commits may be lost', async () => {
    const path = newPath();
    const first = spawnWriter(path, { durability: 'os' }, write);
    const cursor = (await first.lines.next()).value;
    // Another process that still runs is no reason.
    const beside = sqlite({ path, codec: json(), durability: 'os' });
    expect(await beside.cursor()).toBe(cursor);
    await beside.set('k', 2);
    const resumable = await beside.cursor();
    await beside.close();
    const again = sqlite({ path, codec: json() });
    expect(await again.cursor()).toBe(resumable);
    await again.close();
    await first.kill();
    await using store = sqlite({ path, codec: json() });
    expect(await store.get('k')).toBe(2);
    const watch = store.watch({ after: resumable })[Symbol.asyncIterator]();
    await expect(watch.next()).rejects.toMatchObject({ code: 'cursor-expired' });
    const renewed = await store.cursor();
    await store.set('k', 3);
    for await (const commit of store.watch({ after: renewed })) {
      expect(commit).toMatchObject({ from: 2, to: 3 });
      break;
    }
  });

  it('keeps the epoch where every acknowledged commit is on disk', async () => {
    const path = newPath();
    const child = spawnWriter(path, {}, write);
    const cursor = (await child.lines.next()).value;
    await child.kill();
    await using store = sqlite({ path, codec: json() });
    expect(await store.cursor()).toBe(cursor);
  });
});

describeWithEngine('strace', 'flushes, by the system calls made', () => {
  const COMMITS = 40;

  /** Number of fsync and fdatasync calls of a process that makes commits in one way. */
  async function flushesOf(options: object, body: string): Promise<number> {
    const trace = join(folder, `trace-${++files}`);
    const wrap = [enginePath('strace'), '-f', '-e', 'trace=fsync,fdatasync', '-o', trace];
    const child = spawnWriter(newPath(), options, `await store.set('warm', 0);\n${body}`, wrap);
    expect(await child.ended).toBe(0);
    return readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => line.includes('sync(')).length;
  }
  const each = `for (let n = 0; n < ${COMMITS}; n++) await store.set('k' + n, n);`;
  const together = `await Promise.all(Array.from({ length: ${COMMITS} }, (_, n) => store.set('k' + n, n)));`;
  const blocking = `for (let n = 0; n < ${COMMITS}; n++) store.blocking.set('k' + n, n);`;

  it('is one for each commit that is waited for, and one for many that come together', async () => {
    const none = await flushesOf({}, '');
    expect(none).toBeGreaterThan(0);
    const separate = await flushesOf({}, each);
    expect(separate - none).toBeGreaterThanOrEqual(COMMITS);
    expect((await flushesOf({}, blocking)) - none).toBeGreaterThanOrEqual(COMMITS);
    const shared = await flushesOf({}, together);
    expect(shared - none).toBeGreaterThanOrEqual(1);
    expect(shared - none).toBeLessThan(4);
    expect((await flushesOf({ durability: 'os' }, each)) - none).toBeLessThan(4);
  }, 30_000);
});
