import { describe, expect, it } from 'vitest';
import { Line } from '../../test/support/sync-world.ts';
import {
  codec,
  type Page,
  page,
  pages,
  walked,
  walkedWorld,
  walker,
} from '../../test/support/walked-world.ts';
import { tiered } from '../compositions/tiered/index.ts';
import { memory } from '../drivers/memory/index.ts';
import { simulatedEnv } from '../testing/index.ts';
import { publish, subscribe } from './index.ts';

describe('a walk that cannot be finished', () => {
  it('for want of a block is an error, never a part, and goes on when the block comes', async () => {
    const { world, store, local } = walkedWorld();
    const codes: string[] = [];
    const publication = walked(store, ['head'], {
      onError: ({ code, key }) => codes.push(`${code} ${key}`),
    });
    await store.set('head', page(1, 'a'));
    const line = new Line(publication);
    const subscription = subscribe(line, local, { codec });
    await world.advance(100);
    expect(codes[0]).toBe('data-missing a');
    const { lastError } = subscription.status();
    expect(lastError).toMatchObject({ code: 'data-missing', key: undefined, retryable: true });
    expect(subscription.status().rev).toBe(0);
    expect(await pages(local)).toEqual({});
    await store.set('a', page(2));
    await world.advance(60_000);
    expect(await pages(local)).toEqual({ head: 1, a: 2 });
    codes.length = 0;
    await store.set('head', page(3, 'a', 'b'));
    await world.advance(1_000);
    expect(codes[0]).toBe('data-missing b');
    expect(await pages(local)).toEqual({ head: 1, a: 2 });
    await store.set('head', page(4, 'a'));
    await world.advance(60_000);
    expect(await pages(local)).toEqual({ head: 4, a: 2 });
    expect(subscription.status()).toMatchObject({ state: 'live', lag: 0 });
    await subscription.close();
  });

  it('because a block has come to its end is an error as well', async () => {
    const { world, store, local } = walkedWorld();
    const codes: string[] = [];
    const publication = walked(store, ['head'], {
      onError: ({ code, key }) => codes.push(`${code} ${key}`),
    });
    await store.set('a', page(1), { ttlMs: 1_000 });
    await store.set('head', page(2, 'a'));
    const first = subscribe(new Line(publication), local, { codec });
    await world.advance(100);
    expect(await pages(local)).toEqual({ head: 2, a: 1 });
    await first.close();
    await world.advance(2_000);
    const late = memory<Page>({ env: world });
    const second = subscribe(new Line(publication), late, { codec });
    await world.advance(100);
    expect(codes[0]).toBe('data-missing a');
    expect(await pages(late)).toEqual({});
    await second.close();
  });

  it.each<[string, object, string]>([
    [
      'its walker throws',
      {
        walk: {
          roots: ['head'],
          walker: () => {
            throw new Error('broken');
          },
        },
      },
      'unavailable head',
    ],
    [
      'its walker gives no keys',
      { walk: { roots: ['head'], walker: () => [''] } },
      'unavailable head',
    ],
    [
      'its roots cannot be told',
      {
        walk: {
          roots: () => {
            throw new Error('broken');
          },
          walker,
        },
      },
      'unavailable ',
    ],
    [
      'it reaches too much',
      { walk: { roots: ['head'], walker }, limits: { walkedKeys: 2 } },
      'overloaded undefined',
    ],
  ])("is that subscriber's error, and only that, when %s", async (_, options, code) => {
    const { world, store, local } = walkedWorld();
    await store.setMany([
      ['a', page(1, 'b')],
      ['b', page(2)],
      ['head', page(3, 'a')],
    ]);
    const codes: string[] = [];
    const broken = publish(store, {
      codec,
      ...options,
      onError: ({ code, key }) => codes.push(`${code} ${key}`),
    });
    const subscription = subscribe(new Line(broken), local, { codec });
    await world.advance(2_000);
    expect(codes[0]).toBe(code);
    expect(codes.length).toBeGreaterThan(1);
    expect(await pages(local)).toEqual({});
    expect(subscription.status().lastError).toMatchObject({ code: 'unavailable' });
    await subscription.close();
  });

  it('is none where more has changed than is kept at hand', async () => {
    const { world, store, local } = walkedWorld();
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const all = (n: number): [string, Page][] => [
      ...names.map((name): [string, Page] => [name, page(n)]),
      ['head', page(n, ...names)],
    ];
    await store.setMany(all(1));
    const codes: string[] = [];
    const subscriptions = [1, 200, 400, 600, 800].map((historyBytes) => {
      const publication = walked(store, ['head'], {
        limits: { historyBytes },
        onError: ({ code, key }) => codes.push(`${code} ${key}`),
      });
      return subscribe(new Line(publication), memory<Page>({ env: world }), { codec });
    });
    const last = subscribe(new Line(walked(store)), local, { codec });
    await world.advance(100);
    await store.setMany(all(2));
    await world.advance(100);
    expect(codes).toEqual([]);
    for (const subscription of [...subscriptions, last]) {
      expect(subscription.status()).toMatchObject({ state: 'live', lag: 0 });
      await subscription.close();
    }
  });

  it('is refused beforehand when it makes no sense', () => {
    const store = memory<Page>({ env: simulatedEnv(1) });
    const bad: unknown[] = [
      { roots: 'head', walker },
      { roots: [''], walker },
      { roots: ['head'] },
      { roots: ['head'], walker, depth: 1 },
      { walker },
      { roots: (async function* () {})(), walker },
    ];
    for (const walk of bad)
      expect(() => publish(store, { codec, walk: walk as never })).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
    const both = tiered({ front: memory<Page>(), back: store });
    expect(() => publish(both, { codec, walk: { roots: ['head'], walker } })).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
  });
});
