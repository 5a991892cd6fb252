import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../../test/support/cli-process.ts';
import { parseStoreUrl, withoutSecrets } from '../../config/address.ts';
import { withPackage } from '../../config/with-package.ts';
import { memory } from '../../drivers/memory/index.ts';
import { json, text } from '../../store/codec.ts';
import { StrataError } from '../../store/errors.ts';
import { byteView } from './byte-view.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'stratakv-cli-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const library = pathToFileURL('src/index.ts').href;

function config(name: string, source: string): string {
  const path = join(dir, name);
  writeFileSync(path, `import { json, memory, type Store } from '${library}';\n${source}`);
  return path;
}

describe('a configuration', () => {
  test('gives stores names, and only the one asked for is opened', async () => {
    const file = config(
      'strata.config.ts',
      `const users: Store<{ name: string }> = memory<{ name: string }>({ codec: json() });
       await users.set('user:1', { name: 'Ada' }, { meta: { role: 'admin' } });
       export default {
         stores: { users, empty: 'memory:', later: async () => memory(), dear: () => { throw new Error('opened'); } },
       };`,
    );
    const got = await runCli(['get', 'users', 'user:1'], { cwd: dir });
    expect(got).toMatchObject({ code: 0, out: '{"name":"Ada"}', stderr: '' });
    const full = await runCli(['get', 'users', 'user:1', '--json', '--config', file]);
    expect(JSON.parse(full.out)).toMatchObject({
      key: 'user:1',
      value: { name: 'Ada' },
      meta: { role: 'admin' },
    });
    for (const name of ['empty', 'later'])
      expect(await runCli(['get', name, 'k'], { cwd: dir })).toMatchObject({ code: 1, out: '' });
    const wrong = await runCli(['get', 'user', 'k'], { cwd: dir });
    expect(wrong.stderr).toContain('has no store "user"; did you mean users?');
    const kept = await runCli(['set', 'users', 'user:2', 'no JSON'], { cwd: dir });
    expect(kept).toMatchObject({ code: 2 });
    expect(kept.stderr).toContain('invalid-argument');
  });

  test.each([
    ['broken.ts', 'export default {', 'cannot be loaded'],
    ['throws.ts', `throw new Error('no luck');`, 'cannot be loaded: no luck'],
    ['none.ts', 'export const stores = {};', 'expected { "stores"'],
    ['empty.ts', 'export default { stores: {} };', 'stores: is an object'],
    ['odd.ts', 'export default { users: 42 };', 'users: is 42; expected'],
    ['single.ts', 'export default memory();', 'expected { "stores"'],
  ])('%s is refused', async (name, source, message) => {
    const file = config(name, source);
    const done = await runCli(['get', 'users', 'k', '--config', file]);
    expect(done).toMatchObject({ code: 2, out: '' });
    expect(done.stderr).toContain(message);
  });
});

describe('a store of values as bytes', () => {
  test('goes through its codec both ways, and keeps refusing what it cannot read', async () => {
    const users = memory<unknown>({ codec: json() });
    const bytes = byteView(users);
    await bytes.set('a', Buffer.from('{"n":1}'));
    expect(await users.get('a')).toEqual({ n: 1 });
    expect(Buffer.from((await bytes.get('a')) ?? []).toString()).toBe('{"n":1}');
    await expect(bytes.set('a', Buffer.from('{'))).rejects.toMatchObject({
      code: 'invalid-argument',
    });
    expect(await users.get('a')).toEqual({ n: 1 });
  });

  test('says so where there are no bytes to be had', async () => {
    const store = memory<unknown>();
    await store.set('a', new Map());
    await expect(byteView(store).get('a')).rejects.toMatchObject({ code: 'unsupported' });
    await store.set('b', Uint8Array.of(1));
    expect(await byteView(store).get('b')).toEqual(Uint8Array.of(1));
    await expect(
      byteView(memory({ codec: text() })).set('a', Uint8Array.of(0xff)),
    ).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

describe('a store’s address', () => {
  test.each([
    ['memory:', { scheme: 'memory' }],
    ['lmdb:./data', { scheme: 'lmdb', path: './data' }],
    ['lmdb:/var/data', { scheme: 'lmdb', path: '/var/data' }],
    ['sqlite:a b.db', { scheme: 'sqlite', path: 'a b.db' }],
    ['redis://h:1', { scheme: 'redis', url: 'redis://h:1' }],
    ['redis://h:1/3', { scheme: 'redis', url: 'redis://h:1/3' }],
    ['redis://h:1/3/app', { scheme: 'redis', url: 'redis://h:1/3', prefix: 'app' }],
    ['redis://h:1/3app', { scheme: 'redis', url: 'redis://h:1', prefix: '3app' }],
    ['rediss://u:p@h/a%2Fb/c', { scheme: 'redis', url: 'rediss://u:p@h', prefix: 'a/b/c' }],
    ['ws://h:1/x', { scheme: 'ws', url: 'ws://h:1/x' }],
    ['wss://h', { scheme: 'ws', url: 'wss://h/' }],
  ])('%s is read', (text, parts) => {
    expect(parseStoreUrl(text)).toEqual(parts);
  });

  test.each([
    'lmdb:',
    'lmdb://data/x',
    'sqlite:',
    'redis:',
    'redis://',
    'ws:',
    'ws://h/#x',
    'http://h/',
    'x:',
  ])('%s is refused', (text) => {
    expect(() => parseStoreUrl(text)).toThrow(StrataError);
  });

  test('is shown without its secrets', () => {
    expect(withoutSecrets('redis://u:p@h:1/x')).toBe('redis://…@h:1/x');
    expect(withoutSecrets('ws://h/x?token=t#u')).toBe('ws://h/x');
    expect(withoutSecrets('lmdb:./a@b?c')).toBe('lmdb:./a@b?c');
  });
});

test('a missing package is named with the way to get it', async () => {
  const missing = (): Promise<unknown> => import('no-such-package' as string);
  await expect(withPackage('lmdb:', 'no-such-package', missing)).rejects.toMatchObject({
    code: 'unsupported',
    message:
      'open: lmdb: needs the npm package no-such-package, which is not installed; run npm install no-such-package',
  });
  await expect(withPackage('lmdb:', 'other', missing)).rejects.not.toBeInstanceOf(StrataError);
});
