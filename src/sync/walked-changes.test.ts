/** What changes while a group of a walk is on its way. */
import { describe, expect, it } from 'vitest';
import { Line } from '../../test/support/sync-world.ts';
import { codec, page, pages, walked, walkedWorld } from '../../test/support/walked-world.ts';
import { FaultPlan, faulty } from '../testing/index.ts';
import { subscribe } from './index.ts';

describe('what was a root at the beginning of a group', () => {
  it.each([0, 5, 15, 25, 35, 45, 55, 65])(
    'and is none at its end is as it is then, when that changes after %i ms',
    async (afterMs) => {
      const { world, store, local } = walkedWorld();
      let roots = ['old'];
      const plan = new FaultPlan().delay('read', 10);
      const publication = walked(faulty(store, plan), () => roots, {
        limits: { historyBytes: 0 },
      });
      await store.set('a', page(1));
      await store.set('old', page(1, 'a'));
      const subscription = subscribe(new Line(publication), local, { codec });
      await world.advance(afterMs);
      roots = ['new'];
      await store.batch([
        { type: 'set', key: 'a', value: page(2) },
        { type: 'set', key: 'old', value: page(2, 'a') },
        { type: 'set', key: 'new', value: page(2, 'old') },
      ]);
      await world.advance(1_000);
      expect(await pages(local)).toEqual({ a: 2, new: 2, old: 2 });
      await subscription.close();
    },
  );
});

describe('what is refused by the end of a group', () => {
  it.each([0, 5, 15, 25, 35, 45, 55, 65])(
    'is not left from its beginning, when that changes after %i ms',
    async (afterMs) => {
      const { world, store, local } = walkedWorld();
      const plan = new FaultPlan().delay('read', 10);
      const publication = walked(faulty(store, plan), ['head'], {
        where: ({ value }) => value.n < 100,
        limits: { historyBytes: 0 },
      });
      // More than are read at once.
      const links = Array.from({ length: 150 }, (_, i) => `n${i}`);
      await store.setMany(links.map((key) => [key, page(1)] as const));
      await store.set('head', page(1, ...links));
      const subscription = subscribe(new Line(publication), local, { codec });
      await world.advance(afterMs);
      await store.batch([
        { type: 'set', key: 'n0', value: page(100) },
        { type: 'set', key: 'n149', value: page(2) },
      ]);
      await world.advance(1_000);
      const found = await pages(local);
      expect([found.n0, found.n149, Object.keys(found).length]).toEqual([undefined, 2, 150]);
      await subscription.close();
    },
  );
});
