/**
 * `npm run smoke`: runs the main job as a user would, with two browser tabs and a program, and asserts
 * what it promises. Screenshots are left in `.artifacts/smoke`.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright';
import { ensureEngine } from '../test/support/find-engine.ts';
import { freePort } from '../test/support/redis-server.ts';
import { ensureBuilt } from './build.ts';
import { ConsoleTab } from './lib/console-tab.ts';
import { startMainJob } from './lib/main-job-process.ts';

const MANY = 100_000;
/** What ten changes among all those keys may cost on the socket of a tab's copy. The figures, each second, have their own. */
const RESUME_BYTES = 16 * 1024;
const artifacts = '.artifacts/smoke';
const chromiumFlags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];

const say = (line) => process.stdout.write(`${line}\n`);
const startMs = performance.now();

async function step(title, run) {
  const beginMs = performance.now();
  const note = await run();
  const took = ((performance.now() - beginMs) / 1000).toFixed(1).padStart(5);
  say(`ok ${took} s  ${title}${typeof note === 'string' ? `: ${note}` : ''}`);
}

/** Runs the command that users have; resolves with its output. */
async function stratakv(...args) {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['dist/cli/main.js', ...args], {
    maxBuffer: 2 ** 30,
  });
  return stdout;
}

async function until(what, isSo, patienceMs = 30_000) {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const found = await isSo();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The store's entries as lines without what is each store's own. */
const dump = async (store) => (await stratakv('export', store, '--quiet')).trimEnd().split('\n');

async function fill(data) {
  const importing = spawn(
    process.execPath,
    ['dist/cli/main.js', 'import', `lmdb:${data}`, '--quiet'],
    { stdio: ['pipe', 'inherit', 'inherit'] },
  );
  for (let n = 0; n < MANY; n++) {
    const key = `many/${String(n).padStart(6, '0')}`;
    if (!importing.stdin.write(`{"key":"${key}","value":{"n":${n},"word":"value ${n}"}}\n`))
      await once(importing.stdin, 'drain');
  }
  importing.stdin.end();
  const [code] = await once(importing, 'exit');
  assert.equal(code, 0);
}

/** A Node program with a durable copy of its own. */
async function startProgram(address, token, path) {
  const [{ lmdb }, { subscribe, webSocket }] = await Promise.all([
    import('stratakv/lmdb'),
    import('stratakv/sync'),
  ]);
  const copy = lmdb({ path });
  const subscription = subscribe(webSocket(address), copy, { token });
  await subscription.ready;
  const text = async (key) => {
    const bytes = await copy.get(key);
    return bytes && Buffer.from(bytes).toString();
  };
  return { copy, subscription, text };
}

async function checkEditing(tabs, program, data) {
  const [one, two] = tabs;
  await one.create('smoke/note', '{"from":"tab one"}');
  await two.untilShows('smoke/note', 'tab one');
  await until('the program has it', () => program.text('smoke/note'));
  assert.equal(await stratakv('get', `lmdb:${data}`, 'smoke/note'), '{"from":"tab one"}');
  await two.edit('smoke/note', '{"from":"tab two"}');
  await one.untilShows('smoke/note', 'tab two');
  await until('the program has it', async () =>
    (await program.text('smoke/note'))?.includes('two'),
  );
  await program.subscription.remote.set('smoke/program', Buffer.from('from the program'));
  for (const tab of tabs) await tab.untilShows('smoke/program', 'from the program');
  await stratakv('set', `lmdb:${data}`, 'smoke/command', 'from the command line');
  for (const tab of tabs) await tab.untilShows('smoke/command', 'from the command line');
  await one.remove('smoke/note');
  await two.untilMissing('smoke/note');
  await until('the program lost it', async () => (await program.text('smoke/note')) === undefined);
}

/** Writes without end, and remembers what was acknowledged. */
function startWriter({ subscription }) {
  const acknowledged = new Map();
  let stopped = false;
  const worker = async (id) => {
    for (let n = 0; !stopped; n++) {
      const [key, value] = [`acked/${id}/${n % 100}`, `${id} ${n}`];
      try {
        await subscription.remote.set(key, Buffer.from(value));
        acknowledged.set(key, n);
      } catch (error) {
        // The server dies in the middle: then nobody knows of this one write.
        if (!['unknown-outcome', 'timeout', 'unavailable'].includes(error.code)) throw error;
        return;
      }
    }
  };
  const done = Promise.all([0, 1, 2, 3].map(worker));
  return {
    acknowledged,
    stop: () => {
      stopped = true;
      return done;
    },
  };
}

/** Every acknowledged write is there, or a later one of the same writer to that key. */
function checkAcknowledged(acknowledged, lines) {
  const stored = new Map(
    lines.map((line) => JSON.parse(line)).map(({ key, value }) => [key, String(value)]),
  );
  for (const [key, n] of acknowledged) {
    const found = Number(stored.get(key)?.split(' ')[1] ?? -1);
    assert.ok(found >= n, `${key} was acknowledged as ${n}, and ${stored.get(key)} is there`);
  }
  return `${acknowledged.size} keys`;
}

async function tenChanges(data, word) {
  for (let n = 1; n <= 10; n++)
    await stratakv(
      'set',
      `lmdb:${data}`,
      `many/${String(n * 9_999).padStart(6, '0')}`,
      `${word} ${n}`,
    );
  return [`many/099990`, `${word} 10`];
}

function checkBytes({ name, bytes }) {
  const { main, all } = bytes;
  assert.ok(main < RESUME_BYTES, `${name} needed ${main} bytes, more than ${RESUME_BYTES}`);
  assert.ok(main > 0, `${name} was not counted`);
  return `${name} ${main} B, and ${all - main} B of figures`;
}

async function takeScreenshots(tab) {
  for (const scheme of ['light', 'dark']) {
    await tab.page.emulateMedia({ colorScheme: scheme });
    for (const view of ['overview', 'keys', 'live', 'plots']) {
      await tab.show(view, view === 'keys' ? 'package/preact/package.json' : undefined);
      await new Promise((resolve) => setTimeout(resolve, 300));
      await tab.screenshot(artifacts, `${view}-${scheme}`);
    }
  }
}

async function main(dir, stack) {
  const data = join(dir, 'data');
  const port = await freePort();
  let server;
  let tabs = [];
  let program;
  await step(`${MANY.toLocaleString('en')} keys imported`, () => fill(data));
  await step('the main job imports the packages and serves', async () => {
    server = await startMainJob(data, port);
    stack.defer(() => server.end('SIGKILL'));
    return server.address;
  });
  const keys = (await dump(`lmdb:${data}`)).length;
  assert.ok(keys > MANY + 300, 'the documents of several hundred packages are there');

  const found = ensureEngine('chromium', say);
  if ('missing' in found) throw new Error(`no Chromium: ${found.missing}`);
  const browser = await chromium.launch({ executablePath: found.at, args: chromiumFlags });
  stack.defer(() => browser.close());
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await step('two tabs and a program have everything', async () => {
    tabs = [
      await ConsoleTab.open(context, 'one', server.url),
      await ConsoleTab.open(context, 'two', server.url),
    ];
    program = await startProgram(server.address, server.token, join(dir, 'copy'));
    stack.defer(() => program.subscription.close());
    for (const tab of tabs) {
      await tab.untilCounts(keys);
      await tab.untilSays('Connected');
    }
    for (const tab of tabs)
      for (const n of [0, 4_711, 50_000, MANY - 1])
        await tab.untilShows(`many/${String(n).padStart(6, '0')}`, `value ${n}`);
    return `${keys.toLocaleString('en')} keys`;
  });
  await step('a write anywhere reaches everybody', () => checkEditing(tabs, program, data));
  await step('screenshots', () => takeScreenshots(tabs[0]));

  const writer = startWriter(program);
  await step('kill -9 in the middle of writing', async () => {
    await until('enough is acknowledged', () => writer.acknowledged.size >= 300);
    assert.equal(await server.end('SIGKILL'), null);
    await writer.stop();
    for (const tab of tabs) await tab.untilSays('Reconnecting');
    await tabs[0].screenshot(artifacts, 'server-away');
  });
  const [lastKey, lastValue] = await tenChanges(data, 'while away');
  for (const tab of tabs) tab.resetBytes();
  await step('after the restart everybody goes on from the cursor', async () => {
    server = await startMainJob(data, port);
    for (const tab of tabs) {
      await tab.untilSays('Connected');
      await tab.untilShows(lastKey, lastValue);
    }
    await until('the program has it', async () => (await program.text(lastKey)) === lastValue);
    assert.equal(program.subscription.status().snapshots, 1);
    return tabs.map(checkBytes).join('; ');
  });
  const lines = await dump(`lmdb:${data}`);
  await step('every acknowledged write is there', () =>
    checkAcknowledged(writer.acknowledged, lines),
  );
  await step('the copy of the program equals the store', async () => {
    await program.subscription.close();
    await program.copy.close();
    assert.deepEqual(await dump(`lmdb:${join(dir, 'copy')}`), lines);
    for (const tab of tabs) await tab.untilCounts(lines.length);
  });
  await step('a closed tab goes on from what its browser keeps', async () => {
    await tabs[1].page.goto('about:blank');
    const [key, value] = await tenChanges(data, 'while closed');
    tabs[1].resetBytes();
    await tabs[1].page.goto(server.url);
    await tabs[1].untilSays('Connected');
    await tabs[1].untilShows(key, value);
    return checkBytes(tabs[1]);
  });
  for (const { name, complaints } of tabs) assert.deepEqual(complaints, [], `tab ${name}`);
  await step('Ctrl-C ends the server cleanly', async () => {
    assert.equal(await server.end('SIGINT'), 0);
  });
}

const dir = mkdtempSync(join(tmpdir(), 'stratakv-smoke-'));
mkdirSync(artifacts, { recursive: true });
try {
  await ensureBuilt(say);
  await using stack = new AsyncDisposableStack();
  await main(dir, stack);
  say(`smoke passed in ${((performance.now() - startMs) / 1000).toFixed(0)} s; see ${artifacts}`);
} catch (error) {
  say(`FAILED: ${error.stack ?? error}`);
  process.exitCode = 1;
} finally {
  rmSync(dir, { recursive: true, force: true });
}
