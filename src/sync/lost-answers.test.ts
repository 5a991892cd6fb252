import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import { pagedCommits } from '../../test/support/paged-commits.ts';
import { loseCursor } from '../../test/support/reconcile-world.ts';
import { Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { defineStore } from '../store/define-store.ts';
import { primitivesOf } from '../store/internals.ts';
import { FaultPlan, faulty, simulatedEnv } from '../testing/index.ts';
import { publish, subscribe } from './index.ts';

describe('a local store that applies a snapshot and does not say so', () => {
  it.each([
    ['held in memory', 10_000],
    ['staged', 2],
  ])('keeps nothing from listeners, what is gone included: %s', async (_, stageKeys) => {
    const world = simulatedEnv(5);
    const source = memory<Uint8Array>({ env: world });
    const held = memory<Uint8Array>({ env: world });
    const line = new Line(publish(source));
    const names = ['a', 'b', 'c', 'd', 'e'];
    await source.setMany(names.map((name) => [name, bytes('old')]));
    const first = subscribe(line, held);
    await world.advance(5);
    await first.close();
    loseCursor(held);
    await source.deleteMany(['a', 'b']);
    await source.setMany([
      ['c', bytes('new')],
      ['f', bytes('new')],
    ]);
    const plan = new FaultPlan();
    const failing = primitivesOf(faulty(held, plan));
    const flips = pagedCommits(failing);
    let flipped = 0;
    const local = defineStore({
      ...failing,
      commitPages: (pages, call) => {
        if (flipped++ === 0) plan.failNext('commit', undefined, { applied: true });
        return flips(pages, call);
      },
    });
    if (stageKeys > 10) plan.failNext('commit', undefined, { applied: true });
    const heard: string[] = [];
    const second = subscribe(line, local, {
      limits: { stageKeys },
      onChange: ({ key, value, deleted }) =>
        void heard.push(`${key} ${deleted ? 'is gone' : words(value)}`),
    });
    await world.advance(1_000);
    expect(second.status()).toMatchObject({ state: 'live', snapshots: 1 });
    expect(heard.sort()).toEqual(['a is gone', 'b is gone', 'c new', 'f new']);
    await second.close();
  });
});
