/** What the application does to its own copy: empties it, or fills it twice. */
import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { simulatedEnv } from '../testing/index.ts';
import { publish, type SubscribeOptions, type Subscription, subscribe } from './index.ts';

const HEARTBEAT_MS = 1_000;

async function world() {
  const env = simulatedEnv(11);
  const make = () => memory<Uint8Array>({ env });
  const store = make();
  for (const key of ['a/1', 'a/2', 'ab', 'b/1']) await store.set(key, bytes(key));
  const line = new Line(publish(store, { limits: { heartbeatMs: HEARTBEAT_MS } }));
  const local = make();
  const errors: string[] = [];
  const open = async (
    more: SubscribeOptions<Uint8Array> = {},
  ): Promise<Subscription<Uint8Array>> => {
    const subscription = subscribe(line, local, {
      onError: (error) => void errors.push((error as { code?: string }).code ?? error.message),
      ...more,
    });
    subscription.ready.catch(() => undefined);
    await env.advance(5);
    return subscription;
  };
  return { env, make, store, line, local, errors, open };
}

describe('a copy that is cleared', () => {
  it('comes back with the next change', async () => {
    const { env, store, local, open } = await world();
    const subscription = await open();
    expect(await local.clear()).toBe(4);
    await store.set('c', bytes('c'));
    await env.advance(5_000);
    expect(await contents(local)).toEqual(await contents(store));
    expect(subscription.status()).toMatchObject({ state: 'live', snapshots: 2 });
    await subscription.close();
  });

  it('comes back with the next heartbeat where nothing changes', async () => {
    const { env, store, local, open } = await world();
    const subscription = await open();
    local.blocking.clear();
    await env.advance(5_000);
    expect(await contents(local)).toEqual(await contents(store));
    await subscription.close();
  });

  it('comes back with the next subscription', async () => {
    const { store, local, open } = await world();
    await (await open()).close();
    await local.clear({ prefix: 'a' });
    expect(Object.keys(await contents(local))).toEqual(['b/1']);
    const subscription = await open();
    expect(await contents(local)).toEqual(await contents(store));
    await subscription.close();
  });

  it('stays what it is where others are cleared', async () => {
    const { local, open } = await world();
    const subscription = await open({ prefix: 'b/' });
    await local.set('own/1', bytes('own'));
    expect(await local.clear({ prefix: 'own/' })).toBe(1);
    await subscription.close();
    const again = await open({ prefix: 'b/' });
    expect(again.status()).toMatchObject({ resumes: 1, snapshots: 0 });
    await again.close();
  });

  it('may become the copy of another source', async () => {
    const { env, make, local, errors, open } = await world();
    await (await open()).close();
    const other = make();
    await other.set('z', bytes('z'));
    await local.clear();
    const subscription = subscribe(new Line(publish(other)), local);
    await env.advance(5);
    await subscription.ready;
    expect(await contents(local)).toEqual({ z: 'z' });
    expect(errors).toEqual([]);
    await subscription.close();
  });
});

describe('two subscriptions over one local store', () => {
  for (const [first, second] of [
    ['', 'a/'],
    ['a/', ''],
    ['a', 'ab'],
  ] as const)
    it(`are refused where their prefixes ${JSON.stringify([first, second])} share keys`, async () => {
      const { errors, open } = await world();
      const one = await open({ prefix: first });
      const other = await open({ prefix: second });
      expect(errors).toEqual(['conflict']);
      expect(other.status().state).toBe('closed');
      expect(one.status().state).toBe('live');
      await one.close();
    });

  it('are refused when they begin at once, by one of them at least', async () => {
    const { env, errors, open } = await world();
    const both = await Promise.all([open({ prefix: 'a' }), open({ prefix: 'ab' })]);
    await env.advance(100);
    expect(errors).toContain('conflict');
    expect(both.filter((one) => one.status().state === 'live').length).toBeLessThan(2);
    for (const one of both) await one.close();
  });

  it('live side by side where they share none', async () => {
    const { env, store, local, errors, open } = await world();
    const both = [await open({ prefix: 'a/' }), await open({ prefix: 'b/' })];
    await store.set('a/3', bytes('a/3'));
    await store.delete('b/1');
    await env.advance(100);
    expect(errors).toEqual([]);
    expect(Object.keys(await contents(local))).toEqual(['a/1', 'a/2', 'a/3']);
    for (const one of both) await one.close();
  });
});
