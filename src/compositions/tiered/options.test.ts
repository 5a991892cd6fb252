/** Options that make no sense, by themselves or together, are refused by name before anything is opened. */
import { describe, expect, it } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { defineStore } from '../../store/define-store.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { type TieredOptions, tiered } from './index.ts';

/** A memory store that offers less. */
function lesser(less: 'feed' | 'ttl' | 'bare'): Store<unknown> {
  const { blocking: _, ...inner } = primitivesOf<unknown>(memory<unknown>());
  const offered = { ...inner.capabilities, blocking: false, [less]: less === 'bare' };
  const capabilities = Object.freeze(offered);
  return defineStore<unknown>({ ...inner, capabilities });
}

const bad: Record<string, [named: string, ...options: object[]]> = {
  'no number of ms': ['ttlMs', ...[0, -1, Number.NaN, '5', null].map((ttlMs) => ({ ttlMs }))],
  'no number of ms either': [
    'backTimeoutMs',
    ...[0, -1, '5'].map((backTimeoutMs) => ({ backTimeoutMs })),
  ],
  'no count of failures': [
    'failures',
    ...[0, -1, 1.5, '5'].map((failures) => ({ breaker: { failures } })),
  ],
  'no pause': ['pauseMs', ...[0, '5'].map((pauseMs) => ({ breaker: { pauseMs } }))],
  'a breaker that is none': ['breaker', ...[true, 5, 'on', null].map((breaker) => ({ breaker }))],
  'an unknown option of the breaker': ['tries', { breaker: { tries: 3 } }],
  'a pause above the longest': [
    'breaker.pauseMs',
    { breaker: { pauseMs: 500, maxPauseMs: 100 } },
    { breaker: { pauseMs: 20_000 } },
  ],
  'an unknown way to populate': ['populate', { populate: 'never' }, { populate: true }],
  'stale times without a time to be fresh': [
    'staleWhileRevalidateMs',
    { staleWhileRevalidateMs: 5 },
  ],
  'grace without a time to be fresh': ['graceMs', { graceMs: 5 }],
  'ages in an overlay': ['ttlMs', { ttlMs: 5, write: 'front-only' }],
  'misses remembered by an overlay': ['negativeTtlMs', { negativeTtlMs: 5, write: 'front-only' }],
  'refreshes where the back is not asked': [
    'staleWhileRevalidateMs',
    { ttlMs: 5, staleWhileRevalidateMs: 5, read: 'front-only' },
  ],
  'misses remembered where the back is not asked': [
    'negativeTtlMs',
    { negativeTtlMs: 5, read: 'front-only' },
  ],
  'a way to populate where nothing does': ['populate', { populate: 'await', read: 'front-only' }],
  'ages in a front without expiry': ['ttlMs', { ttlMs: 5, front: lesser('ttl') }],
  'a front that keeps no origins': ['front', { front: lesser('bare') }],
  'a lag of what does not follow': ['maxLagMs', { maxLagMs: 5 }],
  'an overlay that follows': ['follow', { follow: true, write: 'front-only' }],
  'a feed that is not there': ['follow', { follow: true, back: lesser('feed') }],
  'a journal without writes behind': ['journal', { journal: 'volatile' }],
  'a bound of pending writes without any': ['maxPending', { maxPending: { keys: 5 } }],
  'what to do when full, without writes behind': ['whenFull', { whenFull: 'reject' }],
  'a conflict without writes behind': ['onConflict', { onConflict: 'overwrite' }],
  'retries without writes behind': ['retry', { retry: { minMs: 5 } }],
  'a lease without writes behind': ['leaseMs', { leaseMs: 5 }],
  'retries that begin above their end': [
    'retry.minMs',
    { write: 'behind', journal: 'volatile', retry: { minMs: 10, maxMs: 5 } },
  ],
};

describe('options of tiered', () => {
  for (const [what, [named, ...all]] of Object.entries(bad))
    it(`refuses ${what}`, () => {
      for (const options of all)
        expect(() =>
          tiered<unknown>({
            front: memory(),
            back: memory(),
            ...options,
          } as TieredOptions<unknown>),
        ).toThrow(
          expect.objectContaining({
            code: 'invalid-argument',
            message: expect.stringMatching(new RegExp(`^tiered: .*${named}.*expected `)),
          }),
        );
    });

  it('takes what makes sense together', async () => {
    for (const options of [
      { ttlMs: 5, staleWhileRevalidateMs: 5, graceMs: 5, negativeTtlMs: 5, populate: 'await' },
      { ttlMs: Number.POSITIVE_INFINITY, graceMs: 5 },
      { ttlMs: 5, graceMs: 5, read: 'front-only' },
      { write: 'around', ttlMs: 5 },
      { write: 'front-only', breaker: { failures: 1 }, backTimeoutMs: 5 },
      { breaker: { maxPauseMs: 100 } },
      { breaker: false },
    ] as Partial<TieredOptions<unknown>>[]) {
      await using store = tiered({ front: memory(), back: memory(), ...options });
      await store.set('k', 1);
      expect(await store.get('k')).toBe(1);
    }
  });
});
