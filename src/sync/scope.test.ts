import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { readonly } from '../layers/readonly.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { publish, type Rights, type SubscribeOptions, subscribe } from './index.ts';
import { scopeOf } from './scope.ts';

const all = { 'a/1': '1', 'a/2': '2', 'b/1': '3' };

async function filled(world: SimulatedEnv): Promise<ReturnType<typeof memory<Uint8Array>>> {
  const store = memory<Uint8Array>({ env: world });
  await store.setMany(Object.entries(all).map(([key, text]) => [key, bytes(text)]));
  return store;
}

describe('what a subscriber sees', () => {
  const ways: Record<
    string,
    { rights?: Rights; filter?: (key: string) => boolean; prefix?: string }
  > = {
    'its prefix': { prefix: 'a/' },
    'its rights by prefix': { rights: { read: ['a/', 'c/'] } },
    'its rights by function': { rights: { read: (key) => key.startsWith('a/') } },
    'what is published': { filter: (key) => key.startsWith('a/') },
    'all of these at once': {
      prefix: 'a',
      rights: { read: ['a/', 'x/'] },
      filter: (key) => key !== 'a/3',
    },
  };
  for (const [what, { rights, filter, prefix }] of Object.entries(ways)) {
    it(`is ${what}, in the snapshot and in every change`, async () => {
      const world = simulatedEnv(1);
      const store = await filled(world);
      const publication = publish(store, {
        ...(rights && { authorize: () => rights }),
        ...(filter && { filter }),
      });
      const local = memory<Uint8Array>({ env: world });
      const options: SubscribeOptions<Uint8Array> = { token: 't', ...(prefix && { prefix }) };
      const subscription = subscribe(new Line(publication), local, options);
      await world.advance(1);
      await subscription.ready;
      expect(await contents(local)).toEqual({ 'a/1': '1', 'a/2': '2' });
      await store.set('b/2', bytes('hidden'));
      await store.delete('b/1');
      await store.set('a/1', bytes('new'));
      await world.advance(5);
      expect(await contents(local)).toEqual({ 'a/1': 'new', 'a/2': '2' });
      // Hidden commits move the cursor all the same.
      await store.set('b/3', bytes('hidden'));
      await world.advance(5);
      expect(subscription.status()).toMatchObject({ lag: 0, state: 'live' });
      await subscription.close();
    });
  }

  it('changes with its rights: a copy gains what they add and loses what they take', async () => {
    const world = simulatedEnv(1);
    const store = await filled(world);
    let rights: Rights = { read: ['a/'] };
    const publication = publish(store, { authorize: () => rights });
    const local = memory<Uint8Array>({ env: world });
    const sync = async (): Promise<Record<string, unknown>> => {
      const subscription = subscribe(new Line(publication), local, { token: 't' });
      await world.advance(5);
      await subscription.ready;
      const { snapshots, resumes } = subscription.status();
      await subscription.close();
      return { snapshots, resumes, held: await contents(local) };
    };
    const only = { snapshots: 1, resumes: 0 };
    expect(await sync()).toEqual({ ...only, held: { 'a/1': '1', 'a/2': '2' } });
    rights = { read: true };
    expect(await sync()).toEqual({ ...only, held: all });
    rights = { read: ['b/'] };
    expect(await sync()).toEqual({ ...only, held: { 'b/1': '3' } });
    rights = { read: ['b/'] };
    expect(await sync()).toEqual({ snapshots: 0, resumes: 1, held: { 'b/1': '3' } });
    rights = { read: (key) => key === 'a/1', scope: 'first' };
    expect(await sync()).toEqual({ ...only, held: { 'a/1': '1' } });
    rights = { read: (key) => key === 'a/2', scope: 'second' };
    expect(await sync()).toEqual({ ...only, held: { 'a/2': '2' } });
    // Nobody can tell what a function without a name accepts: only the same one is the same.
    const one = (key: string): boolean => key === 'a/1';
    rights = { read: one };
    expect(await sync()).toEqual({ ...only, held: { 'a/1': '1' } });
    rights = { read: one };
    expect(await sync()).toEqual({ snapshots: 0, resumes: 1, held: { 'a/1': '1' } });
    rights = { read: (key) => key === 'b/1' };
    expect(await sync()).toEqual({ ...only, held: { 'b/1': '3' } });
  });

  it('never holds keys that belong to StrataKV', () => {
    for (const filter of [undefined, () => true]) {
      const scope = scopeOf('', { read: true }, { filter });
      expect(scope.accepts('\u0000sync/')).toBe(false);
      expect(scope.accepts('\u0001')).toBe(true);
    }
  });

  it('is shared by those with equal scopes, and by no others', () => {
    const one = (key: string): boolean => key === 'a';
    const other = (key: string): boolean => key === 'b';
    const ids = [
      scopeOf('', { read: true }, {}),
      scopeOf('a', { read: true }, {}),
      scopeOf('', { read: ['a'] }, {}),
      scopeOf('', { read: one }, {}),
      scopeOf('', { read: other }, {}),
      scopeOf('', { read: true }, { filter: one }),
    ].map(({ shareId }) => shareId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(scopeOf('', { read: ['a', 'b'] }, {})).toMatchObject({
      id: scopeOf('', { read: ['b', 'a'] }, {}).id,
      shareId: scopeOf('', { read: ['b', 'a'] }, {}).shareId,
    });
  });

  it('is nothing at all when a filter throws: an error, never a part', async () => {
    const world = simulatedEnv(1);
    const store = await filled(world);
    const heard: string[] = [];
    const publication = publish(store, {
      filter: (key) => {
        if (key === 'b/1') throw new Error('broken filter');
        return true;
      },
      onError: (error) => heard.push(String(error.cause ?? error.message)),
    });
    const local = memory<Uint8Array>({ env: world });
    const subscription = subscribe(new Line(publication), local);
    await world.advance(200);
    expect(await contents(local)).toEqual({});
    expect(subscription.status().lastError).toMatchObject({ code: 'unavailable' });
    expect(heard[0]).toContain('broken filter');
    await subscription.close();
  });

  it('may come from a read-only store', async () => {
    const world = simulatedEnv(1);
    const store = await filled(world);
    const publication = publish(readonly(store), {
      authorize: () => ({ read: true, write: true }),
    });
    const local = memory<Uint8Array>({ env: world });
    const subscription = subscribe(new Line(publication), local, { token: 't' });
    await world.advance(5);
    expect(await contents(local)).toEqual(all);
    const written = subscription.remote.set('a/1', bytes('x'));
    written.catch(() => undefined);
    await world.advance(5);
    await expect(written).rejects.toMatchObject({ code: 'denied' });
    await subscription.close();
  });
});

describe('a source that fails', () => {
  it('is reported on both sides; subscribers come back when it works again', async () => {
    const world = simulatedEnv(1);
    const plan = new FaultPlan();
    const inner = await filled(world);
    const heard: string[] = [];
    const publication = publish(faulty(inner, plan), {
      onError: (error) => heard.push(error.code),
    });
    const line = new Line(publication);
    const local = memory<Uint8Array>({ env: world });
    const errors: unknown[] = [];
    const subscription = subscribe(line, local, {
      onError: (error) => errors.push((error as { code?: string }).code),
    });
    await world.advance(5);
    plan.failNext('feed', 'corrupt', { times: 6 });
    await inner.set('c', bytes('new'));
    await world.advance(30_000);
    expect(heard[0]).toBe('corrupt');
    expect(new Set(errors)).toEqual(new Set(['unavailable']));
    expect(await contents(local)).toEqual({ ...all, c: 'new' });
    expect(subscription.status()).toMatchObject({ state: 'live', lag: 0 });
    await subscription.close();
  });

  it('ends connections when it is closed, without ado', async () => {
    const world = simulatedEnv(1);
    const store = await filled(world);
    const publication = publish(store);
    const subscriptions = [0, 1, 2].map(() =>
      subscribe(new Line(publication), memory<Uint8Array>({ env: world })),
    );
    await world.advance(5);
    await store.close();
    await world.advance(1_000);
    for (const subscription of subscriptions) {
      expect(subscription.status()).toMatchObject({ connected: false });
      expect(subscription.status().lastError).toMatchObject({ code: 'unavailable' });
    }
    expect(publication.stats().subscribers).toEqual([]);
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
    expect(world.pendingTimers).toBe(0);
  });
});
