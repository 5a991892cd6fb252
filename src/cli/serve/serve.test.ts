import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type CliProcess,
  type CliResult,
  runCli,
  startCli,
} from '../../../test/support/cli-process.ts';
import { freePort } from '../../../test/support/engines.ts';
import { memory } from '../../drivers/memory/index.ts';
import { json } from '../../store/codec.ts';
import { subscribe, webSocket } from '../../sync/index.ts';
import type { ServedStats, StatsValue } from './stats-store.ts';

const TOKEN = 'a-token-for-tests';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'stratakv-serve-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const started: CliProcess[] = [];
afterEach(async () => {
  for (const one of started.splice(0)) {
    one.child.kill('SIGKILL');
    await one.ended;
  }
});

interface Served {
  readonly process: CliProcess;
  readonly url: string;
  readonly address: string;
  readonly port: number;
}

async function serve(store: string, ...flags: string[]): Promise<Served> {
  const process = startCli(['serve', store, '--json', ...flags], {
    cwd: dir,
    env: { STRATAKV_TOKEN: TOKEN },
  });
  started.push(process);
  const { url, address, port } = await process.until(
    (out) => out.includes('\n') && JSON.parse(out),
  );
  return { process, url, address, port };
}

const client = (...args: string[]): Promise<CliResult> =>
  runCli(args, { cwd: dir, env: { STRATAKV_TOKEN: TOKEN } });

describe('a served store', () => {
  test('is read, written and watched by programs, and keeps what they write', async () => {
    const { process, address } = await serve('sqlite:./main.db', '--write');
    expect(address).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/main$/);
    expect(
      await client('set', address, 'user:1', '{"name":"Ada"}', '--meta', '{"a":1}'),
    ).toMatchObject({ code: 0 });
    expect(await client('get', address, 'user:1')).toMatchObject({
      code: 0,
      out: '{"name":"Ada"}',
    });
    const entry = JSON.parse((await client('get', address, 'user:1', '--json')).out);
    expect(entry).toMatchObject({ value: { name: 'Ada' }, meta: { a: 1 } });

    const watching = startCli(['watch', address, '--json'], {
      cwd: dir,
      env: { STRATAKV_TOKEN: TOKEN },
    });
    started.push(watching);
    // The watch begins when its copy is up; nothing tells from outside, so it is given changes until it shows one.
    const keepWriting = (async () => {
      for (let n = 0; !watching.out().includes('\n'); n++)
        await client('set', address, 'counter', String(n));
    })();
    expect(
      await watching.until((out) => out.includes('\n') && JSON.parse(out.split('\n')[0] ?? '')),
    ).toMatchObject({
      writes: [{ type: 'set', key: 'counter' }],
    });
    await keepWriting;

    expect(await client('set', address, 'user:1', 'x', '--if-absent')).toMatchObject({ code: 3 });
    expect(
      await client('set', address, 'user:1', '2', '--if-version', entry.version),
    ).toMatchObject({ code: 0 });
    expect(await client('delete', address, 'user:1')).toMatchObject({ code: 0 });
    expect(await client('delete', address, 'user:1')).toMatchObject({ code: 1 });
    process.child.kill('SIGTERM');
    expect(await process.ended).toMatchObject({ code: 0, stderr: '' });
    expect((await client('list', 'sqlite:./main.db', '--keys')).out).toBe('counter\n');
  });

  test('lets in who knows the token, and to write only where that was said', async () => {
    const { address, port } = await serve('memory:');
    const denied = async (env: Record<string, string>, ...args: string[]): Promise<void> => {
      const done = await runCli(args, { cwd: dir, env });
      expect(done).toMatchObject({ code: 5, out: '' });
      expect(done.stderr).toMatch(/^stratakv: denied: /);
      expect(done.stderr).not.toContain(TOKEN);
    };
    await denied({}, 'get', address, 'k');
    await denied({ STRATAKV_TOKEN: `${TOKEN}x` }, 'get', address, 'k');
    await denied({ STRATAKV_TOKEN: TOKEN }, 'set', address, 'k', 'v');
    writeFileSync(join(dir, 'token'), `${TOKEN}\n`);
    expect(
      await runCli(['get', address, 'k', '--token-file', 'token'], { cwd: dir }),
    ).toMatchObject({ code: 1 });
    const unknown = await client('get', `ws://127.0.0.1:${port}/other`, 'k');
    expect(unknown).toMatchObject({ code: 2, out: '' });
    expect(unknown.stderr).toContain('there is no store with the id "other"');
  });

  test('is kept as a local copy that goes on where it was', async () => {
    const first = await serve('sqlite:./kept.db', '--write', '--port', String(await freePort()));
    const lines = Array.from({ length: 500 }, (_, i) => `{"key":"k/${i}","value":${i}}`);
    const imported = await runCli(['import', first.address, '--json'], {
      cwd: dir,
      env: { STRATAKV_TOKEN: TOKEN },
      input: lines.join('\n'),
    });
    expect(imported).toMatchObject({ code: 0, out: '{"imported":500,"expired":0}\n' });
    const copy = ['--local', 'sqlite:./copy.db'];
    expect((await client('list', first.address, '--keys', ...copy)).out.split('\n')).toHaveLength(
      501,
    );
    await client('set', first.address, 'k/new', 'x');
    expect((await client('get', first.address, 'k/new', ...copy)).out).toBe('x');
    expect((await client('list', 'sqlite:./copy.db', '--keys')).out.split('\n')).toHaveLength(502);
    const other = await serve('memory:');
    const refused = await client('get', other.address, 'k', ...copy);
    expect(refused).toMatchObject({ code: 3, out: '' });
  });

  test('is watched on when its server was killed and comes back', async () => {
    const port = String(await freePort());
    const first = await serve('sqlite:./back.db', '--write', '--port', port);
    const watching = startCli(['watch', first.address, '--after', 'start'], {
      cwd: dir,
      env: { STRATAKV_TOKEN: TOKEN },
    });
    started.push(watching);
    await client('set', first.address, 'before', '1');
    await watching.until((out) => out.includes('before'));
    first.process.child.kill('SIGKILL');
    await first.process.ended;
    await watching.until((_, err) => err.includes('trying again'));
    await client('set', 'sqlite:./back.db', 'between', '2');
    await serve('sqlite:./back.db', '--write', '--port', port);
    await watching.until((out) => out.includes('between'));
    watching.child.kill('SIGINT');
    const { code, out } = await watching.ended;
    expect(code).toBe(0);
    expect(out.match(/before|between/g)).toEqual(['before', 'between']);
  });

  test('tells about itself in a second store', async () => {
    const { port, address } = await serve('memory:', '--write');
    await using local = memory<StatsValue>({ codec: json<StatsValue>() });
    await using stats = subscribe(webSocket(`ws://127.0.0.1:${port}/stats`), local, {
      token: TOKEN,
    });
    await using data = memory();
    await using main = subscribe(webSocket(address), data, { token: TOKEN });
    await Promise.all([stats.ready, main.ready]);
    await main.remote.set('k', new Uint8Array(5));
    const read = (key: string): Promise<StatsValue | undefined> => local.get(key);
    expect(await read('shape')).toMatchObject({
      name: 'memory:',
      shape: { type: 'memory' },
      writable: true,
    });
    while (((await read('stats')) as ServedStats).appliedWrites !== 1) await sleep(20);
    expect(await read('stats')).toMatchObject({ headRev: 1, subscribers: 1 });
    expect(await read('subscribers')).toMatchObject([{ lag: 0, mayWrite: true }]);
    await expect(stats.remote.set('stats', [])).rejects.toMatchObject({ code: 'denied' });
  });

  test('has a console at the address that it prints, guarded', async () => {
    const { url, port } = await serve('memory:');
    expect(url).toBe(`http://127.0.0.1:${port}/#token=${TOKEN}`);
    const page = await fetch(url);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect([200, 404]).toContain(page.status);
  });
});

describe('serve', () => {
  test('makes a token nobody knows where none is given', async () => {
    const one = startCli(['serve', 'memory:'], { cwd: dir });
    started.push(one);
    const [, token = ''] = await one.until(
      (out) => /programs/.test(out) && /#token=(\S+)/.exec(out),
    );
    expect(token).toMatch(/^[\w-]{32}$/);
  });

  test('a port in use is unavailable', async () => {
    const { port } = await serve('memory:');
    const done = await client('serve', 'memory:', '--port', String(port));
    expect(done).toMatchObject({ code: 4, out: '' });
    expect(done.stderr).toContain(
      `port ${port} of 127.0.0.1 is in use by another program; choose another with --port`,
    );
  });

  test('a server that is away is unavailable', async () => {
    const done = await client(
      'get',
      `ws://127.0.0.1:${await freePort()}/main`,
      'k',
      '--timeout',
      '300ms',
    );
    expect(done).toMatchObject({ code: 4, out: '' });
    expect(done.stderr).toMatch(/^stratakv: unavailable: /);
  });

  test.each([
    [['--token', 'short'], 'expected at least 8 of the characters'],
    [['--token', 'has a blank in it'], 'expected at least 8 of the characters'],
    [['--port', '65536'], 'a port from 0 (a free one) to 65535'],
    [['--token-file', 'no/such/file'], 'does not exist'],
  ])('refuses %j', async (flags, message) => {
    const done = await runCli(['serve', 'sqlite:./never.db', ...flags], { cwd: dir });
    expect(done).toMatchObject({ code: 2, out: '' });
    expect(done.stderr).toContain(message);
    expect(existsSync(join(dir, 'never.db'))).toBe(false);
  });

  test('ends in good order on Ctrl-C, also when it comes twice at once', async () => {
    const { process, address } = await serve('sqlite:./end.db', '--write');
    await using local = memory<Uint8Array>();
    await using one = subscribe(webSocket(address), local, { token: TOKEN });
    await one.ready;
    const writes = Array.from({ length: 50 }, (_, i) =>
      one.remote.set(`k/${i}`, new Uint8Array(10)),
    );
    const acknowledged = Promise.allSettled(writes);
    await writes[0];
    process.child.kill('SIGINT');
    process.child.kill('SIGINT');
    await sleep(20);
    process.child.kill('SIGINT');
    expect(await process.ended).toMatchObject({ code: 0, stderr: '' });
    const done = (await acknowledged).filter(({ status }) => status === 'fulfilled').length;
    const kept = (await client('list', 'sqlite:./end.db', '--keys')).out.split('\n').length - 1;
    expect(kept).toBeGreaterThanOrEqual(done);
    expect(done).toBeGreaterThan(0);
  });
});
