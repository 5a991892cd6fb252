import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { SimulatedDisk } from '../../../test/support/simulated-disk.ts';
import { file, toPrimitives } from '../../drivers/file/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { delegate } from '../../kernel/delegate.ts';
import { defineStore, describeStore, primitivesOf, type Store } from '../../store/index.ts';
import { conformance, FaultPlan, faulty, modelTest, simulatedEnv } from '../../testing/index.ts';
import { watchable } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'stratakv-watchable-'));
afterAll(() => rmSync(folder, { recursive: true }));
let stores = 0;
const env = simulatedEnv();

/** A store of files on a disk of memory; only its lock lies on the real one. */
function unflushedFile(): Store<Uint8Array> {
  const path = join(folder, `${++stores}`);
  mkdirSync(path);
  return defineStore(toPrimitives({ path }, new SimulatedDisk()));
}

/** A store without a feed and without revisions, as many remote ones are. */
function plain(from: Store<Uint8Array> = memory<Uint8Array>({ env })): Store<Uint8Array> {
  const { feed: _, blocking: __, ...rest } = delegate(primitivesOf(from));
  const capabilities = Object.freeze({ ...rest.capabilities, feed: false, blocking: false });
  return defineStore({ ...rest, capabilities });
}

conformance({
  name: 'watchable',
  test: { describe, it },
  factory: {
    env,
    required: { feed: true, atomic: 'batch', conditional: 'all', ttl: true },
    create: () => watchable(plain()),
  },
});

conformance({
  name: 'watchable, over file',
  test: { describe, it },
  factory: {
    required: { feed: true, conditional: 'all' },
    create: () => watchable(unflushedFile()),
  },
});

modelTest({
  fc,
  name: 'watchable, model',
  test: { describe, it },
  runs: 40,
  factory: { env, create: () => watchable(plain(), { logBytes: 300 }) },
});

modelTest({
  fc,
  name: 'watchable, model, forgetful',
  test: { describe, it },
  runs: 40,
  forgetful: true,
  factory: { env, create: () => watchable(plain(), { logBytes: 0, tombstones: 2 }) },
});

const bytes = (n: number): Uint8Array => Uint8Array.of(n);

describe('watchable', () => {
  it('begins with what is there, in a new epoch and with the same id', async () => {
    const path = join(folder, `${++stores}`);
    const first = watchable(file({ path, durability: 'os' }));
    await first.set('a', bytes(1));
    await first.set('b', bytes(2));
    const cursor = await first.cursor();
    await first.close();
    await using store = watchable(file({ path, durability: 'os' }));
    const watch = store.watch({ after: cursor })[Symbol.asyncIterator]();
    await expect(watch.next()).rejects.toMatchObject({ code: 'cursor-expired' });
    const [commit] = await take(store, 1);
    expect(commit?.writes.map(({ key }) => key)).toEqual(['a', 'b']);
    await store.delete('a');
    expect((await take(store, 1))[0]?.writes.map(({ key }) => key)).toEqual(['b']);
  });

  it('is taken over by a second opening, and then refuses to go on', async () => {
    const inner = plain();
    const first = watchable(inner, { closeInner: false });
    await first.set('a', bytes(1));
    const second = watchable(inner, { closeInner: false });
    await second.set('a', bytes(2));
    await env.advance(1_000);
    await expect(first.set('a', bytes(3))).rejects.toMatchObject({ code: 'conflict' });
    await expect(first.cursor()).rejects.toMatchObject({ code: 'conflict' });
    await second.set('a', bytes(4));
    expect(await inner.get('a')).toEqual(bytes(4));
  });

  it('tells what stands after a write whose outcome is unknown', async () => {
    const plan = new FaultPlan();
    const store = watchable(plain(faulty(memory<Uint8Array>({ env }), plan)));
    await store.set('a', bytes(1));
    const watch = store.watch()[Symbol.asyncIterator]();
    const next = watch.next();
    await store.cursor();
    plan.failNext('commit', 'unknown-outcome', { applied: true });
    await expect(store.set('a', bytes(2))).rejects.toMatchObject({ code: 'unknown-outcome' });
    expect((await next).value?.writes).toMatchObject([{ key: 'a', value: bytes(2) }]);
    // Where that cannot be told either, nobody goes on as if nothing had been.
    const later = watch.next();
    const failing = expect(later).rejects.toMatchObject({ code: 'cursor-expired' });
    plan.failNext('commit', 'unknown-outcome').failNext('read');
    await expect(store.set('a', bytes(3))).rejects.toMatchObject({ code: 'unknown-outcome' });
    await failing;
    expect((await take(store, 1))[0]?.writes).toMatchObject([{ key: 'a', value: bytes(2) }]);
    await store.close();
  });

  it('refuses a store with a feed, and one that evicts', () => {
    expect(() => watchable(memory())).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
    expect(describeStore(watchable(plain()))).toMatchObject({ type: 'watchable' });
    expect(() => watchable(plain(), { log: 5 } as object)).toThrow(/log/);
  });
});

async function take(
  store: Store<Uint8Array>,
  count: number,
): Promise<readonly { readonly writes: readonly { readonly key: string }[] }[]> {
  const commits = [];
  for await (const commit of store.watch({ after: 'start' })) {
    commits.push(commit);
    if (commits.length === count) break;
  }
  return commits;
}
