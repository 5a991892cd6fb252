/** Two tabs over one local store, both in the midst of a group that is too large to be held. */
import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { pagedCommits } from '../../test/support/paged-commits.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { defineStore } from '../store/define-store.ts';
import { StrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Primitives } from '../store/primitives.ts';
import { simulatedEnv } from '../testing/index.ts';
import { publish, subscribe } from './index.ts';

const KEYS = 60;

type Paged = NonNullable<Primitives<Uint8Array>['commitPages']>;

/** As a database that checks conditions page by page: the cursor's is lost before any part is looked for. */
function checkedAtOnce(inner: Primitives<Uint8Array>, paged: Paged): Paged {
  return (pages, call) =>
    paged(async function* (view) {
      for await (const page of pages(view)) {
        for (const { key, if: wanted } of page) {
          if (wanted === undefined) continue;
          const version = (await inner.readOne(key, call))?.version;
          const isMet = wanted === 'absent' ? version === undefined : version === wanted.version;
          if (!isMet) throw new StrataError('conflict', 'commit: lost', { operation: '', key });
        }
        yield page;
      }
    }, call);
}

/** A source, and tabs that share one copy of it; groups of more than 20 keys are staged. */
function setUp(isChecked: 'at once' | 'at the end') {
  const env = simulatedEnv(21);
  const store = memory<Uint8Array>({ env });
  const shared = memory<Uint8Array>({ env });
  const primitives = primitivesOf(shared);
  const publication = publish(store, { limits: { batchKeys: 5 } });
  const tab = () => {
    const { blocking: _, peek: __, readValue: ___, ...rest } = primitives;
    const capabilities = Object.freeze({ ...primitives.capabilities, blocking: false });
    const paged = pagedCommits(primitives);
    const commitPages = isChecked === 'at once' ? checkedAtOnce(primitives, paged) : paged;
    const local = defineStore<Uint8Array>({ ...rest, capabilities, commitPages });
    const line = new Line(publication);
    const heard = new Map<string, string>();
    const open = () =>
      subscribe(line, local, {
        env,
        limits: { stageKeys: 20 },
        reconnect: { baseMs: 10, capMs: 20 },
        onChange: ({ key, value, deleted }) => {
          if (deleted) heard.delete(key);
          else heard.set(key, words(value) ?? '');
        },
      });
    return { line, heard, open };
  };
  const write = (text: string): Promise<unknown> =>
    store.setMany(Array.from({ length: KEYS }, (_, i) => [`key:${i}`, bytes(`${text} ${i}`)]));
  return { env, store, shared, tab, write };
}

const checks = ['at once', 'at the end'] as const;
describe.each(checks)('a tab whose parts another one has removed, checked %s', (isChecked) => {
  it('tells its listeners of the first state nevertheless', async () => {
    const { env, store, shared, tab, write } = setUp(isChecked);
    await shared.set('own', bytes('mine'));
    await write('one');
    const late = tab();
    late.line.hold();
    const slow = late.open();
    await env.advance(50);
    // The greeting, and most of the snapshot.
    late.line.release(late.line.waiting - 2);
    await env.advance(50);
    const quick = tab();
    const first = quick.open();
    await env.advance(50);
    expect(Object.fromEntries(quick.heard)).toEqual(await contents(store));
    late.line.release();
    await env.advance(1_000);
    await slow.ready;
    expect(Object.fromEntries(late.heard)).toEqual(await contents(store));
    expect(await contents(shared)).toEqual({ ...(await contents(store)), own: 'mine' });
    await Promise.all([first.close(), slow.close()]);
  });

  it('tells them of a later step, deletes included', async () => {
    const { env, store, tab, write } = setUp(isChecked);
    await write('one');
    const late = tab();
    const slow = late.open();
    await env.advance(50);
    expect(late.heard.size).toBe(KEYS);
    late.line.hold();
    await store.batch(
      Array.from({ length: KEYS }, (_, i) =>
        i % 2 === 0
          ? { type: 'delete', key: `key:${i}` }
          : { type: 'set', key: `key:${i}`, value: bytes(`two ${i}`) },
      ),
    );
    await env.advance(50);
    late.line.release(late.line.waiting - 1);
    await env.advance(50);
    const quick = tab();
    const first = quick.open();
    await env.advance(50);
    late.line.release();
    await env.advance(1_000);
    expect(Object.fromEntries(late.heard)).toEqual(await contents(store));
    await Promise.all([first.close(), slow.close()]);
  });
});
