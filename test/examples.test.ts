/** The programs in `examples/` run as users run them, and the pages show them as they are. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import ts from 'typescript';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ensureBuilt } from '../scripts/build.ts';
import { describeWithEngine } from './support/engines.ts';
import { freePort, startRedis } from './support/redis-server.ts';

interface Program {
  readonly child: ChildProcess;
  /** All that it has written so far. */
  said(): string;
  /** Resolves when it has written `text`; fails when it ends before. */
  until(text: string): Promise<void>;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
}

/** Where the programs of a test keep their data. */
let folder: string;
const running: Program[] = [];

/** Runs an example, which finds the package by its name and so the built `dist`. */
function start(name: string, env: Readonly<Record<string, string>> = {}): Program {
  const child = spawn(process.execPath, [resolve('examples', name)], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const until = async (text: string): Promise<void> => {
    while (!said.includes(text)) {
      const more = await Promise.race([once(child.stdout, 'data'), ended.then(() => undefined)]);
      if (more === undefined && !said.includes(text)) throw new Error(`${name} ended: ${said}`);
    }
  };
  const program = { child, said: () => said, until, ended };
  running.push(program);
  return program;
}

function blocksOf(page: string): string[] {
  const fenced = /^```ts\n(.*?)^```$/gms;
  return [...readFileSync(page, 'utf8').matchAll(fenced)].map(([, code = '']) => code);
}

beforeAll(() => ensureBuilt(() => undefined), 120_000);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stratakv-examples-'));
});
afterEach(async () => {
  for (const { child, ended } of running.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

describe('examples', () => {
  test('store: counts a visit at each run', async () => {
    for (const visits of [1, 2]) {
      const program = start('store.ts');
      expect(await program.ended).toBe(0);
      expect(program.said()).toMatch(/^user:ada Ada\nuser:bob Bob\n/);
      expect(program.said()).toContain(`visits: ${visits} }`);
    }
  });

  test('tiered', async () => {
    const program = start('tiered.ts');
    expect(await program.ended).toBe(0);
    expect(program.said()).toBe("{ name: 'Ada', visits: 1 }\n");
  });

  test('write-behind: seen at once, and in the back after the flush', async () => {
    for (let run = 0; run < 2; run++) {
      const program = start('write-behind.ts');
      expect(await program.ended).toBe(0);
      expect(program.said()).toBe("{ item: 'tea', count: 2 }\n{ keys: 0, deadLetters: 0 }\n");
    }
  });

  test('walk: what is reachable, and a sweep of the rest', async () => {
    const program = start('walk.ts');
    expect(await program.ended).toBe(0);
    const keys = ['news', 'about', 'home'];
    const walked = keys.map((key) => `reachable: ${key}\n`).join('');
    expect(program.said()).toBe(`${walked}{ swept: 1, kept: 3 }\n`);
  });

  test('blobs: a changed version costs a chunk', async () => {
    const program = start('blobs.ts');
    expect(await program.ended).toBe(0);
    const part = 'a line that somebody changed';
    expect(program.said()).toBe(`4 chunks, 1 of them new\n${part}\n2 versions\n{ swept: 0 }\n`);
  });

  test('archive: an idle entry comes back, and all of them after a loss', async () => {
    for (let run = 0; run < 2; run++) {
      const program = start('archive.ts');
      expect(await program.ended).toBe(0);
      expect(program.said()).toBe(
        "undefined in the store\n{ text: 'tea' } from the files\n{ restored: 1, checked: 1, differing: 0 } true\n",
      );
    }
  });

  test('configuration: a store by name, and a fault with its path', async () => {
    const program = start('configuration.ts');
    expect(await program.ended).toBe(0);
    expect(program.said()).toMatch(/^tea\nsync\[1\]\.type: unknown type "lmbd"; .* lmdb\?\n$/);
  });

  test('dedupe-buffer: the newest of each key, in order', async () => {
    const program = start('dedupe-buffer.ts');
    expect(await program.ended).toBe(0);
    expect(program.said().split('\n')).toEqual([
      ...['resync', 'new door 1000', 'new window -1000', 'in-sync'],
      ...['updated door 1001', 'deleted window ', 'in-sync', ''],
    ]);
  });

  test('warming', async () => {
    const program = start('warming.ts');
    expect(await program.ended).toBe(0);
    expect(program.said()).toBe(
      "{ copied: 1, skipped: 1, removed: 0 } { title: 'More news' }\n{ copied: 1, skipped: 0, removed: 0, missing: 1 }\n",
    );
  });

  test('replication: a copy follows, and goes on after a restart', async () => {
    const PORT = String(await freePort());
    const SERVER = `ws://127.0.0.1:${PORT}`;
    const server = start('replication-server.ts', { PORT, TOKEN: 'secret' });
    await server.until('Ctrl-C ends it');

    const stranger = start('replication-client.ts', { SERVER, TOKEN: 'guess' });
    expect(await stranger.ended).not.toBe(0);
    expect(stranger.said()).toContain('denied');

    for (let run = 0; run < 2; run++) {
      const client = start('replication-client.ts', { SERVER, TOKEN: 'secret' });
      await client.until('Ctrl-C ends it');
      expect(client.said()).toContain('user:ada false');
      expect(client.said()).toContain("here too: { name: 'Ada', visits: 1 }");
      client.child.kill('SIGINT');
      expect(await client.ended).toBe(0);
    }
    server.child.kill('SIGINT');
    expect(await server.ended).toBe(0);
  });
});

describeWithEngine('redis-server', 'examples with a Redis', () => {
  test('archived-redis: a key that is in files only is back for a command', async () => {
    await using server = await startRedis();
    const program = start('archived-redis.ts', { REDIS_URL: server.url });
    expect(await program.ended).toBe(0);
    expect(program.said()).toBe('1 key is in files only\nvisits: 42\n');
  });
});

describe('pages', () => {
  test('the README shows nothing but these programs', () => {
    const programs = globSync('examples/*.ts').map((path) => readFileSync(path, 'utf8'));
    const blocks = blocksOf('README.md');
    expect(blocks).toHaveLength(programs.length);
    for (const program of programs)
      expect(blocks.filter((block) => program.includes(block))).toHaveLength(1);
  });

  test('what the other pages show compiles', () => {
    const blocks = globSync('docs/**/*.md').flatMap((page) =>
      blocksOf(page).map((code, at) => ({ path: resolve(`${page}.${at}.ts`), code })),
    );
    expect(blocks.length).toBeGreaterThanOrEqual(5);
    expect(complaints(blocks)).toEqual([]);
    const wrong = { path: resolve('docs/wrong.ts'), code: `import { no } from 'stratakv';` };
    expect(complaints([wrong])).toHaveLength(1);
  });
});

/** What the compiler says of pieces of code that stand nowhere; `User` is a type they may all use. */
function complaints(blocks: readonly { readonly path: string; readonly code: string }[]): string[] {
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, '.');
  const host = ts.createCompilerHost(options);
  const code = new Map(
    blocks.map(({ path, code }) => [path, `${code}\ninterface User { name: string }\n`]),
  );
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => code.has(path) || fileExists.call(host, path);
  host.readFile = (path) => code.get(path) ?? readFile.call(host, path);
  host.getSourceFile = (path, language, ...rest) => {
    const text = code.get(path);
    return text === undefined
      ? getSourceFile.call(host, path, language, ...rest)
      : ts.createSourceFile(path, text, language);
  };
  const program = ts.createProgram([...code.keys()], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(
      ({ file, messageText }) =>
        `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
}
