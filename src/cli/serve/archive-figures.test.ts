import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { faultyCold } from '../../../test/support/faulty-cold.ts';
import { type Archive, archive } from '../../compositions/archive/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import { StrataError } from '../../store/errors.ts';
import { FaultPlan } from '../../testing/index.ts';
import { type ServedArchive, startArchiveFigures } from './archive-figures.ts';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface World {
  readonly hot: ReturnType<typeof memory<Uint8Array>>;
  readonly made: Archive;
  readonly plan: FaultPlan;
  readonly figures: ReturnType<typeof memory<ServedArchive>>;
  told(is: (one: ServedArchive) => boolean): Promise<ServedArchive>;
}

/** An archive of a store, whose cold store fails on demand. */
function world(): World {
  const hot = memory<Uint8Array>();
  const plan = new FaultPlan();
  const made = archive({ hot, cold: faultyCold(plan) });
  const figures = memory<ServedArchive>();
  ends.push(
    () => hot.close(),
    () => figures.close(),
    () => made.close(),
  );
  const told = async (is: (one: ServedArchive) => boolean): Promise<ServedArchive> => {
    for (;;) {
      const one = await figures.get('archive');
      if (one !== undefined && is(one)) return one;
      await sleep(10);
    }
  };
  return { hot, made, plan, figures, told };
}

test('tells marks, what a worker does with them, and what fails with when it is tried again', async () => {
  const { hot, made, plan, figures, told } = world();
  await hot.setMany(['a', 'b'].map((key) => [key, new Uint8Array(10)]));
  await made.dirty('a', 'b');
  plan.failNext('commit', 'no-space', { times: 1 });
  const worker = made.worker({ autoStart: false, concurrency: 1, retry: { firstMs: 60_000 } });
  const looking = await startArchiveFigures({ name: 'kept', archive: made, worker }, figures);
  ends.push(() => looking.close());
  expect(await figures.get('archive')).toMatchObject({
    name: 'kept',
    hot: { dirty: 2, failing: 0, evicted: 0 },
    failed: [],
    work: { frozen: 0, failures: 0 },
  });
  const later = await told(({ work }) => work?.frozen === 1 && work.failures === 1);
  expect(later.hot).toMatchObject({ dirty: 1, failing: 1 });
  const [failed] = later.failed;
  expect(failed).toMatchObject({ cause: { code: 'no-space' }, tries: 1 });
  expect(failed?.nextTryMs).toBeGreaterThan(20_000);
  expect(failed?.nextTryMs).toBeLessThanOrEqual(60_000);
  expect(failed?.markedMs).toBeLessThan(20_000);
});

test('looks the more seldom the longer a look takes, and goes on when one fails', async () => {
  const { made, figures, told } = world();
  const stats = made.stats.bind(made);
  const looks: number[] = [];
  made.stats = async () => {
    looks.push(performance.now());
    if (looks.length === 2)
      throw new StrataError('unavailable', 'stats: away', { operation: 'stats' });
    await sleep(looks.length === 1 ? 200 : 0);
    return stats();
  };
  const looking = await startArchiveFigures({ name: 'slow', archive: made }, figures);
  ends.push(() => looking.close());
  const away = await told(({ hotAway }) => hotAway !== undefined);
  const [first = 0, second = 0] = looks;
  expect(second - first).toBeGreaterThan(1_900);
  expect(away).toMatchObject({ hotAway: { code: 'unavailable', message: 'stats: away' } });
  expect(away.hot).toBeUndefined();
  expect(away.work).toBeUndefined();
  const back = await told(({ hot }) => hot !== undefined);
  expect(back.hotAway).toBeUndefined();
});

test('does not begin where waiting would not help', async () => {
  const { made, figures } = world();
  const refusal = new StrataError('invalid-argument', 'stats: no', { operation: 'stats' });
  made.stats = () => Promise.reject(refusal);
  const worker = made.worker({ autoStart: false });
  const starting = startArchiveFigures({ name: 'no', archive: made, worker }, figures);
  await expect(starting).rejects.toBe(refusal);
  expect(worker.stats().state).toBe('stopped');
});
