import { expect, it } from 'vitest';
import { Call } from '../../store/call.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Write } from '../../store/primitives.ts';
import { systemEnv } from '../../store/system-env.ts';
import { memory } from './index.ts';

const call = Call.background(systemEnv, 'test');

async function changesOf(store: ReturnType<typeof memory<number>>, rev: number) {
  const { feed } = primitivesOf(store);
  const { head } = (await feed?.state(call)) ?? {};
  if (feed === undefined || head === undefined) throw new Error('memory has a feed');
  const after = rev === 0 ? { ...head, rev: 0, id: '' } : head;
  for await (const { changes } of feed.read(after, call)) return changes;
  return [];
}

it('tells the same entry everywhere, whoever asks for it first', async () => {
  const store = memory<number>();
  const keys = ['a', 'b', 'c'];
  const { outcomes } = await primitivesOf(store).commit(
    keys.map((key, at) => ({ type: 'set', key, value: at, meta: { at } })),
    call,
  );
  const logged = await changesOf(store, 0);
  for (const [at, key] of keys.entries()) {
    const entry = await store.getEntry(key);
    const { value, ...head } = entry as NonNullable<typeof entry>;
    expect(outcomes[at]?.entry).toEqual(head);
    expect(logged[at]).toEqual({ ...head, type: 'set', value });
    expect(value).toBe(at);
  }
  expect(new Set(outcomes.map(({ entry }) => entry?.version)).size).toBe(3);
  const { version } = await store.set('d', 1);
  expect(outcomes.some(({ entry }) => entry?.version === version)).toBe(false);
});

it('keeps nothing of a list of writes that is used again', async () => {
  const store = memory<number>();
  const writes: Write<number>[] = [
    { type: 'set', key: 'a', value: 1 },
    { type: 'set', key: 'b', value: 2 },
  ];
  const { outcomes } = await primitivesOf(store).commit(writes, call);
  writes[0] = { type: 'set', key: 'z', value: 9 };
  writes.length = 1;
  expect(await changesOf(store, 0)).toMatchObject([
    { key: 'a', value: 1 },
    { key: 'b', value: 2 },
  ]);
  expect(outcomes.map(({ entry }) => entry?.key)).toEqual(['a', 'b']);
});
