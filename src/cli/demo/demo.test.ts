import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type CliProcess, runCli, startCli } from '../../../test/support/cli-process.ts';
import { freePort } from '../../../test/support/engines.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'stratakv-demo-'));
  const files = {
    'a/package.json': '{ "name": "a" }',
    'a/ReadMe.MD': '# a',
    'a/node_modules/b/package.json': '{"name":"b","version":"2"}',
    '@scope/c/package.json': '{"name":"@scope/c"}',
    '@scope/c/readme': 'plain',
    'b/package.json': '{"name":"b","version":"1"}',
    'b/README.md/not-a-file': '',
    'empty/index.js': '',
    '.bin/tool': '',
  };
  for (const [path, text] of Object.entries(files)) {
    const full = join(dir, 'node_modules', path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  }
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const started: CliProcess[] = [];
afterEach(async () => {
  for (const one of started.splice(0)) {
    one.child.kill('SIGKILL');
    await one.ended;
  }
});

async function demo(
  ...flags: string[]
): Promise<{ process: CliProcess; url: string; port: number }> {
  const process = startCli(['demo', '--json', ...flags], { cwd: dir });
  started.push(process);
  const { url, port } = await process.until((out) => out.includes('\n') && JSON.parse(out));
  return { process, url, port };
}

describe('demo', () => {
  test('fills a store once, serves it, and keeps its address', async () => {
    const port = String(await freePort());
    const first = await demo('--port', port);
    const keys = await runCli(['list', 'lmdb:./data', '--keys'], { cwd: dir });
    expect(keys.out.trimEnd().split('\n')).toEqual([
      'package/@scope/c/README.md',
      'package/@scope/c/package.json',
      'package/a/README.md',
      'package/a/node_modules/b/package.json',
      'package/a/package.json',
      'package/b/package.json',
    ]);
    const entry = await runCli(['get', 'lmdb:./data', 'package/a/package.json', '--json'], {
      cwd: dir,
    });
    expect(JSON.parse(entry.out)).toMatchObject({
      value: '{ "name": "a" }',
      encoding: 'text',
      meta: { type: 'application/json', size: 15 },
    });
    await runCli(['delete', 'lmdb:./data', 'package/b/package.json'], { cwd: dir });
    expect(statSync(join(dir, 'data', 'token')).mode & 0o777).toBe(0o600);
    first.process.child.kill('SIGINT');
    expect(await first.process.ended).toMatchObject({ code: 0, stderr: '' });

    const second = await demo('--port', port);
    expect(second.url).toBe(first.url);
    const left = await runCli(['list', 'lmdb:./data', '--keys'], { cwd: dir });
    expect(left.out.trimEnd().split('\n')).toHaveLength(5);
    expect(left.out).not.toContain('package/b/');
  });

  test('takes a port that is named or none', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as { port: number };
    const done = await runCli(['demo', '--data', 'other', '--port', String(port)], { cwd: dir });
    taken.close();
    expect(done.code).toBe(4);
    expect(done.stderr).toContain(`port ${port} of 127.0.0.1 is in use`);
    expect(done.stderr).not.toContain('imported');
    // The usual port goes to one of them; the other finds a free one.
    const [one, two] = [await demo('--data', 'one'), await demo('--data', 'two')];
    expect(one.port).not.toBe(two.port);
  });

  test('serves an empty store where nothing is installed, and fills it later', async () => {
    const first = await demo('--data', 'later', '--port', '0', '--packages', 'nowhere');
    first.process.child.kill('SIGTERM');
    expect(await first.process.ended).toMatchObject({ code: 0 });
    await demo('--data', 'later', '--port', '0');
    expect((await runCli(['list', 'lmdb:./later', '--keys'], { cwd: dir })).out).toContain(
      'package/a/',
    );
  });

  test('does not take a folder of other things for a store', async () => {
    const done = await runCli(['demo', '--data', 'node_modules', '--port', '0'], { cwd: dir });
    expect(done).toMatchObject({ code: 2, out: '' });
    expect(done.stderr).toContain('stratakv: invalid-argument: ');
  });
});
