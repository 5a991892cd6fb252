import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { simulatedEnv } from '../testing/index.ts';
import { hub, publish, subscribe } from './index.ts';

describe('a hub', () => {
  it('serves stores by id, and refuses the unknown', async () => {
    const world = simulatedEnv(6);
    const [notes, users] = [0, 1].map(() => memory<Uint8Array>({ env: world }));
    await notes?.set('a', bytes('note'));
    await users?.set('b', bytes('user'));
    const stores = hub({ env: world });
    stores.register('notes', notes as never);
    stores.register('users', publish(users as never));
    expect(() => stores.register('users', users as never)).toThrow(
      expect.objectContaining({ code: 'conflict' }),
    );
    const open = async (storeId: string) => {
      const local = memory<Uint8Array>({ env: world });
      const subscription = subscribe(new Line(stores), local, storeId === '' ? {} : { storeId });
      await world.advance(5);
      return { local, subscription };
    };
    const [first, second, unknown, nameless] = [
      await open('notes'),
      await open('users'),
      await open('nothing'),
      await open(''),
    ];
    expect(await contents(first.local)).toEqual({ a: 'note' });
    expect(await contents(second.local)).toEqual({ b: 'user' });
    for (const { subscription } of [unknown, nameless])
      await expect(subscription.ready).rejects.toMatchObject({ code: 'invalid-argument' });
    const shape = { type: 'memory' };
    const lag = { revs: 0, ageMs: 0 };
    expect(stores.describe()).toEqual([
      { id: 'notes', shape, headRev: 1, subscribers: 1, lag },
      { id: 'users', shape, headRev: 1, subscribers: 1, lag },
    ]);
    expect(stores.endings()).toEqual({ refused: 2 });
    expect(await stores.unregister('users')).toBe(true);
    expect(await stores.unregister('users')).toBe(false);
    await world.advance(5);
    expect(second.subscription.status().connected).toBe(false);
    expect(first.subscription.status().connected).toBe(true);
    await stores.close();
    await world.advance(5);
    expect(first.subscription.status().state).toBe('connecting');
    await Promise.all([first, second].map(({ subscription }) => subscription.close()));
  });
});
