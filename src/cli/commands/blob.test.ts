import { createHash } from 'node:crypto';
import {
  createWriteStream,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { type CliProcess, runCli, startCli } from '../../../test/support/cli-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-cli-blob-'));
afterAll(() => rmSync(folder, { recursive: true }), 300_000);

/** Size of the file that is streamed, in MiB; `STRATAKV_BLOB_MIB=2048 npm test -- src/cli/commands/blob` measures a large one. */
const MIB = Number(process.env.STRATAKV_BLOB_MIB ?? 96);
/** What the command may hold in memory of its own, whatever the size of the file. */
const MOST_ANONYMOUS_BYTES: number = 200 * 1024 * 1024;

const store = `file:${join(folder, 'store')}`;

/** Makes a file of bytes that do not repeat; resolves with its SHA-256. */
async function makeFile(path: string, mib: number): Promise<string> {
  const out = createWriteStream(path);
  const hash = createHash('sha256');
  for (let at = 0; at < mib; at++) {
    const block = Buffer.alloc(1024 * 1024);
    let state = at * 2_654_435_761 + 1;
    for (let word = 0; word < block.length; word += 4) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      block.writeInt32LE(state ^ (state >>> 15), word);
    }
    hash.update(block);
    if (!out.write(block)) await new Promise<void>((resolve) => out.once('drain', () => resolve()));
  }
  out.end();
  await finished(out);
  return hash.digest('hex');
}

/** Anonymous memory of a process, in bytes; `undefined` where the system does not tell. */
function anonymousBytes(pid: number): number | undefined {
  try {
    const kib = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}

/** The most anonymous memory that was seen until a command ended. */
async function mostUsed(command: CliProcess): Promise<number> {
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, anonymousBytes(command.pid) ?? 0);
  }, 20);
  await command.ended;
  clearInterval(timer);
  return most;
}

describe('stratakv blob', () => {
  test('puts a file, gets it by ref, by name and in part, and shows what there is', async () => {
    const path = join(folder, 'file.txt');
    writeFileSync(path, 'one\ntwo\nthree\n'.repeat(1_000));
    const done = await runCli(['blob', 'put', store, path, '--anchor', 'notes']);
    expect(done).toMatchObject({ code: 0, stderr: expect.stringContaining('1 chunks') });
    const ref = done.out.trim();
    expect(ref).toMatch(/^[0-9a-f]{64}$/);
    const again = await runCli(['blob', 'put', store, path, '--json']);
    expect(JSON.parse(again.out)).toMatchObject({
      ref,
      added: false,
      bytes: 14_000,
      addedBytes: 0,
    });
    for (const what of [ref, 'notes'])
      expect((await runCli(['blob', 'get', store, what])).out).toBe(readFileSync(path, 'utf8'));
    const part = await runCli(['blob', 'get', store, 'notes', '--start', '4', '--end', '7']);
    expect(part.out).toBe('two');
    const tree = (await runCli(['blob', 'tree', store, 'notes'])).out.split('\n');
    expect(tree[0]).toContain(`tree ${ref}`);
    const chunk = /^ {2}([0-9a-f]{64})/.exec(tree[1] as string)?.[1];
    expect((await runCli(['blob', 'list', store])).out).toBe(`${chunk}\n`);
    expect((await runCli(['blob', 'list', store, '--trees'])).out).toBe(`${ref}\n`);
    expect((await runCli(['blob', 'list', store, '--anchors'])).out).toContain(`${ref}  `);
    expect((await runCli(['blob', 'get', store, chunk as string])).out).toHaveLength(14_000);
    const piped = await runCli(['blob', 'put', store, '-', '--json'], { input: 'from a pipe' });
    expect(JSON.parse(piped.out)).toMatchObject({ added: true, bytes: 11 });
  });

  test.each<[string[], number, string]>([
    [['blob', 'get', store, 'nobody'], 1, ''],
    [['blob', 'get', store, 'f'.repeat(64)], 1, ''],
    [['blob', 'frob', store], 2, '"frob" is no action; expected put, get, list or tree'],
    [['blob', 'get', store], 2, "get needs a REF, or an anchor's NAME"],
    [['blob', 'list', store, 'x'], 2, '"x" is one too many'],
    [['blob', 'get', `file:${join(folder, 'none')}`, 'x'], 2, 'there is no store'],
    [['blob', 'list', store, '--after', 'x'], 2, '64 hexadecimal digits'],
  ])('%j ends with %i', async (args, code, text) => {
    const done = await runCli(args);
    expect(done.stderr).toContain(text);
    expect(done.code).toBe(code);
  });

  test('streams a file larger than the memory it takes, in and out', async () => {
    const path = join(folder, 'large');
    const sha = await makeFile(path, MIB);
    const large = `file:${join(folder, 'large-store')}`;
    const putting = startCli(['blob', 'put', large, path, '--anchor', 'large', '--timeout', '5m']);
    const used = await mostUsed(putting);
    expect(await putting.ended).toMatchObject({ code: 0 });
    const getting = startCli(['blob', 'get', large, 'large'], { env: {} });
    const reading = mostUsed(getting);
    const hash = createHash('sha256');
    // What the command writes is taken here as it comes, and not kept.
    getting.child.stdout?.removeAllListeners('data');
    getting.child.stdout?.on('data', (chunk: Buffer) => hash.update(chunk));
    const most = Math.max(used, await reading);
    expect(hash.digest('hex')).toBe(sha);
    expect(statSync(path).size).toBe(MIB * 1024 * 1024);
    expect(most).toBeLessThan(MOST_ANONYMOUS_BYTES);
    if (process.env.STRATAKV_BLOB_MIB !== undefined)
      process.stderr.write(
        `${MIB} MiB: at most ${Math.round(most / 2 ** 20)} MiB of anonymous memory\n`,
      );
  }, 1_200_000);
});
