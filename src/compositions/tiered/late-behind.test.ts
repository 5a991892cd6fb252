/** The code of write-behind is loaded with the first store that needs it: nothing shows that it was not there. */
import { describe, expect, it, vi } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import type { StoreWithBlocking } from '../../store/store.ts';
import type { TieredOptions } from './options.ts';
import type { TieredStoreWithBlocking } from './tiered-store.ts';

type Options = Partial<TieredOptions<unknown>>;

interface World {
  readonly back: StoreWithBlocking<unknown>;
  readonly store: TieredStoreWithBlocking<unknown>;
}

/** A store as the first of a process: nothing is loaded yet. */
async function firstStore(options: Options = {}): Promise<World> {
  vi.resetModules();
  const { tiered } = await import('./index.ts');
  const back = memory();
  const given = { write: 'behind', journal: 'volatile', ...options } as const;
  const store = tiered<unknown>({ front: memory(), back, ...given });
  return { back, store: store as TieredStoreWithBlocking<unknown> };
}

describe('the first store of a process that is written behind', () => {
  it('takes writes at once, as they are at the call', async () => {
    const { back, store } = await firstStore();
    const value = { text: 'first' };
    const writing = store.set('a', value);
    value.text = 'changed';
    await writing;
    expect(await store.get('a')).toEqual({ text: 'first' });
    await store.flush();
    expect(await back.get('a')).toEqual({ text: 'first' });
    await store.close();
  });

  it('keeps the order of calls made before it was loaded', async () => {
    const { store } = await firstStore();
    const calls = [store.set('a', 1), store.set('a', 2), store.get('a'), store.delete('b')];
    expect((await Promise.all(calls))[2]).toBe(2);
    expect(await store.get('a')).toBe(2);
    await store.close();
  });

  it('refuses synchronous calls until it is open, and takes them then', async () => {
    const { store } = await firstStore();
    expect(() => store.blocking.get('a')).toThrow(
      expect.objectContaining({ code: 'unavailable', operation: 'get' }),
    );
    await store.set('a', 1);
    expect(store.blocking.get('a')).toBe(1);
    store.blocking.set('b', 2);
    expect([...store.blocking.keys()]).toEqual(['a', 'b']);
    await store.close();
  });

  it('lists, watches, warms and tells what is pending', async () => {
    const { back, store } = await firstStore();
    await back.set('old', 0);
    expect(store.pending()).toEqual({ keys: 0, bytes: 0, deadLetters: 0 });
    expect(store.status().back.state).toBe('up');
    const commits = store.watch()[Symbol.asyncIterator]();
    const next = commits.next();
    await store.set('new', 1);
    expect((await next).value).toMatchObject({ writes: [{ key: 'new', value: 1 }] });
    const keys: string[] = [];
    for await (const key of store.keys()) keys.push(key);
    expect(keys).toEqual(['new', 'old']);
    expect((await store.warm()).copied).toBe(1);
    expect(await store.deadLetters()).toEqual([]);
    await commits.return?.();
    await store.close();
  });

  it('is closed before it was loaded, with its parts', async () => {
    const { back, store } = await firstStore();
    await store.close();
    await expect(back.get('a')).rejects.toMatchObject({ code: 'closed' });
    await expect(store.get('a')).rejects.toMatchObject({ code: 'closed' });
  });

  it('is closed while it is being loaded, and keeps what was acknowledged', async () => {
    const { back, store } = await firstStore({ closeParts: false });
    const writing = store.set('a', 1).then(
      () => 'acknowledged',
      ({ code }) => code,
    );
    await store.close();
    const outcome = await writing;
    expect(await back.get('a')).toBe(outcome === 'acknowledged' ? 1 : undefined);
    expect(['acknowledged', 'closed']).toContain(outcome);
  });

  it('offers what the second one offers', async () => {
    const { store } = await firstStore();
    await store.get('a');
    const { tiered } = await import('./index.ts');
    const parts = { front: memory(), back: memory() };
    const second = tiered({ ...parts, write: 'behind', journal: 'volatile' });
    expect(second.capabilities).toEqual(store.capabilities);
    await store.close();
    await second.close();
  });
});
