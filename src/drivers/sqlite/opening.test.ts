import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, it } from 'vitest';
import { json, StrataError, text } from '../../store/index.ts';
import { sqlite } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-sqlite-open-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
const newPath = (): string => join(folder, `${++files}.db`);
const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill);

/** A closed store with some entries. */
async function filled(entries = 500): Promise<string> {
  const path = newPath();
  const store = sqlite({ path, durability: 'os' });
  await store.setMany(Array.from({ length: entries }, (_, n) => [`k${n}`, bytes(100)] as const));
  await store.close();
  return path;
}

function refusal(open: () => unknown): StrataError {
  try {
    open();
  } catch (error) {
    expect(error).toBeInstanceOf(StrataError);
    return error as StrataError;
  }
  throw new Error('it was not refused');
}

describe('opening sqlite', () => {
  it('makes the file and its folders, and a store that keeps its id', async () => {
    const path = join(folder, 'deep', 'er', 'app.db');
    const first = sqlite({ path });
    await first.set('k', bytes(1));
    const cursor = await first.cursor();
    await first.close();
    const again = sqlite({ path });
    expect(await again.cursor()).toBe(cursor);
    expect(await again.get('k')).toEqual(bytes(1));
    await again.close();
  });

  it.each([
    [{}, /path is missing/],
    [{ path: '' }, /the option path is ""/],
    [{ path: ':memory:', durability: 'disk' }, /the option durability is "disk"/],
    [{ path: 'x', durability: 'maybe' }, /the option durability is "maybe"/],
    [{ path: 'x', pollMS: 1 }, /unknown option "pollMS"/],
    [{ path: 'x', maxBytes: 0 }, /the option maxBytes is 0/],
    [{ path: 'x', codec: {} }, /the option codec is an object/],
  ])('refuses the options %j', (options, message) => {
    const error = refusal(() => sqlite(options as never));
    expect(error).toMatchObject({ code: 'invalid-argument', operation: 'sqlite' });
    expect(error.message).toMatch(message);
    expect(existsSync('x')).toBe(false);
  });

  it('refuses a path that is no store, and leaves it as it was', () => {
    const textFile = newPath();
    writeFileSync(textFile, 'These are no data.\n'.repeat(100));
    const other = newPath();
    const db = new DatabaseSync(other);
    db.exec('CREATE TABLE mine (x)');
    db.close();
    const before = readFileSync(other);
    const belowFile = join(textFile, 'store.db');
    const missing = newPath();
    const cases: [string, boolean, RegExp][] = [
      [textFile, false, /no SQLite file/],
      [other, false, /no store/],
      [folder, false, /no file/],
      [belowFile, false, /EEXIST|ENOTDIR/],
      [missing, true, /missing/],
      ['a\0b', false, /null bytes/],
    ];
    for (const [path, readonly, message] of cases) {
      const error = refusal(() => sqlite({ path, readonly }));
      expect(error).toMatchObject({ code: 'invalid-argument', operation: 'open' });
      expect(error.message).toMatch(message);
    }
    expect(readFileSync(other)).toEqual(before);
    expect(existsSync(`${other}-wal`)).toBe(false);
    expect(existsSync(missing)).toBe(false);
  });

  it('refuses a store of a newer format', async () => {
    const path = await filled(1);
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 2');
    db.close();
    const error = refusal(() => sqlite({ path }));
    expect(error).toMatchObject({ code: 'unsupported' });
    expect(error.message).toMatch(/format 2/);
  });

  it('finds a damaged store', async () => {
    const headless = await filled();
    const file = openSync(headless, 'r+');
    writeSync(file, Buffer.alloc(64), 0, 64, 0);
    const short = await filled();
    truncateSync(short, statSync(short).size / 2);
    const without = await filled(1);
    const db = new DatabaseSync(without);
    db.exec('DROP TABLE commits');
    db.close();
    for (const path of [headless, short, without])
      expect(refusal(() => sqlite({ path }))).toMatchObject({ code: 'corrupt' });
  });

  it('finds damage behind the first page when it is met, and serves the rest', async () => {
    const path = await filled();
    const whole = readFileSync(path);
    // The middle of the file: some page of entries or of an index.
    whole.fill(0xee, Math.floor(whole.length / 2), Math.floor(whole.length / 2) + 3_000);
    writeFileSync(path, whole);
    await using store = sqlite({ path, readonly: true });
    const reads = await Promise.allSettled(
      Array.from({ length: 500 }, (_, n) => store.get(`k${n}`)),
    );
    const failures = reads.filter((read) => read.status === 'rejected');
    expect(failures.length).toBeGreaterThan(0);
    expect(failures.length).toBeLessThan(500);
    for (const { reason } of failures) expect(reason).toMatchObject({ code: 'corrupt' });
    for (const read of reads)
      if (read.status === 'fulfilled') expect(read.value).toEqual(bytes(100));
  });

  it('tells a damaged entry by its checksum, and lets it be replaced or removed', async () => {
    const path = await filled(3);
    const db = new DatabaseSync(path);
    db.exec(
      `UPDATE entries SET entry = CAST(substr(entry, 1, length(entry) - 1) || x'00' AS BLOB)`,
    );
    db.close();
    await using store = sqlite({ path });
    const corrupt = { code: 'corrupt', key: 'k1' };
    await expect(store.get('k1')).rejects.toMatchObject(corrupt);
    expect(() => store.blocking.getEntry('k1')).toThrow(expect.objectContaining(corrupt));
    await expect(Array.fromAsync(store.list())).rejects.toMatchObject({ code: 'corrupt' });
    await expect(store.set('k1', bytes(1), { if: 'absent' })).rejects.toMatchObject(corrupt);
    await store.set('k1', bytes(1));
    expect(await store.delete('k0')).toBe(true);
    expect(await store.get('k1')).toEqual(bytes(1));
    expect(await store.get('k0')).toBeUndefined();
  });

  it('says corrupt for bytes that the codec cannot read', async () => {
    const path = newPath();
    const first = sqlite({ path, codec: text() });
    await first.set('k', '{');
    await first.close();
    await using store = sqlite({ path, codec: json<number>() });
    await expect(store.get('k')).rejects.toMatchObject({ code: 'corrupt', key: 'k' });
  });

  it('refuses values that are no bytes, naming the key', async () => {
    await using store = sqlite({ path: ':memory:' });
    await expect(store.set('k', 'text' as never)).rejects.toMatchObject({
      code: 'invalid-argument',
      key: 'k',
      message: expect.stringMatching(/expected a Uint8Array/),
    });
  });
});

describe('a read-only opening', () => {
  it('reads and follows a store that others write, and denies writes', async () => {
    const path = await filled(2);
    await using writer = sqlite({ path });
    await using store = sqlite({ path, readonly: true, pollMs: 2 });
    expect(await store.get('k1')).toEqual(bytes(100));
    const watch = store.watch()[Symbol.asyncIterator]();
    const next = watch.next();
    await writer.set('k1', bytes(1));
    expect((await next).value?.writes).toMatchObject([{ key: 'k1', value: bytes(1) }]);
    const denied = { code: 'denied', operation: 'set' };
    await expect(store.set('k1', bytes(2))).rejects.toMatchObject(denied);
    expect(() => store.blocking.delete('k1')).toThrow(expect.objectContaining({ code: 'denied' }));
    expect(await writer.get('k1')).toEqual(bytes(1));
  });

  it('is what a path without the right to write can be used for', async () => {
    const path = join(folder, 'guarded', 'store.db');
    mkdirSync(join(folder, 'guarded'));
    copyFileSync(await filled(1), path);
    chmodSync(path, 0o444);
    const asNobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    // Root may write anywhere: the attempt is made by somebody else.
    chmodSync(folder, 0o755);
    if ('uid' in asNobody) chownSync(join(folder, 'guarded'), 65_534, 65_534);
    const tried = attempt(path, asNobody);
    expect(tried).toEqual({ code: 'denied', operation: 'open' });
    chmodSync(join(folder, 'guarded'), 0o555);
    chmodSync(path, 0o666);
    expect(attempt(path, asNobody)).toEqual({ code: 'denied', operation: 'open' });
    chmodSync(join(folder, 'guarded'), 0o755);
  });
});

/** Opens a path in a process of its own; gives the error's facts. */
function attempt(path: string, as: { uid?: number; gid?: number }): unknown {
  const script = `
    import { sqlite } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    try { sqlite({ path: ${JSON.stringify(path)} }); console.log('"opened"'); }
    catch ({ code, operation }) { console.log(JSON.stringify({ code, operation })); }
  `;
  const done = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    ...as,
    encoding: 'utf8',
  });
  expect(done.stderr).toBe('');
  return JSON.parse(done.stdout);
}

describe('a full store', () => {
  it('fails with no-space, keeps what it has, and lets room be made', async () => {
    const path = newPath();
    await using store = sqlite({ path, durability: 'os', maxBytes: 200_000 });
    await store.set('small', bytes(10));
    const full = { code: 'no-space', operation: 'set', retryable: false };
    await expect(store.set('large', bytes(300_000))).rejects.toMatchObject(full);
    expect(() => store.blocking.set('large', bytes(300_000))).toThrow(
      expect.objectContaining({ code: 'no-space' }),
    );
    let stored = 0;
    for (; stored < 100; stored++) {
      const failure = await store.set(`k${stored}`, bytes(5_000)).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined) continue;
      expect(failure).toMatchObject({ code: 'no-space' });
      break;
    }
    expect(stored).toBeGreaterThan(10);
    expect(stored).toBeLessThan(100);
    expect(await store.get('small')).toEqual(bytes(10));
    expect(statSync(path).size).toBeLessThanOrEqual(200_000);
    await store.delete('k0');
    await store.set('other', bytes(4_000));
    expect(await store.get('other')).toEqual(bytes(4_000));
    expect(await store.cursor()).toBeTypeOf('string');
  });

  it('says no-space too where a limit on files ends its growth, and commits nothing of it', () => {
    const path = newPath();
    const script = `
      import { sqlite } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
      const store = sqlite({ path: ${JSON.stringify(path)} });
      let failure;
      let acknowledged = 0;
      for (; failure === undefined && acknowledged < 1000; )
        await store.set('k' + acknowledged, new Uint8Array(10_000)).then(
          () => acknowledged++,
          ({ code, message }) => { failure = { code, message }; },
        );
      const keys = await Array.fromAsync(store.keys());
      console.log(JSON.stringify({ failure, acknowledged, keys: keys.length }));
      // Without the room to close cleanly.
      process.exit();
    `;
    const limited = 'ulimit -f 1000; exec "$0" "$@"';
    const args = ['-c', limited, process.execPath, '--input-type=module', '-e', script];
    const { stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8' });
    expect(stderr).toBe('');
    const { failure, acknowledged, keys } = JSON.parse(stdout);
    expect(failure).toMatchObject({ code: 'no-space' });
    expect(acknowledged).toBeGreaterThan(10);
    expect(keys).toBe(acknowledged);
    const store = sqlite({ path });
    expect([...store.blocking.keys()]).toHaveLength(acknowledged);
    expect(existsSync(`${path}-probe`)).toBe(false);
    return store.close();
  });

  it('fails only the commit that finds no room, of those that share a transaction', async () => {
    await using store = sqlite({ path: newPath(), durability: 'os', maxBytes: 200_000 });
    const outcomes = await Promise.allSettled([
      store.set('a', bytes(10)),
      store.set('b', bytes(300_000)),
      store.set('c', bytes(10), { if: 'absent' }),
      store.set('a', bytes(10), { if: 'absent' }),
    ]);
    expect(
      outcomes.map((one) => (one.status === 'fulfilled' ? one.value.rev : one.reason.code)),
    ).toEqual([1, 'no-space', 2, 'conflict']);
    expect(await Array.fromAsync(store.keys())).toEqual(['a', 'c']);
    const commits: number[] = [];
    for await (const { to, writes } of store.watch({ after: 'start' })) {
      commits.push(...writes.map(({ rev }) => rev as number));
      if (to === 2) break;
    }
    expect(commits).toEqual([1, 2]);
  });
});
