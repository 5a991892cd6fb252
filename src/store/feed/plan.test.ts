import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { simulatedEnv } from '../../testing/index.ts';
import { isStrataError } from '../errors.ts';
import type { DeleteWrite, SetWrite, Write } from '../primitives.ts';
import { WriteIds } from '../version.ts';
import { planCommit, type Standing } from './plan.ts';

const NOW_MS = 1_000;
const REV = 50;
const KEYS = ['a', 'b', 'c'];

/** What stands under a key: its value, and how it lives. */
interface Held {
  readonly version: string;
  readonly value: number;
  readonly state: 'live' | 'immutable' | 'tombstone';
}

const held = fc.record({
  value: fc.nat(2),
  state: fc.constantFrom('live' as const, 'immutable' as const, 'tombstone' as const),
});

const store = fc
  .array(fc.option(held, { nil: undefined }), { minLength: 3, maxLength: 3 })
  .map((list) => {
    const entries = new Map<string, Held>();
    for (const [at, one] of list.entries())
      if (one !== undefined) entries.set(KEYS[at] as string, { ...one, version: `old ${at}` });
    return entries;
  });

const condition = fc.constantFrom(
  undefined,
  undefined,
  undefined,
  'absent' as const,
  ...[0, 1, 2].map((at) => ({ version: `old ${at}` })),
);

const write = fc
  .record({
    type: fc.constantFrom('set', 'set', 'delete'),
    key: fc.constantFrom(...KEYS),
    value: fc.nat(2),
    if: condition,
    immutable: fc.constantFrom(undefined, undefined, true as const),
    expiresAt: fc.constantFrom(undefined, undefined, 2_000, 500),
    copied: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  })
  .map(({ type, key, value, if: wanted, immutable, expiresAt, copied }): Write<number> => {
    const base = { key, ...(wanted !== undefined && { if: wanted }) };
    if (type === 'delete') return { type: 'delete', ...base } satisfies DeleteWrite;
    return {
      type: 'set',
      ...base,
      value,
      ...(immutable && { immutable }),
      ...(expiresAt !== undefined && { expiresAt }),
      ...(copied && { origin: { store: 's', epoch: 'e', rev: 1, version: 'v' } }),
    } satisfies SetWrite<number>;
  });

interface Naive {
  readonly conflict?: string;
  readonly existed: boolean[];
  /** The write that each changed key's record comes from. */
  readonly last: Map<string, number>;
}

/** Does the writes one by one. */
function naive(entries: ReadonlyMap<string, Held>, writes: readonly Write<number>[]): Naive {
  const live = new Map<string, { version: string; value: number; immutable: boolean }>();
  for (const [key, { version, value, state }] of entries)
    if (state !== 'tombstone') live.set(key, { version, value, immutable: state === 'immutable' });
  const existed: boolean[] = [];
  const last = new Map<string, number>();
  for (const [at, one] of writes.entries()) {
    const before = live.get(one.key);
    const fails =
      one.if === 'absent'
        ? before !== undefined
        : one.if !== undefined && one.if.version !== before?.version;
    if (fails) return { conflict: one.key, existed, last };
    existed.push(before !== undefined);
    if (one.type === 'delete') {
      if (before !== undefined) last.set(one.key, at);
      live.delete(one.key);
      continue;
    }
    if (before?.immutable && one.origin === undefined) {
      if (one.immutable && one.value === before.value) continue;
      return { conflict: one.key, existed, last };
    }
    last.set(one.key, at);
    if (one.expiresAt !== undefined && one.expiresAt <= NOW_MS) live.delete(one.key);
    else live.set(one.key, { version: `new ${at}`, value: one.value, immutable: !!one.immutable });
  }
  return { existed, last };
}

function plan(
  entries: ReadonlyMap<string, Held>,
  writes: readonly Write<number>[],
): ReturnType<typeof planCommit<number>> & { asked: string[] } {
  const asked: string[] = [];
  const planned = planCommit<number>({
    operation: 'batch',
    writes,
    rev: REV,
    nowMs: NOW_MS,
    ids: new WriteIds(simulatedEnv()),
    standing: (key): Standing<number> | undefined => {
      asked.push(key);
      const one = entries.get(key);
      if (one === undefined) return undefined;
      const place = { rev: 7, pos: KEYS.indexOf(key) };
      if (one.state === 'tombstone') return place;
      const immutable = one.state === 'immutable';
      const live = {
        key,
        version: one.version,
        rev: 7,
        modifiedAt: 0,
        ...(immutable && { immutable: true as const }),
      };
      return { ...place, live, sameValue: (value) => value === one.value };
    },
  });
  return { ...planned, asked };
}

describe('planCommit', () => {
  it('does what doing the writes one by one does', () => {
    fc.assert(
      fc.property(store, fc.array(write, { minLength: 1, maxLength: 8 }), (entries, writes) => {
        const expected = naive(entries, writes);
        if (expected.conflict !== undefined) {
          let thrown: unknown;
          try {
            plan(entries, writes);
          } catch (error) {
            thrown = error;
          }
          expect(isStrataError(thrown, 'conflict') && thrown.key).toBe(expected.conflict);
          return;
        }
        const { rev, changes, outcomes, asked } = plan(entries, writes);
        expect(outcomes.map(({ existed }) => existed)).toEqual(expected.existed);
        expect(new Set(asked).size).toBe(asked.length);
        const lives = (key: string): boolean =>
          entries.has(key) && entries.get(key)?.state !== 'tombstone';
        const lasting = [...expected.last]
          .filter(([key, at]) => writes[at]?.type === 'set' || lives(key))
          .sort(([, a], [, b]) => a - b);
        expect(changes.map(({ key, type }) => [key, type])).toEqual(
          lasting.map(([key, at]) => [key, writes[at]?.type]),
        );
        expect(changes.map((change) => [change.rev, change.pos])).toEqual(
          lasting.map((_, pos) => [REV, pos]),
        );
        expect(rev).toBe(changes.length === 0 ? undefined : REV);
        for (const [n, change] of changes.entries()) {
          const standing = entries.get(change.key) && { rev: 7, pos: KEYS.indexOf(change.key) };
          if (standing === undefined) expect(change.replaces).toBeUndefined();
          else expect(change.replaces).toMatchObject(standing);
          if (change.type !== 'set') continue;
          const at = lasting[n]?.[1] as number;
          expect(change.write).toBe(writes[at]);
          expect(outcomes[at]?.entry).toBe(change.head);
          expect(change.head).toMatchObject({ key: change.key, rev: REV });
        }
        const fresh = outcomes.flatMap(({ entry }) => (entry?.rev === REV ? [entry] : []));
        const versions = new Set(fresh.map(({ version }) => version));
        expect(versions.size).toBe(new Set(fresh).size);
      }),
      { numRuns: 4_000 },
    );
  });

  it('keeps what a copy brings with it', () => {
    const origin = { store: 's', epoch: 'e', rev: 9, version: 'x' };
    const { changes } = plan(new Map(), [
      {
        type: 'set',
        key: 'a',
        value: 1,
        origin,
        modifiedAt: 5,
        expiresAt: 2_000,
        meta: { n: 1 },
        immutable: true,
      },
    ]);
    const [change] = changes;
    expect(change?.type === 'set' && change.head).toMatchObject({
      origin,
      modifiedAt: 5,
      expiresAt: 2_000,
      meta: { n: 1 },
      immutable: true,
    });
  });

  it('names the key and the version that stands in a conflict', () => {
    const entries = new Map([['a', { version: 'old 0', value: 1, state: 'live' as const }]]);
    expect(() => plan(entries, [{ type: 'delete', key: 'a', if: { version: 'other' } }])).toThrow(
      expect.objectContaining({
        code: 'conflict',
        key: 'a',
        operation: 'batch',
        details: { version: 'old 0' },
      }),
    );
  });
});
