/** Tabs on one connection, here as connectors of one process that share one store; real tabs are in `test/shared-tabs.test.ts`. */
import { afterEach, describe, expect, it } from 'vitest';
import { bytes, words } from '../../../test/support/bytes.ts';
import { contents, Line } from '../../../test/support/sync-world.ts';
import { tiered } from '../../compositions/tiered/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import type { Store } from '../../store/store.ts';
import {
  publish,
  type SubscribeOptions,
  type Subscription,
  sharedTabs,
  subscribe,
} from '../index.ts';

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

let count = 0;

class World {
  readonly name = `world ${++count}`;
  readonly store = memory<Uint8Array>();
  readonly publication = publish(this.store, {
    authorize: ({ token }) => token.startsWith('secret') && { read: true, write: true },
  });

  /** What all tabs have in common, as their IndexedDB. */
  readonly database = memory<Uint8Array>();

  tab(more: SubscribeOptions<Uint8Array> = {}, local: Store<Uint8Array> = this.database) {
    const line = new Line(this.publication);
    const transport = sharedTabs({ name: this.name, transport: line, heartbeatMs: 100 });
    const heard: string[] = [];
    const subscription = subscribe(transport, local, {
      token: 'secret',
      reconnect: { baseMs: 5, capMs: 20 },
      onChange: ({ key, value }) => void heard.push(`${key}=${words(value)}`),
      ...more,
    });
    opened.push(() => subscription.close());
    return { line, subscription, heard };
  }

  get subscribers(): number {
    return this.publication.stats().subscribers.length;
  }
}

const live = (...all: { subscription: Subscription<Uint8Array> }[]): Promise<unknown> =>
  Promise.all(all.map(({ subscription }) => subscription.ready));

describe('tabs that share a connection', () => {
  it('have one, and each hears and writes as if it had its own', async () => {
    const world = new World();
    await world.store.set('a', bytes('1'));
    const tabs = [world.tab(), world.tab(), world.tab()];
    await live(...tabs);
    expect(world.subscribers).toBe(1);
    expect(tabs.map(({ line }) => line.connections).sort()).toEqual([0, 0, 1]);
    expect(await contents(world.database)).toEqual({ a: '1' });
    for (const { heard } of tabs) heard.length = 0;
    await Promise.all(
      tabs.map(({ subscription }, n) => subscription.remote.set(`from ${n}`, bytes('x'))),
    );
    await world.store.set('a', bytes('2'));
    for (const { heard } of tabs)
      await expect
        .poll(() => [...heard].sort())
        .toEqual(['a=2', 'from 0=x', 'from 1=x', 'from 2=x']);
    expect(await contents(world.database)).toEqual(await contents(world.store));
    for (const { subscription } of tabs)
      expect(subscription.status()).toMatchObject({ state: 'live', lag: 0, mayWrite: true });
  });

  it('carry large values and many writes of every tab, each with its own outcome', async () => {
    const world = new World();
    const tabs = [world.tab(), world.tab(), world.tab()];
    await live(...tabs);
    const large = new Uint8Array(1_500_000).fill(5);
    await Promise.all(
      tabs.flatMap(({ subscription: { remote } }, tab) => [
        remote.set(`large ${tab}`, large),
        ...Array.from({ length: 400 }, (_, i) => remote.set(`${tab}/${i}`, bytes(`${i}`))),
      ]),
    );
    const increments = tabs.flatMap(({ subscription: { remote } }) =>
      Array.from({ length: 10 }, () =>
        remote.update('count', (value) => bytes(`${Number(words(value) ?? 0) + 1}`)),
      ),
    );
    await Promise.all(increments);
    expect(words(await world.store.get('count'))).toBe('30');
    expect(words(await world.database.get('count'))).toBe('30');
    expect((await world.store.get('large 2'))?.length).toBe(large.length);
    expect((await contents(world.database))['2/399']).toBe('399');
    await expect(
      tabs[2]?.subscription.remote.set('count', bytes('lost'), { if: 'absent' }),
    ).rejects.toMatchObject({ code: 'conflict' });
    expect(world.subscribers).toBe(1);
  });

  it('go on when the one with the connection closes, or loses it', async () => {
    const world = new World();
    const tabs = [world.tab(), world.tab(), world.tab()];
    await live(...tabs);
    for (let round = 1; round <= 6; round++) {
      const holder = tabs.find(({ line }) => line.connections > 0);
      if (round % 3 === 0 && tabs.length > 1) {
        await holder?.subscription.close();
        tabs.splice(tabs.indexOf(holder as (typeof tabs)[0]), 1);
      } else for (const { line } of tabs) line.cut();
      await world.store.set('a', bytes(`${round}`));
      for (const { heard } of tabs)
        await expect.poll(() => heard.at(-1), { timeout: 10_000 }).toBe(`a=${round}`);
      await expect.poll(() => world.subscribers).toBe(1);
    }
    expect(await contents(world.database)).toEqual({ a: '6' });
  });

  it('let one join in the midst of a stream of writes', async () => {
    const world = new World();
    const first = world.tab();
    await live(first);
    let writing = true;
    const writes = (async () => {
      for (let n = 0; writing; n++) await first.subscription.remote.set('n', bytes(`${n}`));
    })();
    for (let n = 0; n < 5; n++) await live(world.tab());
    writing = false;
    await writes;
    expect(world.subscribers).toBe(1);
  });

  it('never read an old value from a memory of their own over the database', async () => {
    const world = new World();
    await world.store.set('n', bytes('0'));
    const tabs = [0, 1, 2].map(() => {
      const local = tiered({ front: memory<Uint8Array>(), back: world.database });
      return { local, ...world.tab({}, local) };
    });
    await live(...tabs);
    for (let n = 1; n <= 30; n++) {
      // All have the value in their memory before it changes.
      for (const { local } of tabs) await local.get('n');
      const writer = tabs[n % 3]?.subscription.remote;
      const { rev = 0 } = (await writer?.set('n', bytes(`${n}`))) ?? {};
      for (const { local, subscription } of tabs) {
        await expect
          .poll(() => subscription.status().rev, { interval: 1 })
          .toBeGreaterThanOrEqual(rev);
        expect(words(await local.get('n'))).toBe(`${n}`);
      }
      if (n % 10 !== 0) continue;
      const before = tabs.map((tab) => tab.subscription.status().connections);
      for (const { line } of tabs) line.cut();
      const isAnew = (): boolean =>
        tabs.every(({ subscription }, i) => {
          const { connected, connections } = subscription.status();
          return connected && connections > (before[i] ?? 0);
        });
      await expect.poll(isAnew, { timeout: 10_000 }).toBe(true);
    }
    expect(world.subscribers).toBe(1);
  });

  it('connect apart with another prefix, another token or a store of their own', async () => {
    const world = new World();
    await world.store.setMany([
      ['a/1', bytes('1')],
      ['b/1', bytes('2')],
    ]);
    await live(world.tab());
    const [prefixed, own] = [memory<Uint8Array>(), memory<Uint8Array>()];
    await live(world.tab({ prefix: 'a/' }, prefixed));
    expect(await contents(prefixed)).toEqual({ 'a/1': '1' });
    expect(world.subscribers).toBe(2);
    await live(world.tab({ token: 'secret of another' }));
    expect(world.subscribers).toBe(3);
    const wrong = world.tab({ token: 'wrong' });
    await expect(wrong.subscription.ready).rejects.toMatchObject({ code: 'denied' });
    await world.store.set('c', bytes('3'));
    await live(world.tab({}, own));
    expect(await contents(own)).toEqual(await contents(world.store));
  });

  it('ask again for a write whose answer a cut has taken: it is applied once', async () => {
    const world = new World();
    const tabs = [world.tab(), world.tab()];
    await live(...tabs);
    const follower = tabs.find(({ line }) => line.connections === 0);
    for (const { line } of tabs) line.hold();
    const written = follower?.subscription.remote.set('a', bytes('1'));
    await expect.poll(() => world.store.has('a')).toBe(true);
    const { rev } = (await world.store.getEntry('a')) ?? {};
    for (const { line } of tabs) {
      line.cut();
      line.release();
    }
    expect(await written).toMatchObject({ key: 'a', rev });
    expect((await world.store.getEntry('a'))?.rev).toBe(rev);
  });

  it('refuse bad options', () => {
    const transport = { connect: () => ({}) };
    for (const options of [
      undefined,
      {},
      { name: '', transport },
      { name: 'a' },
      { name: 'a', transport: {} },
      { name: 'a', transport, heartbeatMs: 0 },
      { name: 'a', transport, heartbeat: 1 },
    ])
      expect(() => sharedTabs(options as never)).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
  });
});
