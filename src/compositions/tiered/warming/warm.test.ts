/** Copies between two stores that no tiered store holds. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lateStore } from '../../../../test/support/late-store.ts';
import { codeOf } from '../../../../test/support/tiered-world.ts';
import { counts, fill, keysOf, NOTHING, warmWorld } from '../../../../test/support/warm-world.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { Call } from '../../../store/call.ts';
import { defineStore } from '../../../store/define-store.ts';
import { primitivesOf } from '../../../store/internals.ts';
import type { Primitives } from '../../../store/primitives.ts';
import type { Store } from '../../../store/store.ts';
import { simulatedEnv } from '../../../testing/index.ts';
import { settled } from '../../../testing/settled.ts';
import { tiered } from '../index.ts';
import { copyKeys, warm } from './index.ts';
import type { WarmOptions, WarmProgress } from './options.ts';

describe('A8: what warming is known to get wrong', () => {
  it('A8: metadata, times, expiry, immutability and versions come along', async () => {
    const { env, inFront, inBack } = warmWorld();
    await inBack.set('plain', 1);
    await env.advance(5_000);
    await inBack.set('described', 2, { meta: { type: 'note' }, ttlMs: 60_000 });
    await inBack.set('fixed', 3, { immutable: true });
    await env.advance(5_000);
    expect(counts(await warm(inFront, inBack))).toEqual({ ...NOTHING, copied: 3 });
    const store = tiered({ front: inFront, back: inBack });
    for (const key of ['plain', 'described', 'fixed']) {
      const entry = await inBack.getEntry(key);
      const copy = await inFront.getEntry(key);
      expect(copy).toMatchObject({ value: entry?.value, modifiedAt: entry?.modifiedAt });
      expect(copy?.meta).toEqual(entry?.meta);
      expect(copy?.expiresAt).toBe(entry?.expiresAt);
      expect(copy?.immutable).toBe(entry?.immutable);
      expect(await store.getEntry(key)).toEqual(entry);
    }
    await env.advance(60_000);
    expect(await inFront.get('described')).toBeUndefined();
  });

  it('A8: keys that do not exist are counted as missing, never as copied', async () => {
    const { inFront, inBack } = warmWorld();
    await fill(inBack, 2);
    const progress = await copyKeys(inBack, inFront, ['k000000', 'none', 'k000001', 'neither']);
    expect(progress).toEqual({ ...NOTHING, copied: 2, missing: 2 });
    expect(await keysOf(inFront)).toEqual(['k000000', 'k000001']);
    const chosen = await warm(inFront, inBack, { strategy: () => ['k000000', 'none'] });
    expect(counts(chosen)).toEqual({ ...NOTHING, skipped: 1, missing: 1 });
  });

  it('A8: mirror removes what the back does not have, and refreshes what differs', async () => {
    const { inFront, inBack } = warmWorld();
    await fill(inBack, 4);
    await warm(inFront, inBack);
    await inBack.delete('k000000');
    const { version } = await inBack.set('k000001', 'new');
    await inFront.set('own', 1);
    const progress = await warm(inFront, inBack, { strategy: 'mirror' });
    expect(counts(progress)).toEqual({ copied: 1, skipped: 2, removed: 2, missing: 0 });
    expect(await keysOf(inFront)).toEqual(await keysOf(inBack));
    expect(await inFront.getEntry('k000001')).toMatchObject({ value: 'new', origin: { version } });
  });

  it('A8: fill-missing adds, and replaces and removes nothing', async () => {
    const { inFront, inBack } = warmWorld();
    await fill(inBack, 3);
    await warm(inFront, inBack);
    await inBack.set('k000001', 'new');
    await inBack.delete('k000002');
    await inBack.set('more', 1);
    const before = await inFront.getEntry('k000001');
    expect(counts(await warm(inFront, inBack))).toEqual({ ...NOTHING, copied: 1, skipped: 2 });
    expect(await inFront.getEntry('k000001')).toEqual(before);
    expect(await keysOf(inFront)).toEqual(['k000000', 'k000001', 'k000002', 'more']);
  });
});

describe('a copy', () => {
  it('is what a read of the tiered store would have left', async () => {
    const env = simulatedEnv();
    const inBack = memory<unknown>({ env });
    await inBack.set('a', { n: 1 }, { meta: { x: 1 }, ttlMs: 1_000 });
    await inBack.set('b', new Date(5), { immutable: true });
    // An entry that is a copy in the back itself, and one whose metadata looks like that of a copy.
    const origin = { store: 's', epoch: 'e', rev: 3, version: 'v' };
    const call = Call.background(env, 'test');
    await primitivesOf(inBack).commit(
      [
        { type: 'set', key: 'c', value: 1, origin, meta: { y: 2 } },
        { type: 'set', key: 'd', value: 1, meta: { '\u0000tiered': 1 } },
      ],
      call,
    );
    const [warmed, read] = [memory<unknown>({ env }), memory<unknown>({ env })];
    await warm(warmed, inBack);
    const reader = tiered({ front: read, back: inBack, closeParts: false });
    for (const key of ['a', 'b', 'c', 'd']) {
      await reader.get(key);
      const { version: _, rev: __, ...copy } = (await warmed.getEntry(key)) ?? {};
      expect(await read.getEntry(key)).toMatchObject(copy);
    }
    await reader.close();
    const store = tiered({ front: warmed, back: inBack });
    for (const key of ['a', 'b', 'c', 'd'])
      expect(await store.getEntry(key)).toEqual(await inBack.getEntry(key));
  });

  it('shares nothing with the back, also where the front hands out references', async () => {
    const front = memory<{ n: number }>({ zeroCopy: true });
    const back = memory<{ n: number }>();
    await back.set('a', { n: 1 });
    await warm(front, back);
    ((await front.get('a')) as { n: number }).n = 2;
    expect(await back.get('a')).toEqual({ n: 1 });
  });

  it('is not made where the front could not let it expire', async () => {
    const { env, inBack } = warmWorld();
    const kept = memory<unknown>({ env });
    const front = defineStore({
      ...(primitivesOf(kept) as Primitives<unknown>),
      capabilities: { ...kept.capabilities, ttl: false },
    });
    await inBack.set('brief', 1);
    await warm(front, inBack);
    await inBack.set('brief', 2, { ttlMs: 10 });
    await inBack.set('briefer', 2, { ttlMs: 10 });
    const progress = await warm(front, inBack, { strategy: 'mirror' });
    expect(counts(progress)).toEqual({ ...NOTHING, skipped: 1, removed: 1 });
    expect(await keysOf(front)).toEqual([]);
  });
});

describe('a function as strategy', () => {
  it('sees the keys of both and chooses; what differs is replaced', async () => {
    const { inFront, inBack } = warmWorld();
    await fill(inBack, 4);
    await warm(inFront, inBack, { strategy: () => ['k000000', 'k000001'] });
    await inBack.set('k000000', 'new');
    const seen: string[][] = [];
    const progress = await warm(inFront, inBack, {
      strategy: (front, back) => {
        seen.push([...front], [...back]);
        return (async function* () {
          yield* ['k000003', 'k000000', 'k000001', 'k000003'];
        })();
      },
    });
    expect(seen).toEqual([
      ['k000000', 'k000001'],
      ['k000000', 'k000001', 'k000002', 'k000003'],
    ]);
    expect(progress).toEqual({ ...NOTHING, copied: 2, skipped: 1, after: 'k000003' });
    expect(await inFront.get('k000000')).toBe('new');
    const promised = await warm(inFront, inBack, { strategy: async () => new Set(['k000002']) });
    expect(promised.copied).toBe(1);
  });

  it('that fails, or gives what are no keys, ends the warming', async () => {
    const { inFront, inBack } = warmWorld();
    await fill(inBack, 1);
    for (const strategy of [() => [''], () => [5], () => 5, () => undefined] as never[])
      await expect(warm(inFront, inBack, { strategy })).rejects.toThrow();
    expect(await codeOf(warm(inFront, inBack, { strategy: () => ['\u0000reserved'] }))).toBe(
      'invalid-argument',
    );
    const strategy = (): never => {
      throw new Error('no choice');
    };
    await expect(warm(inFront, inBack, { strategy })).rejects.toThrow('no choice');
    expect(await keysOf(inFront)).toEqual([]);
  });
});

describe('what is asked for', () => {
  it('may be a prefix', async () => {
    const { inFront, inBack } = warmWorld();
    await fill(inBack, 3, 'a:');
    await fill(inBack, 3, 'b:');
    await inFront.set('c', 'own');
    await warm(inFront, inBack, { strategy: 'mirror', prefix: 'b:' });
    expect(await keysOf(inFront)).toEqual(['b:000000', 'b:000001', 'b:000002', 'c']);
  });

  it('is checked before anything is done', async () => {
    const { inFront, inBack } = warmWorld();
    await inBack.set('k', 1);
    const wrong: unknown[] = [5, { strategy: 'some' }, { batchKeys: 0 }, { concurrency: 1.5 }];
    wrong.push({ prefix: 5 }, { after: '' }, { prefix: '\u0000' }, { after: '\ud800' }, { all: 1 });
    wrong.push({ timeoutMs: 0 }, { onProgress: 1 }, null);
    for (const options of wrong)
      expect(await codeOf(warm(inFront, inBack, options as WarmOptions))).toBe('invalid-argument');
    expect(await codeOf(warm(inFront, inFront))).toBe('invalid-argument');
    expect(await codeOf(warm(inFront as never))).toBe('invalid-argument');
    expect(await codeOf(warm(inFront, { capabilities: 1 } as never))).toBe('invalid-argument');
    for (const keys of ['abc', 5, undefined])
      expect(await codeOf(copyKeys(inBack, inFront, keys as never))).toBe('invalid-argument');
    expect(await codeOf(copyKeys(inBack, inFront, [''] as never))).toBe('invalid-argument');
    expect(await codeOf(copyKeys(inBack, inFront, [], { after: 'k' } as never))).toBe(
      'invalid-argument',
    );
    const front = defineStore({
      ...(primitivesOf(inFront) as Primitives<unknown>),
      capabilities: { ...inFront.capabilities, conditional: 'set' },
    });
    expect(await codeOf(warm(front, inBack))).toBe('unsupported');
    expect(await keysOf(inFront)).toEqual([]);
  });
});

describe('a writer of the front beside it', () => {
  it('wins, whenever it writes', async () => {
    for (const after of [0, 1, 2]) {
      const { inFront, inBack, frontPlan, front } = warmWorld();
      await fill(inBack, 6);
      await warm(inFront, inBack, { strategy: () => ['k000004', 'k000005'] });
      await inBack.setMany([
        ['k000004', 'new'],
        ['k000005', 'new'],
      ]);
      frontPlan.hangNext('commit', { after });
      const warming = warm(front, inBack, { strategy: 'mirror', batchKeys: 2, concurrency: 1 });
      while (frontPlan.hanging === 0) await settled();
      // In the batch that is about to be written.
      const own = ['k000000', 'k000002', 'k000004'][after] as string;
      await inFront.set(own, 'own');
      frontPlan.release();
      const { copied, skipped } = await warming;
      expect([copied, skipped]).toEqual([5, 1]);
      expect(await inFront.get(own)).toBe('own');
      for (const key of ['k000001', 'k000003', 'k000005'])
        expect(await inFront.get(key)).toBe(await inBack.get(key));
    }
  });

  it('wins also when it never stops', async () => {
    const { inFront, inBack, front } = warmWorld();
    const keys = await fill(inBack, 3);
    const primitives = primitivesOf(front);
    const restless = defineStore({
      ...primitives,
      readMany: async (asked, call) => {
        const found = await primitives.readMany(asked, call);
        await inFront.set('k000001', 'own');
        return found;
      },
    } as Primitives<unknown>);
    const progress = await warm(restless, inBack, { strategy: 'mirror' });
    expect(counts(progress)).toEqual({ ...NOTHING, copied: 2, skipped: 1 });
    expect(await inFront.getMany(keys)).toEqual(
      new Map<string, unknown>([
        ['k000000', 0],
        ['k000001', 'own'],
        ['k000002', 2],
      ]),
    );
  });
});

it('after mirror the front has what the back has, whatever both held', async () => {
  const some = fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c', '\uffff', '\u{10000}', 'd', 'e', 'f'),
      value: fc.integer(),
      immutable: fc.boolean(),
      own: fc.boolean(),
      ttlMs: fc.option(fc.constantFrom(10, 100_000), { nil: undefined }),
      meta: fc.option(fc.constant({ m: 1 }), { nil: undefined }),
    }),
    { maxLength: 12 },
  );
  const size = fc.integer({ min: 1, max: 4 });
  await fc.assert(
    fc.asyncProperty(
      some,
      some,
      size,
      size,
      fc.boolean(),
      async (first, then, batchKeys, concurrency, late) => {
        const { env, inFront, inBack } = warmWorld();
        const write = async (to: Store<unknown>, writes: typeof first): Promise<void> => {
          for (const { key, value, own: _, ttlMs, ...options } of writes)
            await to
              .set(key, value, {
                ...(ttlMs && { ttlMs }),
                ...(options.meta && { meta: options.meta }),
              })
              .catch(() => undefined);
        };
        await write(inBack, first);
        await write(
          inFront,
          then.filter(({ own }) => own),
        );
        await warm(inFront, inBack, { batchKeys });
        await write(
          inBack,
          then.filter(({ own }) => !own),
        );
        await inBack.delete('b');
        await env.advance(50);
        const [front, back] = late ? [lateStore(inFront), lateStore(inBack)] : [inFront, inBack];
        const told: WarmProgress[] = [];
        const options = { strategy: 'mirror', batchKeys, concurrency } as const;
        const done = await warm(front, back, { ...options, onProgress: (one) => told.push(one) });
        expect(await keysOf(inFront)).toEqual(await keysOf(inBack));
        const store = tiered({ front: inFront, back: inBack, closeParts: false });
        for (const key of await keysOf(inBack)) {
          const copy = await inFront.getEntry(key);
          const entry = await inBack.getEntry(key);
          expect(copy).toMatchObject({ value: entry?.value, origin: { version: entry?.version } });
          expect(await store.getEntry(key)).toEqual(entry);
        }
        await store.close();
        expect(counts(told.at(-1) ?? done)).toEqual(counts(done));
        const again = await warm(inFront, inBack, options);
        expect(counts(again)).toEqual({ ...NOTHING, skipped: (await keysOf(inBack)).length });
      },
    ),
    { numRuns: 150 },
  );
});
