import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliResult, runCli, startCli } from '../../../test/support/cli-process.ts';
import { describeWithEngine, freePort, redisUrl } from '../../../test/support/engines.ts';
import { styleFor } from '../terminal/style.ts';
import { drawShape } from './info.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'stratakv-cli-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const run = (...args: string[]): Promise<CliResult> => runCli(args, { cwd: dir });

async function json(...args: string[]): Promise<unknown> {
  const done = await run(...args, '--json');
  expect(done, done.stderr).toMatchObject({ code: 0 });
  return JSON.parse(done.out);
}

describe.each(['sqlite', 'lmdb'])('on %s', (scheme) => {
  const at = (name: string): string =>
    `${scheme}:./${scheme}-${name}${scheme === 'sqlite' ? '.db' : ''}`;

  test('set, get and delete, with their exit codes', async () => {
    const store = at('basic');
    const written = await run(
      'set',
      store,
      'user:1',
      '{"name":"Ada"}',
      '--as',
      'json',
      '--meta',
      '{"by":"me"}',
    );
    expect(written).toMatchObject({ code: 0, out: '' });
    expect(written.stderr).toMatch(/^user:1 {2}version \S+\n$/);
    expect(await run('get', store, 'user:1')).toMatchObject({
      code: 0,
      out: '{"name":"Ada"}',
      stderr: '',
    });
    const entry = (await json('get', store, 'user:1')) as { version: string };
    expect(entry).toMatchObject({
      key: 'user:1',
      value: { name: 'Ada' },
      meta: { by: 'me' },
      rev: 1,
    });
    expect(await run('get', store, 'user:2')).toMatchObject({ code: 1, out: '', stderr: '' });
    expect(await run('set', store, 'user:1', 'x', '--if-absent')).toMatchObject({
      code: 3,
      out: '',
    });
    expect(await run('set', store, 'user:1', 'x', '--if-version', 'other')).toMatchObject({
      code: 3,
    });
    expect(await json('set', store, 'user:1', 'x', '--if-version', entry.version)).toMatchObject({
      rev: 2,
    });
    expect(await run('delete', store, 'user:1', 'user:9')).toMatchObject({ code: 1 });
    expect(await json('list', store, '--keys').catch(() => 'none')).toBe('none');
  });

  test('values come from arguments, files and standard input, byte for byte', async () => {
    const store = at('values');
    const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) % 256);
    writeFileSync(join(dir, 'bytes'), bytes);
    await run('set', store, 'file', '--file', 'bytes');
    await runCli(['set', store, 'stdin', '-'], { cwd: dir, input: bytes });
    await run('set', store, 'hex', 'ff00 1b', '--as', 'hex');
    await run('set', store, '--', '-dash', '-value');
    expect((await run('get', store, 'file')).stdout.equals(bytes)).toBe(true);
    expect((await run('get', store, 'stdin')).stdout.equals(bytes)).toBe(true);
    expect((await run('get', store, 'hex')).stdout).toEqual(Buffer.from([0xff, 0, 0x1b]));
    expect(await run('get', store, 'hex', '--as', 'hex')).toMatchObject({ out: 'ff001b\n' });
    expect(await run('get', store, 'hex', '--as', 'text')).toMatchObject({ code: 2, out: '' });
    expect(await run('get', store, '--', '-dash')).toMatchObject({ out: '-value' });
  });

  test('a time to live ends an entry', async () => {
    const store = at('ttl');
    await run('set', store, 'k', 'v', '--ttl', '1ms');
    expect(await run('get', store, 'k')).toMatchObject({ code: 1 });
    const head = (await json('set', store, 'k', 'v', '--ttl', '1h')) as { expiresAt: number };
    expect(head.expiresAt - Date.now()).toBeGreaterThan(3_500_000);
  });

  test('list has order, bounds and forms', async () => {
    const store = at('list');
    const lines = ['b', 'a/2', 'a/1', 'ä', 'new\nline'].map((key, i) =>
      JSON.stringify({ key, value: i }),
    );
    expect(await runCli(['import', store], { cwd: dir, input: lines.join('\n') })).toMatchObject({
      code: 0,
    });
    const keys = async (...flags: string[]): Promise<string[]> =>
      (await run('list', store, '--keys', ...flags)).out.split('\n').slice(0, -1);
    expect(await keys()).toEqual(['a/1', 'a/2', 'b', 'new\\nline', 'ä']);
    expect(await keys('--prefix', 'a/', '--reverse')).toEqual(['a/2', 'a/1']);
    expect(await keys('--limit', '2')).toEqual(['a/1', 'a/2']);
    expect(await keys('--json', '--prefix', 'new')).toEqual(['"new\\nline"']);
    expect((await run('list', store, '--entries', '--limit', '1')).out).toBe('a/1\t2\n');
    expect((await run('list', store, '--prefix', 'b')).out).toMatch(
      /^ +1 B {2}\d{4}-\d\d-\d\d [\d:]{8} {2}b {2}0\n$/,
    );
    expect(
      JSON.parse((await run('list', store, '--json', '--entries', '--limit', '1')).out),
    ).toMatchObject({ key: 'a/1', value: 2 });
  });

  test('info draws the store, its abilities and its head, and counts', async () => {
    const store = at('info');
    await run('set', store, 'k', 'four');
    const { out } = await run('info', store, '--count');
    expect(out).toMatch(new RegExp(`^${scheme}  .*path `));
    for (const row of [
      'durability +disk',
      'atomic +batch',
      'conditional +all',
      'cursor +\\S+',
      'keys +1',
      'size of values +4 B',
    ])
      expect(out).toMatch(new RegExp(`^${row}$`, 'm'));
    expect(await json('info', store, '--count')).toMatchObject({
      shape: { type: scheme },
      capabilities: { durability: 'disk' },
      keys: 1,
      bytes: 4,
    });
  });

  test('watch shows changes of other processes, and goes on from a cursor', async () => {
    const store = at('watch');
    await run('set', store, 'a', '1');
    const watching = startCli(['watch', store, '--json', '--after', 'start'], { cwd: dir });
    await watching.until((out) => out.includes('\n'));
    await run('set', store, 'b', '2');
    const [, second] = await watching.until((out) => {
      const lines = out.split('\n').slice(0, -1);
      return lines.length >= 2 && lines;
    });
    watching.child.kill('SIGINT');
    expect(await watching.ended).toMatchObject({ code: 0, stderr: '' });
    const commit = JSON.parse(second ?? '');
    expect(commit).toMatchObject({ from: 1, to: 2, writes: [{ type: 'set', key: 'b', value: 2 }] });
    await run('delete', store, 'a');
    const again = startCli(['watch', store, '--after', commit.cursor], { cwd: dir });
    expect(await again.until((out) => /\n/.test(out) && out)).toMatch(/^ +3 {2}delete {2}a\n$/);
    again.child.kill('SIGTERM');
    expect(await again.ended).toMatchObject({ code: 0 });
    const expired = await run('watch', store, '--after', 'AAAA.1.BBBB');
    expect(expired).toMatchObject({ code: 3, out: '' });
    expect(expired.stderr).toContain('stratakv: cursor-expired: ');
  });

  test('a path where no store is stays without one when only read', async () => {
    for (const args of [['get', 'k'], ['list'], ['watch'], ['export'], ['info'], ['delete', 'k']]) {
      const [command = '', ...rest] = args;
      const done = await run(command, at('missing'), ...rest);
      expect(done).toMatchObject({ code: 2, out: '' });
      expect(done.stderr).toContain('there is no store at');
    }
    expect(existsSync(join(dir, at('missing').slice(scheme.length + 1)))).toBe(false);
  });
});

test('what is no store is refused and stays as it is', async () => {
  const path = join(dir, 'text.db');
  writeFileSync(path, 'a text of my own, not a database');
  const done = await run('set', 'sqlite:./text.db', 'k', 'v');
  expect(done).toMatchObject({ code: 2, out: '' });
  expect(done.stderr).toMatch(/^stratakv: invalid-argument: /);
  expect(readFileSync(path, 'utf8')).toBe('a text of my own, not a database');
});

test('a damaged entry is corrupt, and never a wrong value', async () => {
  await run('set', 'sqlite:./damaged.db', 'victim', 'a value that will be damaged');
  const path = join(dir, 'damaged.db');
  const bytes = readFileSync(path);
  const at = bytes.indexOf('will be damaged');
  expect(at).toBeGreaterThan(0);
  bytes.write('has been damage', at);
  writeFileSync(path, bytes);
  const done = await run('get', 'sqlite:./damaged.db', 'victim');
  expect(done).toMatchObject({ code: 6, out: '' });
  expect(done.stderr).toMatch(/^stratakv: corrupt: .*"victim"/);
});

test('a full store and a full output are no space', async () => {
  const library = pathToFileURL('src/drivers/sqlite/index.ts').href;
  writeFileSync(
    join(dir, 'strata.config.ts'),
    `import { sqlite } from '${library}';
     export default { small: () => sqlite({ path: './small.db', maxBytes: 300_000 }) };`,
  );
  const lines = Array.from(
    { length: 5_000 },
    (_, i) => `{"key":"key/${i}","value":"${'x'.repeat(90)}"}`,
  );
  const full = await runCli(['import', 'small'], { cwd: dir, input: lines.join('\n') });
  expect(full).toMatchObject({ code: 7, out: '' });
  expect(full.stderr).toMatch(/^stratakv: no-space: .*; [\d,]+ entries were imported\n$/);
  const kept = (await run('list', 'small', '--keys')).out.split('\n').length - 1;
  expect(full.stderr).toContain(`; ${kept.toLocaleString('en-US')} entries`);
  if (!existsSync('/dev/full')) return;
  const shell = spawn('sh', [
    '-c',
    `"$0" "$1" info memory: > /dev/full`,
    process.execPath,
    'src/cli/main.ts',
  ]);
  const chunks: Buffer[] = [];
  shell.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = await once(shell, 'close');
  expect(code).toBe(7);
  expect(Buffer.concat(chunks).toString()).toBe(
    'stratakv: no-space: write: standard output lies on a full disk\n',
  );
});

test('a reader that has enough ends a listing in peace', async () => {
  const lines = Array.from({ length: 20_000 }, (_, i) => `{"key":"key/${i}","value":${i}}`);
  await runCli(['import', 'sqlite:./many.db'], { cwd: dir, input: lines.join('\n') });
  const listing = startCli(['list', 'sqlite:./many.db', '--keys'], { cwd: dir });
  listing.child.stdout?.once('data', () => listing.child.stdout?.destroy());
  expect(await listing.ended).toMatchObject({ code: 0, stderr: '' });
});

test('a composition is drawn as a tree', () => {
  const shape = {
    type: 'tiered',
    details: { write: 'through', read: 'front-first' },
    parts: {
      front: { type: 'memory' },
      back: {
        type: 'tiered',
        parts: { front: { type: 'memory' }, back: { type: 'lmdb', details: { path: './d' } } },
      },
    },
  };
  expect(drawShape(shape, styleFor(false, {}))).toEqual([
    'tiered  write through, read front-first',
    '├─ front: memory',
    '└─ back: tiered',
    '   ├─ front: memory',
    '   └─ back: lmdb  path ./d',
  ]);
});

describeWithEngine('redis', 'on redis', () => {
  test('a prefix of a server is a store', async () => {
    const prefix = `cli-${process.pid}`;
    const store = `${redisUrl()}/${prefix}`;
    expect(await run('set', store, 'k', '{"n":1}', '--json')).toMatchObject({ code: 0 });
    expect(await run('get', store, 'k')).toMatchObject({ code: 0, out: '{"n":1}' });
    expect(await json('info', store)).toMatchObject({
      shape: { type: 'redis', details: { prefix } },
    });
    expect(await run('copy', store, 'sqlite:./from-redis.db')).toMatchObject({ code: 0 });
    expect(await run('get', 'sqlite:./from-redis.db', 'k')).toMatchObject({ out: '{"n":1}' });
    expect(await run('delete', store, 'k')).toMatchObject({ code: 0 });
  });
});

test('a server that is not there is unavailable', async () => {
  const done = await run(
    'get',
    `redis://127.0.0.1:${await freePort()}/x`,
    'k',
    '--timeout',
    '300ms',
  );
  expect(done).toMatchObject({ code: 4, out: '' });
});
