import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import type { Change } from '../store/entry.ts';
import { simulatedEnv } from '../testing/index.ts';
import { publish, subscribe } from './index.ts';
import { OrderedChanges } from './ordered-changes.ts';

/** `2x` has the place 2. */
const placeOf = (key: string): number => Number(key[0]);

describe('the order of a group', () => {
  it('is that of the places, in snapshots, commits and what comes after an absence', async () => {
    const world = simulatedEnv(1);
    const store = memory<Uint8Array>({ env: world, logBytes: 2_000, tombstoneBytes: 100_000 });
    const local = memory<Uint8Array>({ env: world });
    const line = new Line(publish(store, { order: placeOf }));
    const write = (...keys: string[]): Promise<unknown> =>
      store.batch(
        keys.map((key) =>
          key.endsWith('!')
            ? { type: 'delete', key: key.slice(0, -1) }
            : { type: 'set', key, value: bytes(key) },
        ),
      );
    await write('2r', '0b', '1m', '0a');
    const subscription = subscribe(line, local);
    let heard: string[] = [];
    subscription.onChange('', ({ key, deleted }) => heard.push(deleted ? `${key}!` : key));
    const since = async (): Promise<string[]> => {
      await world.advance(100);
      return heard.splice(0);
    };
    expect(await since()).toEqual(['0b', '0a', '1m', '2r']);
    await write('2r', '0a!', '1m', '1m!', '0c', '1n');
    expect(await since()).toEqual(['0c', '1n', '2r', '1m!', '0a!']);
    // Two commits that go together, and many.
    line.hold();
    await write('2s', '0d');
    await write('0e', '2s', '2r!');
    line.release();
    expect(await since()).toEqual(['0d', '0e', '2s', '2r!']);
    await subscription.close();
    for (let n = 0; n < 60; n++) await write(`${n % 3}k${n}`);
    await write('1n!');
    const second = subscribe(line, local);
    heard = [];
    second.onChange('', ({ key, deleted }) => heard.push(deleted ? `${key}!` : key));
    const places = (await since()).map((key) => (key.endsWith('!') ? 9 : placeOf(key)));
    expect(places).toEqual([...places].sort());
    expect(places).toHaveLength(61);
    await second.close();
  });

  it('holds back no more than it may, and says so when that is too little', async () => {
    const world = simulatedEnv(1);
    const store = memory<Uint8Array>({ env: world });
    await store.setMany(
      Array.from({ length: 3_000 }, (_, n) => [`${n % 100 === 0 ? 1 : 0}k${n}`, bytes('x')]),
    );
    const local = memory<Uint8Array>({ env: world });
    const enough = publish(store, { order: placeOf, limits: { orderedBytes: 20_000 } });
    const subscription = subscribe(new Line(enough), local);
    const heard: number[] = [];
    subscription.onChange('', ({ key }) => heard.push(placeOf(key)));
    await world.advance(50);
    expect(heard).toHaveLength(3_000);
    expect(heard).toEqual([...heard].sort());
    await subscription.close();
    const codes: string[] = [];
    const little = publish(store, {
      order: placeOf,
      limits: { orderedBytes: 2_000 },
      onError: (error) => codes.push(error.code),
    });
    const other = memory<Uint8Array>({ env: world });
    const second = subscribe(new Line(little), other);
    await world.advance(50);
    expect(codes[0]).toBe('overloaded');
    expect(await contents(other)).toEqual({});
    await second.close();
  });

  it.each<[string, (key: string) => number]>([
    [
      'throws',
      () => {
        throw new Error('broken order');
      },
    ],
    ['gives no number', () => Number.NaN],
  ])('is an error of the subscriber, never a part, when it %s', async (_, order) => {
    const world = simulatedEnv(1);
    const store = memory<Uint8Array>({ env: world });
    await store.set('a', bytes('a'));
    const heard: unknown[] = [];
    const publication = publish(store, {
      order,
      onError: ({ code, key }) => heard.push(code, key),
    });
    const local = memory<Uint8Array>({ env: world });
    const subscription = subscribe(new Line(publication), local);
    await world.advance(50);
    expect(heard.slice(0, 2)).toEqual(['unavailable', 'a']);
    expect(subscription.status().lastError).toMatchObject({ code: 'unavailable' });
    expect(await contents(local)).toEqual({});
    await subscription.close();
  });

  it('never loses or revives anything, whatever does not fit', () => {
    const change = fc.record({
      key: fc.constantFrom('0a', '0b', '0c', '1a', '1b', '2a'),
      isDelete: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 30 }),
        fc.integer({ min: 1, max: 12 }),
        (all, n) => {
          const ordered = new OrderedChanges(placeOf, n * 130);
          const out: Change<unknown>[] = [];
          const wanted = new Map<string, number | undefined>();
          try {
            for (const [rev, { key, isDelete }] of all.entries()) {
              const head = { key, rev, version: '', modifiedAt: 0 };
              out.push(
                ...ordered.add(
                  isDelete ? { type: 'delete', key, rev } : { type: 'set', value: rev, ...head },
                ),
              );
              wanted.set(key, isDelete ? undefined : rev);
              expect(ordered.bytes).toBeLessThanOrEqual(n * 130 + 150);
            }
          } catch (error) {
            expect(error).toMatchObject({ code: 'overloaded' });
            return;
          }
          out.push(...ordered.drain());
          const found = new Map(
            out.map((each) => [each.key, each.type === 'set' ? each.rev : undefined]),
          );
          expect(found).toEqual(wanted);
          const sets = out.filter(({ type }) => type === 'set').map(({ key }) => placeOf(key));
          expect(sets).toEqual([...sets].sort());
        },
      ),
      { numRuns: 500 },
    );
  });
});
