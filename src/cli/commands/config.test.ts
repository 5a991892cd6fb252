import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { runCli } from '../../../test/support/cli-process.ts';
import { configSchema } from '../../config/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'stratakv-cli-config-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, config: unknown): string {
  const path = join(dir, name);
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
  return path;
}

const library = pathToFileURL('src/config/index.ts').href;
const replica = {
  type: 'replica',
  sync: [{ type: 'lmdb', path: './first' }, 'sqlite:./second.db'],
  async: [{ type: 'file', path: './third' }],
  queueLength: 100,
};

describe('a store as data', () => {
  test('is named in every command, its paths beside the configuration', async () => {
    const file = write('strata.json', {
      $schema: './strata.schema.json',
      stores: {
        all: replica,
        users: { type: 'prefixed', prefix: 'user:', store: { type: 'lmdb', path: './first' } },
      },
    });
    const set = await runCli(['set', 'all', 'user:1', 'Ada', '--config', file]);
    expect(set).toMatchObject({ code: 0 });
    for (const name of ['first', 'second.db', 'third'])
      expect([name, existsSync(join(dir, name))]).toEqual([name, true]);
    const get = await runCli(['get', 'users', '1', '--config', file]);
    expect(get).toMatchObject({ code: 0, out: 'Ada', stderr: '' });
    const [second, third] = await Promise.all([
      runCli(['get', 'sqlite:./second.db', 'user:1'], { cwd: dir }),
      runCli(['get', 'file:./third', 'user:1'], { cwd: dir }),
    ]);
    expect([second.out, third.out]).toEqual(['Ada', 'Ada']);
  });

  test('alone in a file is called main, and found where nothing else is said', async () => {
    const folder = join(dir, 'alone');
    mkdirSync(folder);
    write('alone/strata.config.json', { type: 'sqlite', path: { env: 'MAIN_DB' }, codec: 'json' });
    const env = { MAIN_DB: 'main.db' };
    const missing = await runCli(['get', 'main', 'k'], { cwd: folder, env });
    expect(missing).toMatchObject({ code: 2, out: '' });
    expect(missing.stderr).toContain(`there is no store at "sqlite:${folder}/main.db"`);
    expect(existsSync(join(folder, 'main.db'))).toBe(false);
    await runCli(['set', 'main', 'k', '{"n":1}'], { cwd: folder, env });
    expect(await runCli(['get', 'main', 'k'], { cwd: folder, env })).toMatchObject({
      code: 0,
      out: '{"n":1}',
    });
    const unset = await runCli(['get', 'main', 'k'], { cwd: folder });
    expect(unset).toMatchObject({ code: 2 });
    expect(unset.stderr).toContain('path: the environment variable MAIN_DB is not set');
  });

  test('a command that only reads opens it beside the one that writes', async () => {
    const file = write('reading.json', {
      stores: {
        it: { type: 'encoded', codec: 'text', store: { type: 'file', path: './reading' } },
      },
    });
    await runCli(['set', 'it', 'a', 'b', '--config', file]);
    const holder = await import('../../drivers/file/index.ts');
    const writer = holder.file({ path: join(dir, 'reading') });
    try {
      const got = await runCli(['get', 'it', 'a', '--config', file]);
      expect(got).toMatchObject({ code: 0, out: 'b' });
      const set = await runCli(['set', 'it', 'a', 'c', '--config', file]);
      expect(set).toMatchObject({ code: 3 });
    } finally {
      await writer.close();
    }
  });

  test('is written in TypeScript with its types', async () => {
    const file = write(
      'typed.ts',
      `import { defineConfig } from '${library}';
       export default defineConfig({ stores: { it: ${JSON.stringify(replica)} } });`,
    );
    expect(await runCli(['config', 'check', file])).toMatchObject({
      code: 0,
      out: 'it  replica\n',
    });
  });
});

describe('config check', () => {
  test('tells every fault with its place, and opens nothing', async () => {
    const file = write('wrong.json', {
      stores: {
        a: { type: 'replica', sync: [{ type: 'lmdb', path: './new' }, { type: 'lmbd' }] },
        b: { type: 'lmdb', path: './new', pollms: 1 },
        c: 'ws://127.0.0.1:1/',
      },
    });
    const done = await runCli(['config', 'check', '--config', file]);
    expect(done).toMatchObject({ code: 2, out: 'a  replica\nb  lmdb\nc  ws://127.0.0.1:1/\n' });
    expect(done.stderr.split('\n')).toEqual([
      expect.stringMatching(
        /^invalid-argument: stores\.a\.sync\[1\]\.type: unknown type "lmbd"; known .*did you mean lmdb\?$/,
      ),
      'invalid-argument: stores.b.pollms: unknown option; did you mean pollMs?',
      `2 wrong in ${file}`,
      '',
    ]);
    const asJson = await runCli(['config', 'check', file, '--json']);
    expect(JSON.parse(asJson.out)).toMatchObject({
      file,
      stores: [{ name: 'a', type: 'replica' }, { name: 'b' }, { name: 'c' }],
      faults: [{ path: 'stores.a.sync[1].type' }, { path: 'stores.b.pollms' }],
    });
    const opened = await runCli(['get', 'a', 'k', '--config', file]);
    expect(opened).toMatchObject({ code: 2 });
    expect(opened.stderr).toContain(`open: ${file}: stores.a.sync[1].type: unknown type "lmbd"`);
    expect(existsSync(join(dir, 'new'))).toBe(false);
  });

  test('looks at the environment unless it is told not to', async () => {
    const file = write('secret.json', { type: 'redis', url: { env: 'NO_SUCH_VARIABLE' } });
    const done = await runCli(['config', 'check', file]);
    expect(done).toMatchObject({ code: 2 });
    expect(done.stderr).toContain('url: the environment variable NO_SUCH_VARIABLE is not set');
    expect(await runCli(['config', 'check', file, '--no-env'])).toMatchObject({ code: 0 });
  });

  test.each([
    ['broken.json', '{ "stores": ', 'cannot be loaded: '],
    ['bare.json', { users: 'memory:' }, 'stores: is missing'],
    ['empty.json', {}, 'stores: is missing'],
  ])('%s is refused', async (name, config, message) => {
    const done = await runCli(['config', 'check', write(name, config)]);
    expect(done).toMatchObject({ code: 2, out: '' });
    expect(done.stderr).toContain(message);
  });

  test('says how it is used', async () => {
    const [word, both, none] = await Promise.all([
      runCli(['config', 'chekc']),
      runCli(['config', 'check', 'a', '--config', 'b']),
      runCli(['config', 'check'], { cwd: tmpdir() }),
    ]);
    expect(word.stderr).toContain('"chekc" is no action; expected check or schema');
    expect(both.stderr).toContain('FILE and --config exclude each other');
    expect(none.stderr).toContain('there is no strata.config.ts here');
  });
});

test('config schema prints the schema', async () => {
  const { code, out } = await runCli(['config', 'schema']);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual(JSON.parse(JSON.stringify(configSchema())));
});
