/** Writes to the front only, over a back that never changes. */
import { describe, expect, it } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { json } from '../../store/codec.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { settled } from '../../testing/settled.ts';
import { type TieredOptions, tiered } from './index.ts';

type Options = Partial<Omit<TieredOptions<unknown>, 'front' | 'back'>>;

async function world(options: Options = {}) {
  const env = simulatedEnv();
  const [inFront, inBack] = [memory({ env }), memory({ env })];
  await inBack.setMany([
    ['k', 'back'],
    ['other', 'back'],
  ]);
  const [frontPlan, backPlan] = [new FaultPlan(), new FaultPlan()];
  const front = faulty(inFront, frontPlan);
  const back = faulty(inBack, backPlan);
  const store = tiered({ front, back, write: 'front-only', ...options });
  return { env, inFront, inBack, frontPlan, backPlan, store };
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: { code: string }) => error.code,
  );

async function keysOf(keys: AsyncIterable<string>): Promise<string[]> {
  return Array.fromAsync(keys);
}

describe('an overlay', () => {
  it('shows the back until it has something of its own, and never changes it', async () => {
    const { store, inBack } = await world();
    const before = await inBack.cursor();
    expect(await store.get('k')).toBe('back');
    await store.set('k', 'own');
    await store.update('other', (value) => `${value} and own`);
    await store.setMany([['new', 1]]);
    expect(await store.delete('other')).toBe(true);
    await store.clear();
    expect(await inBack.cursor()).toBe(before);
    expect([await store.get('k'), await store.get('other'), await store.get('new')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('hides what it has deleted, in every way of reading', async () => {
    const { store, inBack } = await world();
    expect(await store.delete('k')).toBe(true);
    expect(await store.delete('k')).toBe(false);
    await inBack.set('k', 'newer in the back');
    expect(await store.get('k')).toBeUndefined();
    expect(await store.has('k')).toBe(false);
    expect((await store.getMany(['k', 'other'])).has('k')).toBe(false);
    expect(store.blocking.get('k')).toBeUndefined();
    expect(store.blocking.delete('k')).toBe(false);
    expect(await keysOf(store.keys())).not.toContain('k');
    await store.set('k', 'again', { if: 'absent' });
    expect(await store.get('k')).toBe('again');
    expect(await store.delete('k')).toBe(true);
    expect(await store.get('k')).toBeUndefined();
  });

  it('hides the back also after an own entry has ended', async () => {
    const { env, store } = await world();
    await store.set('k', 'own', { ttlMs: 100 });
    await env.advance(100);
    expect(await store.get('k')).toBeUndefined();
    expect(store.blocking.get('k')).toBeUndefined();
    expect(await store.get('other')).toBe('back');
  });

  it('leaves no mark, and makes no commit, for what a batch alone has made and deleted', async () => {
    const { store, inBack } = await world();
    const cursor = await store.cursor();
    await store.batch([
      { type: 'set', key: 'new', value: 1 },
      { type: 'delete', key: 'new' },
    ]);
    expect(await store.cursor()).toBe(cursor);
    await inBack.set('new', 'of others');
    expect(await store.get('new')).toBe('of others');
  });

  it('hides the back after a batch that sets and deletes what is there', async () => {
    for (const options of [{}, { ttlMs: 100 }]) {
      const { env, store } = await world();
      await store.batch([
        { type: 'set', key: 'k', value: 1, ...options },
        { type: 'delete', key: 'k' },
        { type: 'set', key: 'other', value: 1 },
        { type: 'set', key: 'other', value: 2, ttlMs: 100 },
      ]);
      expect(await store.get('k')).toBeUndefined();
      await env.advance(100);
      expect([await store.get('k'), await store.get('other')]).toEqual([undefined, undefined]);
      await store.batch([
        { type: 'set', key: 'k', value: 1, ttlMs: 100 },
        { type: 'set', key: 'k', value: 2 },
      ]);
      await env.advance(100);
      expect(await store.get('k')).toBe(2);
    }
  });

  it('checks conditions on what the caller sees', async () => {
    const { store } = await world();
    expect(await codeOf(store.set('k', 1, { if: 'absent' }))).toBe('conflict');
    const seen = await store.getEntry('k');
    const head = await store.set('k', 1, { if: { version: seen?.version as string } });
    expect(await codeOf(store.delete('k', { if: { version: 'other' } }))).toBe('conflict');
    expect(await store.delete('k', { if: { version: head.version } })).toBe(true);
    expect(await codeOf(store.set('k', 1, { if: { version: head.version } }))).toBe('conflict');
  });

  it('takes the version that the back gave for a copy', async () => {
    const { store, inBack } = await world();
    const inTheBack = await inBack.getEntry('k');
    await store.get('k');
    expect((await store.getEntry('k'))?.version).not.toBe(inTheBack?.version);
    await store.set('k', 1, { if: { version: inTheBack?.version as string } });
    expect(await store.get('k')).toBe(1);
  });

  it('keeps an immutable entry of the back', async () => {
    const { store, inBack } = await world();
    await inBack.set('fixed', { a: 1 }, { immutable: true });
    expect(await codeOf(store.set('fixed', { a: 2 }))).toBe('conflict');
    const head = await store.set('fixed', { a: 1 }, { immutable: true });
    expect(head.version).toBe((await inBack.getEntry('fixed'))?.version);
  });

  it('lists and watches the front', async () => {
    const { store } = await world();
    await store.set('own', 1);
    expect(await keysOf(store.keys())).toEqual(['own']);
    await store.get('k');
    expect(await keysOf(store.keys())).toEqual(['k', 'own']);
    const commits = store.watch()[Symbol.asyncIterator]();
    const next = commits.next();
    await store.delete('k');
    expect((await next).value.writes).toMatchObject([{ type: 'delete', key: 'k' }]);
    await commits.return?.();
  });

  it('works over stores of one kind of value', async () => {
    const { inBack } = await world();
    const front = memory<unknown>({ codec: json() });
    const store = tiered({ front, back: inBack, write: 'front-only' });
    expect(await store.delete('k')).toBe(true);
    expect(await store.get('k')).toBeUndefined();
  });

  it('asks the back for nothing when it reads from the front only', async () => {
    const { store, backPlan } = await world({ read: 'front-only' });
    expect(await store.get('k')).toBeUndefined();
    await store.set('k', 1, { if: 'absent' });
    expect(await store.update('k', (n) => (n as number) + 1)).toMatchObject({ value: 2 });
    expect((await store.getMany(['k', 'other'])).size).toBe(1);
    expect(await store.delete('k')).toBe(true);
    expect(backPlan.calls('read')).toBe(0);
  });
});

describe('a copy in an overlay', () => {
  const writes: Record<string, (store: Awaited<ReturnType<typeof world>>['store']) => unknown> = {
    'an own write': (store) => store.set('k', 'own'),
    'a delete': (store) => store.delete('k'),
    'a write and a delete': async (store) => [await store.set('k', 1), await store.delete('k')],
    'a blocking write': (store) => store.blocking.set('k', 'own'),
    'a blocking delete': (store) => store.blocking.delete('k'),
    'an own write that ends': (store) => store.set('k', 'own', { ttlMs: 1 }),
  };
  for (const [name, write] of Object.entries(writes)) {
    for (const many of [false, true]) {
      it(`never replaces ${name} made while it was read${many ? ' with others' : ''}`, async () => {
        const { env, store, backPlan } = await world();
        backPlan.hangNext('read', { applied: true });
        const late = many ? store.getMany(['k', 'other']) : store.get('k');
        await settled();
        await write(store);
        await env.advance(1);
        const now = store.blocking.getEntry('k');
        backPlan.release();
        await late;
        await settled();
        expect(store.blocking.getEntry('k')).toEqual(now);
        expect(await store.getEntry('k')).toEqual(now);
        expect(await store.get('other')).toBe('back');
      });
    }
  }

  it('is read once for all who ask', async () => {
    const { env, store, backPlan } = await world();
    backPlan.delay('read', 10);
    const gets = Array.from({ length: 1_000 }, () => store.get('k'));
    const many = store.getMany(['k']);
    await env.advance(10);
    expect(new Set(await Promise.all(gets))).toEqual(new Set(['back']));
    expect((await many).get('k')).toBe('back');
    expect(backPlan.calls('read')).toBe(1);
  });

  it('never outlives its source', async () => {
    const { env, store, inBack } = await world();
    await inBack.set('brief', 1, { ttlMs: 50 });
    expect(await store.get('brief')).toBe(1);
    await env.advance(50);
    expect(await store.get('brief')).toBeUndefined();
  });
});

describe('failures under an overlay', () => {
  it('of the front are told: what the back has might be hidden or replaced', async () => {
    const { store, frontPlan } = await world();
    await store.delete('k');
    frontPlan.failNext('read', 'unavailable');
    expect(await codeOf(store.get('k'))).toBe('unavailable');
    frontPlan.failNext('commit', 'no-space');
    expect(await codeOf(store.set('k', 1))).toBe('no-space');
    expect(await store.get('k')).toBeUndefined();
  });

  it('of the back leave own entries in use', async () => {
    const { env, store, backPlan } = await world({ backTimeoutMs: 100 });
    await store.set('k', 'own');
    backPlan.hangNext('read', { times: Number.POSITIVE_INFINITY });
    expect(await store.get('k')).toBe('own');
    await store.set('k', 'newer');
    const failing = [store.get('cold'), store.set('cold', 1), store.delete('cold')].map(codeOf);
    await env.advance(100);
    expect(await Promise.all(failing)).toEqual(['unavailable', 'unavailable', 'unavailable']);
    expect(await store.get('k')).toBe('newer');
  });

  it('a front that does not take a copy costs nothing but the copy', async () => {
    const told: unknown[] = [];
    const { store, frontPlan } = await world({ onFrontError: (error) => told.push(error) });
    frontPlan.failNext('commit', 'no-space');
    expect(await store.get('k')).toBe('back');
    expect(told).toMatchObject([{ code: 'no-space' }]);
  });
});
