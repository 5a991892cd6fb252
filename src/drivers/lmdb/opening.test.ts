import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { afterAll, describe, expect, it } from 'vitest';
import { examineLmdb } from '../../../test/support/lmdb-integrity.ts';
import { json, StrataError, text } from '../../store/index.ts';
import { lmdb } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-lmdb-open-'));
afterAll(() => rmSync(folder, { recursive: true }));

let stores = 0;
const newPath = (): string => join(folder, `${++stores}`);
const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill);
const dataOf = (path: string): string => join(path, 'data.mdb');

/** A closed store with some entries. */
async function filled(entries = 500, length = 100): Promise<string> {
  const path = newPath();
  const store = lmdb({ path, durability: 'os' });
  await store.setMany(Array.from({ length: entries }, (_, n) => [`k${n}`, bytes(length)] as const));
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

/** Changes the stored bytes of an entry in place, wherever they stand in the file. */
function damage(path: string, entry: Uint8Array): void {
  const file = readFileSync(dataOf(path));
  let found = 0;
  for (let at = file.indexOf(entry); at >= 0; at = file.indexOf(entry, at + 1)) {
    file[at] = (file[at] as number) ^ 1;
    found++;
  }
  expect(found).toBeGreaterThan(0);
  writeFileSync(dataOf(path), file);
}

describe('opening lmdb', () => {
  it('makes the folder and those above it, and a store that keeps its id', async () => {
    const path = join(folder, 'deep', 'er.v1');
    const first = lmdb({ path });
    await first.set('k', bytes(1));
    const cursor = await first.cursor();
    await first.close();
    expect(readdirSync(path).sort()).toEqual(['data.mdb', 'lock.mdb']);
    const again = lmdb({ path });
    expect(await again.cursor()).toBe(cursor);
    expect(await again.get('k')).toEqual(bytes(1));
    await again.close();
  });

  it('takes a folder that is empty but for what mounts and tools leave', async () => {
    const path = newPath();
    mkdirSync(join(path, 'lost+found'), { recursive: true });
    writeFileSync(join(path, '.gitkeep'), '');
    writeFileSync(dataOf(path), '');
    await using store = lmdb({ path });
    await store.set('k', bytes(1));
    expect(await store.get('k')).toEqual(bytes(1));
  });

  it.each([
    [{}, /path is missing/],
    [{ path: '' }, /the option path is ""/],
    [{ path: 'x', durability: 'memory' }, /the option durability is "memory"/],
    [{ path: 'x', readOnly: true }, /unknown option "readOnly"/],
    [{ path: 'x', pollMs: 0 }, /the option pollMs is 0/],
    [{ path: 'x', codec: {} }, /the option codec is an object/],
  ])('refuses the options %j', (options, message) => {
    const error = refusal(() => lmdb(options as never));
    expect(error).toMatchObject({ code: 'invalid-argument', operation: 'lmdb' });
    expect(error.message).toMatch(message);
    expect(existsSync('x')).toBe(false);
  });

  it('refuses a path that is no store, and leaves it as it was', async () => {
    const file = newPath();
    writeFileSync(file, 'These are no data.\n');
    const photos = newPath();
    mkdirSync(photos);
    writeFileSync(join(photos, 'photo.jpg'), 'x');
    const strange = newPath();
    const other = open({ path: strange, noSubdir: false });
    await other.put('mine', 1);
    await other.openDB('some', {}).put('theirs', 2);
    await other.close();
    const before = readFileSync(dataOf(strange));
    const loop = newPath();
    symlinkSync(loop, loop);
    const cases: [string, boolean, RegExp][] = [
      [file, false, /no folder/],
      [photos, false, /photo\.jpg/],
      [strange, false, /no store/],
      [strange, true, /no store/],
      [join(file, 'below'), false, /ENOTDIR|EEXIST/],
      [loop, false, /ELOOP/],
      [newPath(), true, /missing/],
      [`${folder}/a\0b`, false, /null bytes/],
    ];
    for (const [path, readonly, message] of cases) {
      const error = refusal(() => lmdb({ path, readonly }));
      expect(error).toMatchObject({ code: 'invalid-argument', operation: 'open' });
      expect(error.message).toMatch(message);
    }
    expect(readdirSync(photos)).toEqual(['photo.jpg']);
    expect(readFileSync(dataOf(strange))).toEqual(before);
    expect(existsSync(newPath())).toBe(false);
  });

  it('refuses a store of a newer format', async () => {
    const path = await filled(1);
    const root = open<Buffer, Buffer>({ path, noSubdir: false, overlappingSync: false });
    const keys = { encoding: 'binary', keyEncoding: 'binary', useVersions: true } as const;
    const meta = root.openDB<Buffer, Buffer>('stratakv.meta', keys);
    meta.putSync(Buffer.from('store'), Buffer.from('{"format":2}'), 1);
    await root.close();
    const error = refusal(() => lmdb({ path }));
    expect(error).toMatchObject({ code: 'unsupported' });
    expect(error.message).toMatch(/format 2/);
  });

  it('finds a damaged store', async () => {
    const headless = await filled();
    const file = openSync(dataOf(headless), 'r+');
    writeSync(file, Buffer.alloc(64), 0, 64, 0);
    const tiny = await filled();
    truncateSync(dataOf(tiny), 5_000);
    const garbage = await filled();
    writeFileSync(dataOf(garbage), 'These are no data.\n'.repeat(1_000));
    for (const path of [headless, tiny, garbage])
      for (const readonly of [false, true])
        expect(refusal(() => lmdb({ path, readonly }))).toMatchObject({ code: 'corrupt' });
  });

  it('finds a store that was cut short, and does not crash', async () => {
    const whole = await filled(3_000, 500);
    const size = statSync(dataOf(whole)).size;
    const cut = (bytesLeft: number): string => {
      const path = newPath();
      cpSync(whole, path, { recursive: true });
      truncateSync(dataOf(path), bytesLeft);
      return path;
    };
    for (const bytesLeft of [size / 2, size / 2 + 1_000, size - 1_000])
      expect(refusal(() => lmdb({ path: cut(bytesLeft) }))).toMatchObject({ code: 'corrupt' });
    expect(refusal(() => lmdb({ path: cut(size / 2), readonly: true }))).toMatchObject({
      code: 'corrupt',
    });
    // So little may be missing of a whole store too: then it is damage where it is met.
    const found = runElsewhere(`
      const found = { read: 0, corrupt: 0, other: 0 };
      const tell = (error) => found[error.code === 'corrupt' ? 'corrupt' : 'other']++;
      try {
        const store = lmdb({ path: ${JSON.stringify(cut(size - 40 * 4096))} });
        for (let n = 0; n < 3000; n++)
          await store.get('k' + n).then((value) => value ? found.read++ : found.other++, tell);
        await Array.fromAsync(store.keys()).then((keys) => found.other += 3000 - keys.length, tell);
      } catch (error) { tell(error); }
      console.log(JSON.stringify(found));
    `);
    expect(found).toMatchObject({ other: 0, corrupt: expect.toSatisfy((n) => n > 0) });
  });

  it('tells a damaged entry by its checksum, and lets it be replaced or removed', async () => {
    const path = newPath();
    const before = lmdb({ path });
    for (let n = 0; n < 4; n++) await before.set(`k${n}`, bytes(100, n + 1));
    await before.close();
    for (const n of [0, 1]) damage(path, bytes(100, n + 1));
    await using store = lmdb({ path });
    const corrupt = { code: 'corrupt', key: 'k1' };
    await expect(store.get('k1')).rejects.toMatchObject(corrupt);
    expect(() => store.blocking.getEntry('k1')).toThrow(expect.objectContaining(corrupt));
    await expect(store.update('k1', () => bytes(1))).rejects.toMatchObject(corrupt);
    await expect(Array.fromAsync(store.list())).rejects.toMatchObject({ code: 'corrupt' });
    const fromStart = store.watch({ after: 'start' })[Symbol.asyncIterator]();
    await expect(fromStart.next()).rejects.toMatchObject({ code: 'corrupt' });
    await expect(store.set('k1', bytes(1), { if: 'absent' })).rejects.toMatchObject(corrupt);
    expect(await store.get('k2')).toEqual(bytes(100, 3));
    await store.set('k1', bytes(1));
    expect(await store.delete('k0')).toBe(true);
    expect(await store.get('k1')).toEqual(bytes(1));
    expect(await store.get('k0')).toBeUndefined();
    expect(await Array.fromAsync(store.keys())).toEqual(['k1', 'k2', 'k3']);
    expect(await Array.fromAsync(store.list())).toHaveLength(3);
    for await (const { writes } of store.watch({ after: 'start' })) {
      expect(writes.map(({ key }) => key).sort()).toEqual(['k1', 'k2', 'k3']);
      break;
    }
  });

  it('says corrupt for bytes that the codec cannot read', async () => {
    const path = newPath();
    const first = lmdb({ path, codec: text() });
    await first.set('k', '{');
    await first.close();
    await using store = lmdb({ path, codec: json<number>() });
    await expect(store.get('k')).rejects.toMatchObject({ code: 'corrupt', key: 'k' });
  });

  it('refuses values that are no bytes, naming the key', async () => {
    await using store = lmdb({ path: newPath() });
    await expect(store.set('k', 'text' as never)).rejects.toMatchObject({
      code: 'invalid-argument',
      key: 'k',
      message: expect.stringMatching(/expected a Uint8Array/),
    });
  });

  it('keeps handles of one process from weakening each other', async () => {
    const path = await filled(1);
    await using loose = lmdb({ path, durability: 'os' });
    expect(refusal(() => lmdb({ path }))).toMatchObject({ code: 'conflict', operation: 'open' });
    await loose.close();
    await using reading = lmdb({ path, readonly: true });
    expect(refusal(() => lmdb({ path }))).toMatchObject({ code: 'conflict' });
    await reading.close();
    await using strict = lmdb({ path });
    await using beside = lmdb({ path, durability: 'os' });
    await beside.set('k0', bytes(1));
    expect(await strict.get('k0')).toEqual(bytes(1));
  });
});

describe('a read-only opening', () => {
  it('reads and follows a store that others write, and denies writes', async () => {
    const path = await filled(2);
    await using writer = lmdb({ path });
    await using store = lmdb({ path, readonly: true, pollMs: 2 });
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

  it('serves where there is no right to write, and a writing one is denied', async () => {
    const guarded = join(folder, 'guarded');
    cpSync(await filled(1), guarded, { recursive: true });
    chmodSync(folder, 0o755);
    for (const name of ['data.mdb', 'lock.mdb']) chmodSync(join(guarded, name), 0o666);
    // Root may write anywhere: the attempts are made by somebody else.
    const somebody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    if ('uid' in somebody) chownSync(guarded, 65_534, 65_534);
    const attempt = (options: object): unknown =>
      runElsewhere(
        `try {
          const store = lmdb(${JSON.stringify({ path: guarded, ...options })});
          console.log(JSON.stringify((await store.get('k0')).length));
          await store.close();
        } catch ({ code, operation }) { console.log(JSON.stringify({ code, operation })); }`,
        somebody,
      );
    const denied = { code: 'denied', operation: 'open' };
    chmodSync(dataOf(guarded), 0o444);
    expect(attempt({})).toEqual(denied);
    expect(attempt({ readonly: true })).toBe(100);
    chmodSync(dataOf(guarded), 0o666);
    chmodSync(guarded, 0o555);
    expect(attempt({})).toEqual(denied);
    chmodSync(dataOf(guarded), 0o000);
    expect(attempt({ readonly: true })).toEqual(denied);
    chmodSync(guarded, 0o755);
  });
});

/** Runs a script with `lmdb` in a process of its own; gives what it prints as JSON. */
function runElsewhere(body: string, as: { uid?: number; gid?: number } = {}, shell = ''): unknown {
  const script = `
    import { lmdb } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    ${body}
  `;
  const args = [process.execPath, '--input-type=module', '-e', script];
  const [program, ...rest] =
    shell === '' ? args : ['sh', '-c', `${shell}; exec "$0" "$@"`, ...args];
  const done = spawnSync(program as string, rest, { ...as, encoding: 'utf8' });
  expect(done.signal, done.stderr).toBe(null);
  expect(done.status, done.stderr).toBe(0);
  return JSON.parse(done.stdout);
}

describe('a full disk', () => {
  it('fails with no-space, keeps what it has, and goes on once there is room', async () => {
    const path = newPath();
    const found = runElsewhere(
      `
      const store = lmdb({ path: ${JSON.stringify(path)} });
      const outcome = (promise) => promise.then(() => 'done', ({ code }) => code);
      const kept = [];
      let failure;
      for (let n = 0; failure === undefined && n < 1000; n++) {
        const one = await outcome(store.set('k' + n, new Uint8Array(10_000)));
        if (one === 'done') kept.push('k' + n); else failure = one;
      }
      const large = () => new Uint8Array(2_000_000);
      let blocking;
      try { store.blocking.set('large', large()); } catch ({ code }) { blocking = code; }
      const together = await Promise.all([
        outcome(store.set('small', new Uint8Array(10))),
        outcome(store.set('large', large())),
        outcome(store.set('other', new Uint8Array(10), { if: 'absent' })),
      ]);
      for (const [at, key] of ['small', 'large', 'other'].entries())
        if (together[at] === 'done') kept.push(key);
      const cursor = await store.cursor();
      await store.close();
      console.log(JSON.stringify({ failure, blocking, together, kept, cursor }));
      `,
      {},
      'ulimit -f 2000',
    ) as Record<'failure' | 'blocking' | 'cursor', string> & Record<'together' | 'kept', string[]>;
    expect(found).toMatchObject({ failure: 'no-space', blocking: 'no-space' });
    expect(found.together[1]).toBe('no-space');
    expect(found.kept.length).toBeGreaterThan(20);
    const store = lmdb({ path });
    expect(await store.cursor()).toBe(found.cursor);
    expect(await Array.fromAsync(store.keys())).toEqual(found.kept.sort());
    await store.set('large', bytes(2_000_000));
    expect(await store.deleteMany(found.kept)).toBe(found.kept.length);
    await store.close();
    expect((await examineLmdb(path)).flaws).toEqual([]);
  });

  it('fails only the commit that finds no room, of those that share a transaction', () => {
    const found = runElsewhere(
      `
      const store = lmdb({ path: ${JSON.stringify(newPath())}, durability: 'os' });
      const outcomes = await Promise.allSettled([
        store.set('a', new Uint8Array(10)),
        store.set('b', new Uint8Array(2_000_000)),
        store.set('c', new Uint8Array(10), { if: 'absent' }),
        store.set('a', new Uint8Array(10), { if: 'absent' }),
      ]);
      const again = await store.set('d', new Uint8Array(10));
      await store.close();
      console.log(JSON.stringify([
        ...outcomes.map(({ value, reason }) => value?.rev ?? reason.code),
        again.rev,
      ]));
      `,
      {},
      'ulimit -f 2000',
    );
    expect(found).toEqual([1, 'no-space', 2, 'conflict', 3]);
  });
});
