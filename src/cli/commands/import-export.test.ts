import { once } from 'node:events';
import {
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CliOptions,
  type CliResult,
  runCli,
  startCli,
} from '../../../test/support/cli-process.ts';
import { sqlite } from '../../drivers/sqlite/index.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'stratakv-cli-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const run = (...args: string[]): Promise<CliResult> => runCli(args, { cwd: dir });
const fed = (input: CliOptions['input'], ...args: string[]): Promise<CliResult> =>
  runCli(args, { cwd: dir, input: input ?? '' });

async function keysOf(store: string): Promise<string[]> {
  if (!existsSync(join(dir, store))) return [];
  await using opened = sqlite({ path: join(dir, store), readonly: true });
  return await Array.fromAsync(opened.keys());
}

/** Anonymous memory of a process in MB, the most while it runs; sampled. */
function watchMemory(pid: number): { readonly mostMb: () => number; stop(): void } {
  let most = 0;
  const timer = setInterval(() => {
    const status = readStatus(pid);
    most = Math.max(most, Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
  }, 20);
  return { mostMb: () => most, stop: () => clearInterval(timer) };
}

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

const LARGE_LINES = 120_000;
/** A small heap: whatever is kept of each line would not fit. */
const smallHeap = { NODE_OPTIONS: '--max-old-space-size=48 --max-semi-space-size=4' };

describe('import and export', () => {
  test('bring everything back: bytes, expiry, metadata, immutability, times', async () => {
    const expiresAt = Date.now() + 3_600_000;
    await using source = sqlite({ path: join(dir, 'from.db') });
    const values = {
      json: Buffer.from('{"a":[1,2]}'),
      spaced: Buffer.from('{ "a": 1 }\n'),
      text: Buffer.from('line 1\nline 2 €'),
      bytes: Buffer.from([0xff, 0xfe, 0, 10, 13]),
      empty: Buffer.from(''),
    };
    for (const [key, value] of Object.entries(values)) await source.set(key, value);
    await source.set('kept', Buffer.from('1'), {
      expiresAt,
      immutable: true,
      meta: { n: [1, { a: null }] },
    });

    const exported = await run('export', 'sqlite:from.db');
    expect(exported.code).toBe(0);
    expect(exported.out.split('\n')).toHaveLength(7);
    expect(await fed(exported.stdout, 'import', 'sqlite:to.db')).toMatchObject({ code: 0 });
    expect(await run('copy', 'sqlite:from.db', 'sqlite:copied.db')).toMatchObject({ code: 0 });

    const before = await Array.fromAsync(source.list());
    for (const path of ['to.db', 'copied.db']) {
      await using target = sqlite({ path: join(dir, path) });
      const after = await Array.fromAsync(target.list());
      const plain = (entries: typeof after): unknown[] =>
        entries.map(({ version: _, rev: __, value, ...rest }) => ({ ...rest, value: [...value] }));
      expect(plain(after)).toEqual(plain(before));
    }
    expect((await run('export', 'sqlite:to.db')).out).toBe(exported.out);
  });

  test('a part goes by prefix', async () => {
    const lines = ['a/1', 'a/2', 'b/1'].map((key) => JSON.stringify({ key, value: key }));
    await fed(lines.join('\n'), 'import', 'sqlite:parts.db', '--quiet');
    const { out } = await run('export', 'sqlite:parts.db', '--prefix', 'a/');
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).key),
    ).toEqual(['a/1', 'a/2']);
    expect(
      await run('copy', 'sqlite:parts.db', 'sqlite:part.db', '--prefix', 'b', '--json'),
    ).toMatchObject({
      code: 0,
      out: '{"copied":1}\n',
      stderr: '',
    });
    expect(await keysOf('part.db')).toEqual(['b/1']);
  });

  test('a file appears when it is complete, and only then', async () => {
    expect(await run('export', 'sqlite:parts.db', '--out', 'parts.ndjson')).toMatchObject({
      code: 0,
      out: '',
    });
    expect(readFileSync(join(dir, 'parts.ndjson'), 'utf8').trimEnd().split('\n')).toHaveLength(3);
    const nowhere = await run('export', 'sqlite:parts.db', '--out', 'no/such/dir/x');
    expect(nowhere).toMatchObject({ code: 2, out: '' });
    expect(nowhere.stderr).toContain('does not exist');
  });

  test('entries that are over are passed over', async () => {
    const lines = [
      { key: 'old', value: 1, expiresAt: Date.now() - 1 },
      { key: 'new', value: 1, expiresAt: Date.now() + 60_000 },
    ];
    const done = await fed(
      lines.map((line) => JSON.stringify(line)).join('\n'),
      'import',
      'sqlite:over.db',
      '--json',
    );
    expect(done.out).toBe('{"imported":1,"expired":1}\n');
    expect(await keysOf('over.db')).toEqual(['new']);
  });
});

describe('a broken line', () => {
  const good = (n: number): string => JSON.stringify({ key: `k${n}`, value: n });
  const broken = [good(1), good(2), '{"key":"k3","value":', good(4)].join('\n');

  test('is named, and what stands before it is imported', async () => {
    const done = await fed(broken, 'import', 'sqlite:stopped.db');
    expect(done).toMatchObject({ code: 2, out: '' });
    expect(done.stderr).toMatch(
      /^stratakv: invalid-argument: import: line 3: no JSON: .*; 2 entries were imported\n$/,
    );
    expect(await keysOf('stopped.db')).toEqual(['k1', 'k2']);
  });

  test('with --atomic leaves the store as it was', async () => {
    const done = await fed(broken, 'import', 'sqlite:whole.db', '--atomic', '--json');
    expect(done).toMatchObject({ code: 2, out: '' });
    const { error } = JSON.parse(done.stderr);
    expect(error).toMatchObject({ code: 'invalid-argument', details: { line: 3, imported: 0 } });
    expect(error.message).toContain('nothing was imported');
    expect(await keysOf('whole.db')).toEqual([]);
    const mended = await fed(
      broken.replace('"value":\n', '"value":3}\n'),
      'import',
      'sqlite:whole.db',
      '--atomic',
    );
    expect(mended.code).toBe(0);
    expect(await keysOf('whole.db')).toEqual(['k1', 'k2', 'k3', 'k4']);
  });

  test.each([
    ['a reserved key', JSON.stringify({ key: '\u0000x', value: 1 }), 'line 2: the key is'],
    ['an empty key', JSON.stringify({ key: '', value: 1 }), 'line 2: the key is ""'],
    ['a lone surrogate', '{"key":"\\ud800","value":1}', 'well-formed Unicode'],
    ['a key too long', JSON.stringify({ key: 'k'.repeat(513), value: 1 }), 'expected at most 512'],
    [
      'too much metadata',
      JSON.stringify({ key: 'k', value: 1, meta: { a: 'x'.repeat(20_000) } }),
      'line 2: the metadata has',
    ],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'line 2: is no UTF-8'],
  ])('is refused for %s', async (_, line, message) => {
    const input = Buffer.concat([Buffer.from(`${good(1)}\n`), Buffer.from(line)]);
    const done = await fed(input, 'import', 'sqlite:refused.db', '--atomic');
    expect(done.code).toBe(2);
    expect(done.stderr).toContain(message);
    expect(await keysOf('refused.db')).toEqual([]);
  });

  test('an immutable entry is not changed, and the failure says how far it came', async () => {
    await fed(
      JSON.stringify({ key: 'fixed', value: 1, immutable: true }),
      'import',
      'sqlite:fixed.db',
    );
    const done = await fed(`${good(1)}\n{"key":"fixed","value":2}`, 'import', 'sqlite:fixed.db');
    expect(done).toMatchObject({ code: 3, out: '' });
    expect(done.stderr).toContain('"fixed"');
    expect(done.stderr).toContain('; 0 entries were imported');
  });
});

describe('any size', () => {
  test(`${LARGE_LINES.toLocaleString('en-US')} lines go in and out in constant memory`, async () => {
    const path = join(dir, 'large.ndjson');
    await writeLarge(path);
    const size = statSync(path).size;
    expect(size).toBeGreaterThan(100 * 1024 * 1024);

    const importing = startCli(['import', 'sqlite:large.db', path, '--json'], {
      cwd: dir,
      env: smallHeap,
    });
    const imported = watchMemory(importing.pid);
    expect(await importing.ended).toMatchObject({
      code: 0,
      stderr: '',
      out: `{"imported":${LARGE_LINES},"expired":0}\n`,
    });
    imported.stop();

    const exporting = startCli(['export', 'sqlite:large.db', '--out', 'again.ndjson'], {
      cwd: dir,
      env: smallHeap,
    });
    const exported = watchMemory(exporting.pid);
    expect(await exporting.ended).toMatchObject({ code: 0 });
    exported.stop();
    expect(statSync(join(dir, 'again.ndjson')).size).toBe(
      size + LARGE_LINES * ',"modifiedAt":1234567890123'.length,
    );

    // A Node that does nothing has some 30 MB, the store's cache 16 MB; the file has 115 MB.
    for (const { mostMb } of [imported, exported]) {
      expect(mostMb()).toBeGreaterThan(10);
      expect(mostMb()).toBeLessThan(130);
    }
  }, 60_000);

  test('Ctrl-C ends an import cleanly, between two batches', async () => {
    const importing = startCli(['import', 'sqlite:cut.db', join(dir, 'large.ndjson')], {
      cwd: dir,
    });
    while ((await keysOf('cut.db').catch(() => [])).length === 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
    importing.child.kill('SIGINT');
    const done = await importing.ended;
    expect(done.code).toBe(130);
    expect(done.stderr).toMatch(/^stratakv: aborted: .*; [\d,]+ entries were imported\n$/);
    const keys = await keysOf('cut.db');
    expect(keys.length).toBe(
      Number(/([\d,]+) entries were/.exec(done.stderr)?.[1]?.replaceAll(',', '')),
    );
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.length).toBeLessThan(LARGE_LINES);
  });
});

async function writeLarge(path: string): Promise<void> {
  const file = createWriteStream(path);
  const body = 'x'.repeat(900);
  for (let from = 0; from < LARGE_LINES; from += 1_000) {
    const lines = Array.from({ length: 1_000 }, (_, i) => {
      const key = `key/${String(from + i).padStart(7, '0')}`;
      return `{"key":"${key}","value":{"n":${from + i},"body":"${body}"}}\n`;
    });
    if (!file.write(lines.join(''))) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
}
