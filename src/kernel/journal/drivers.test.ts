/** Journals in real stores, and between real processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../../test/support/engines.ts';
import { callOf, del, journalOn, set, writesOf } from '../../../test/support/journal-world.ts';
import { codeOf } from '../../../test/support/tiered-world.ts';
import { lmdb } from '../../drivers/lmdb/index.ts';
import { redis } from '../../drivers/redis/index.ts';
import { sqlite } from '../../drivers/sqlite/index.ts';
import { prefixed } from '../../layers/prefixed.ts';
import { json } from '../../store/codec.ts';
import { StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import type { JournalWrite } from './journal.ts';

const env = systemEnv;
const call = callOf(env);
const LEASE_MS = 400;

const folder = mkdtempSync(join(tmpdir(), 'stratakv-journal-'));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

let paths = 0;
const newPath = (): string => join(folder, `${++paths}`);

function journalIn(store: Store<unknown>) {
  return journalOn(primitivesOf(store), env, { leaseMs: LEASE_MS, owner: env.process ?? '' });
}

const makers: Record<string, () => () => Store<unknown>> = {
  lmdb: () => {
    const path = newPath();
    return () => lmdb({ path, codec: json() });
  },
  sqlite: () => {
    const path = `${newPath()}.db`;
    return () => sqlite({ path, codec: json() });
  },
  'a part of lmdb': () => {
    const path = newPath();
    return () => prefixed(lmdb({ path, codec: json() }), 'p:');
  },
};

describe.each(Object.entries(makers))('a journal in %s', (_, make) => {
  keepsWhatItMust(make);
});

describeWithEngine('redis', 'a journal in redis', () => {
  keepsWhatItMust(() => {
    const prefix = `journal-${process.pid}-${++paths}`;
    return () => {
      const client = new Redis(redisUrl());
      const store = redis({ client, prefix, codec: json() });
      const close = store.close.bind(store);
      return Object.assign(store, { close: () => close().then(() => client.disconnect()) });
    };
  });
});

function keepsWhatItMust(make: () => () => Store<unknown>): void {
  it('keeps records, dead letters and its place', async () => {
    const open = make();
    const expected: (readonly JournalWrite<unknown>[])[] = [];
    let seqs: number[] = [];
    let identity = '';
    for (let round = 0; round < 3; round++) {
      await using store = open();
      const { journal, told } = journalIn(store);
      const found = await journal.open(call);
      expect(writesOf(found)).toEqual(expected);
      expect(journal.lastSeq).toBe(seqs.at(-1) ?? 0);
      identity ||= `${journal.storeId} ${journal.epoch}`;
      expect(`${journal.storeId} ${journal.epoch}`).toBe(identity);
      const commits = Array.from({ length: 5 }, (_, n) => [
        set(`key ${n}`, { n, text: 'x'.repeat(2_000) }),
        del(`gone ${n}`),
      ]);
      seqs = (
        await journal.append(
          commits,
          found.slice(0, 3).map(({ seq }) => seq),
          call,
        )
      ).map(({ seq }) => seq);
      expected.splice(0, Math.min(3, found.length));
      expected.push(...commits);
      const now = [set('now', round)];
      if (journal.blocking !== undefined)
        seqs.push(...journal.blocking.append([now], [], 'set').map(({ seq }) => seq));
      else seqs.push(...(await journal.append([now], [], call)).map(({ seq }) => seq));
      await journal.drop(seqs.slice(-1), call);
      const refused = new StrataError('denied', 'not allowed', { operation: 'set' });
      await journal.bury(set(`dead ${round}`, round), refused, call);
      expect(journal.deadLetterCount).toBe(round + 1);
      expect(await journal.deadLetters(call)).toHaveLength(round + 1);
      // Nothing of it is the user's.
      expect(await Array.fromAsync(store.keys())).toEqual([]);
      expect(told).toEqual({ lost: [], damaged: [] });
      await journal.close();
    }
  });

  it('belongs to one', async () => {
    const open = make();
    await using one = open();
    await using two = open();
    const first = journalIn(one).journal;
    await first.open(call);
    const [record] = await first.append([[set('a', 1)]], [], call);
    const second = journalIn(two).journal;
    expect(await codeOf(second.open(call))).toBe('conflict');
    await first.close();
    expect(await second.open(call)).toEqual([record]);
    await second.close();
  });
}

/** A process that opens the journal of a store in lmdb, says what it found, and appends; `silent`: without a sign of life. */
function spawnOwner(path: string, ending: string, { silent = false } = {}) {
  const from = (module: string): string => JSON.stringify(new URL(module, import.meta.url).href);
  const script = `
    import { writeSync } from 'node:fs';
    import { lmdb } from ${from('../../drivers/lmdb/index.ts')};
    import { Call } from ${from('../../store/call.ts')};
    import { json } from ${from('../../store/codec.ts')};
    import { primitivesOf } from ${from('../../store/internals.ts')};
    import { systemEnv } from ${from('../../store/system-env.ts')};
    import { storeJournal } from ${from('./store-journal.ts')};
    const setTimer = (fn, ms, options) =>
      options?.background && ${silent} ? { cancel() {} } : systemEnv.setTimer(fn, ms, options);
    const env = { ...systemEnv, setTimer };
    const say = (line) => writeSync(1, line + '\\n');
    const store = lmdb({ path: ${JSON.stringify(path)}, codec: json() });
    const journal = storeJournal({
      store: primitivesOf(store), env, leaseMs: ${LEASE_MS}, owner: env.process,
      onLost: () => say('lost'), onDamaged: () => say('damaged'),
    });
    const call = new Call(env, 'test', undefined, { timeoutMs: 10_000 });
    let n = 0;
    const append = async () => {
      const write = { type: 'set', key: 'k', value: ++n, version: process.pid + '.' + n, modifiedAt: 1 };
      await journal.append([[write]], [], call);
      say('kept ' + n);
    };
    try {
      const found = await journal.open(call);
      say('open ' + found.length);
      ${ending}
    } catch (error) {
      say(error.code + ' ' + error.message);
    }
    await journal.close();
    await store.close();
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => (await lines.next()).value ?? 'ended';
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  return { child, next, ended };
}

describe('between processes', () => {
  it('a journal is refused to the second, and taken over after the first was killed', async () => {
    const path = newPath();
    const first = spawnOwner(path, 'for (;;) await append();');
    expect(await first.next()).toBe('open 0');
    const second = spawnOwner(path, '');
    expect(await second.next()).toBe(
      `conflict test: the journal belongs to pid ${first.child.pid}`,
    );
    await second.ended;
    first.child.kill('SIGKILL');
    const killedAtMs = env.monotonicMs();
    let kept = 0;
    for (let line = await first.next(); line !== 'ended'; line = await first.next())
      kept = Number(line.split(' ')[1]);
    await first.ended;

    await using store = lmdb({ path, codec: json() });
    const { journal, told } = journalIn(store);
    const found = await journal.open(call);
    const tookMs = env.monotonicMs() - killedAtMs;
    expect(tookMs).toBeLessThan(LEASE_MS + 1_500);
    expect(kept).toBeGreaterThan(0);
    // The last may have been kept without a word of it.
    expect([kept, kept + 1]).toContain(found.length);
    expect(found.map(({ seq }) => seq)).toEqual(found.map((_, i) => i + 1));
    expect(told).toEqual({ lost: [], damaged: [] });
    await journal.close();
  });

  it('one that was stopped writes no more when it goes on', async () => {
    const path = newPath();
    // It stops when nothing of it is under way: it would keep the lock of the store.
    const stop = `process.kill(process.pid, 'SIGSTOP');`;
    const first = spawnOwner(path, `await append(); ${stop} await append();`, { silent: true });
    expect(await first.next()).toBe('open 0');
    expect(await first.next()).toBe('kept 1');
    await using store = lmdb({ path, codec: json() });
    const { journal } = journalIn(store);
    const found = await journal.open(call);
    first.child.kill('SIGCONT');
    expect(await first.next()).toBe('lost');
    expect(await first.next()).toMatch(/^conflict .*another has taken it over/);
    await first.ended;
    expect(found).toHaveLength(1);
    await journal.close();
    expect(await journalIn(store).journal.open(call)).toEqual(found);
  });
});
