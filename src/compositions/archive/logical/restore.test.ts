/** Values of all types, evicted and brought back by what DUMP gave and by their logical form. */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../../test/support/archive-world.ts';
import { changedObject } from '../../../../test/support/cold-object.ts';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { redisClients } from '../../../../test/support/redis-clients.ts';
import {
  digestOf,
  type SampleKey,
  sampleKeys,
  writeSamples,
} from '../../../../test/support/redis-values.ts';
import { memory } from '../../../drivers/memory/index.ts';
import { bounded } from '../../../layers/bounded/index.ts';
import { seal } from '../../../layers/sealed/index.ts';
import type { StrataError } from '../../../store/errors.ts';
import type { Store } from '../../../store/store.ts';
import { type ArchiveOptions, redisKeys } from '../index.ts';
import type { ValueForm } from './taken.ts';

describeWithEngine('redis-server', 'the forms of a value', () => {
  const on = new ArchiveServer();
  const hotOf = (form: ValueForm): ArchiveOptions['hot'] =>
    redisKeys(redisClients['node-redis'](on.url).client, { form });

  async function evicted(form: ValueForm, keys: readonly SampleKey[]) {
    const world = on.world({ hot: hotOf(form) });
    await writeSamples(on.client, keys);
    const names = keys.map(({ key }) => key);
    const before = await Promise.all(keys.map((one) => digestOf(on.client, one)));
    await world.one.dirty(...names);
    expect((await world.one.drain()).failed).toEqual([]);
    expect(await world.one.evict(...names)).toEqual({ evicted: names.length, kept: [] });
    expect(await on.client.exists(names)).toBe(0);
    return { ...world, names, before };
  }

  it.each(['both', 'dump', 'logical'] as const)('all types come back equal: %s', async (form) => {
    const keys = [...sampleKeys(280, 7, Date.now())];
    const { one, names, before } = await evicted(form, keys);
    await one.ensure(...names);
    expect(await Promise.all(keys.map((key) => digestOf(on.client, key)))).toEqual(before);
    expect(await one.stats()).toMatchObject({ dirty: 0, evicted: 0 });
    expect(await on.client.keys('strata-archive:staging:*')).toEqual([]);
  });

  it('brings back by its logical form what the server cannot read otherwise (A28)', async () => {
    const keys = [...sampleKeys(140, 8, Date.now())];
    const { one, cold, names, before } = await evicted('both', keys);
    await eachOpened(cold, newerDump);
    await one.ensure(...names);
    expect(await Promise.all(keys.map((key) => digestOf(on.client, key)))).toEqual(before);
  });

  const words = (count: number, word: string): string[] =>
    Array.from({ length: count }, (_, n) => `${word}${n}`);
  const odd: Record<string, (string | Buffer)[][]> = {
    'a list beyond one script': [['RPUSH', 'k', ...words(70_000, 'a word of a list ')]],
    'a hash beyond one script': [['HSET', 'k', ...words(60_000, 'a field or a value ')]],
    'a large string': [['SET', 'k', 'x'.repeat(3_000_000)]],
    'an empty string': [['SET', 'k', '']],
    'scores at the edge': [
      ['ZADD', 'k', '-0', 'a', 'inf', 'b', '-inf', 'c', '5e-324', 'd', '0', 'e'.repeat(100)],
      ['ZADD', 'k', '-0', 'f', '-0', 'a', '0.1', 'g', '1.7976931348623157e308', 'h'],
    ],
    'an entry beyond what a script can pass on': [
      ['XADD', 'k', '1-1', ...words(10_000, 'w')],
      ['XADD', 'k', '2-1', 'a', 'b'],
      ['XADD', 'k', '3-1', ...words(20_000, 'w')],
    ],
    'a stream without entries': [
      ['XGROUP', 'CREATE', 'k', 'a group', '$', 'MKSTREAM'],
      ['XGROUP', 'CREATECONSUMER', 'k', 'a group', 'nobody'],
    ],
    'ids of 64 bits': [
      ['XADD', 'k', '0-1', 'a', 'b'],
      ['XADD', 'k', '18446744073709551614-18446744073709551615', 'a', 'b'],
      ['XGROUP', 'CREATE', 'k', 'g', '18446744073709551614-18446744073709551615'],
    ],
    'pending entries that were deleted': [
      ...['1-1', '2-1', '3-1', '4-1'].map((id) => ['XADD', 'k', id, 'a', id]),
      ['XGROUP', 'CREATE', 'k', 'g', '0'],
      ['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', '3', 'STREAMS', 'k', '>'],
      ['XDEL', 'k', '2-1', '3-1'],
    ],
    'pending entries that were trimmed': [
      ...['1-1', '2-1', '3-1', '4-1'].map((id) => ['XADD', 'k', id, 'a', id]),
      ['XGROUP', 'CREATE', 'k', 'g', '0'],
      ['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', '2', 'STREAMS', 'k', '>'],
      ['XREADGROUP', 'GROUP', 'g', 'd', 'STREAMS', 'k', '>'],
      ['XCLAIM', 'k', 'g', 'd', '0', '2-1', 'TIME', '1700000000123', 'RETRYCOUNT', '7'],
      ['XTRIM', 'k', 'MAXLEN', '=', '1'],
    ],
    'pending entries of nothing but these': [
      ...['1-1', '2-1', '3-1'].map((id) => ['XADD', 'k', id, 'a', id]),
      ['XGROUP', 'CREATE', 'k', 'g', '0'],
      ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 'k', '>'],
      ['XTRIM', 'k', 'MAXLEN', '=', '0'],
    ],
  };
  it.each(Object.entries(odd))('brings back %s by its logical form', async (_, commands) => {
    const type = /^X/.test(String(commands[0]?.[0])) ? 'stream' : 'string';
    const one: SampleKey = { key: Buffer.from('k'), type, commands };
    const { one: safe, before, another } = await evicted('logical', [one]);
    await Promise.all([safe.ensure('k'), another({ hot: hotOf('both') }).ensure('k')]);
    expect(await digestOf(on.client, one)).toBe(before[0]);
    expect(await on.client.pExpireTime('k')).toBe(-1);
    expect((await on.client.keys('*')).sort()).toEqual([
      'k',
      'strata-archive:clock',
      'strata-archive:evicted',
      'strata-archive:id',
    ]);
  });

  it('keeps an expiry to the millisecond, and brings back nothing that is past it', async () => {
    const { one } = on.world({ hot: hotOf('logical') });
    const later = Date.now() + 600_123;
    await on.client.set('string', 'v', { PXAT: later });
    await on.client.rPush('list', ['a']);
    await on.client.rPush('brief', ['a']);
    await on.client.pExpireAt('list', later);
    await on.client.pExpire('brief', 1_500);
    await one.dirty('string', 'list', 'brief');
    await one.drain();
    expect(await one.evict('string', 'list', 'brief')).toMatchObject({ evicted: 3 });
    await new Promise((resolve) => setTimeout(resolve, 1_550));
    await one.ensure('string', 'list', 'brief');
    expect(await on.client.pExpireTime('string')).toBe(later);
    expect(await on.client.pExpireTime('list')).toBe(later);
    expect(await on.client.exists('brief')).toBe(0);
    expect(await one.stats()).toMatchObject({ evicted: 0 });
  });

  it('replaces nothing newer by a logical form, nor makes a ghost', async () => {
    const { one, another, plan } = on.world({ hot: hotOf('logical') });
    const names = ['written', 'forgotten'];
    for (const name of names) await on.client.rPush(name, ['old']);
    await one.dirty(...names);
    await one.drain();
    await one.evict(...names);
    plan.hangNext('read', { applied: true, times: 2 });
    const ensuring = one.ensure(...names);
    await expect.poll(() => plan.hanging).toBe(2);
    await on.client.rPush('written', ['new']);
    await another().forget('forgotten');
    plan.release();
    await ensuring;
    expect(await on.client.lRange('written', 0, -1)).toEqual(['new']);
    expect(await on.client.exists('forgotten')).toBe(0);
    expect(await on.client.keys('strata-archive:staging:*')).toEqual([]);
  });

  it('leaves nothing of a value for which there is no room, and keeps it', async () => {
    const commands = [['RPUSH', 'k', ...words(110_000, 'a word of a list ')]];
    const { one } = await evicted('logical', [{ key: Buffer.from('k'), type: 'list', commands }]);
    // What was evicted is freed in the background.
    const pending = async (): Promise<boolean> =>
      (await on.client.info('memory')).includes('lazyfree_pending_objects:0\r');
    await expect.poll(pending).toBe(true);
    const used = Number(/used_memory:(\d+)/.exec(await on.client.info('memory'))?.[1]);
    await on.client.configSet('maxmemory', String(used + 1_000_000));
    try {
      await expect(one.ensure('k')).rejects.toMatchObject({ code: 'no-space', key: 'k' });
    } finally {
      await on.client.configSet('maxmemory', '0');
    }
    expect(await on.client.exists('k')).toBe(0);
    for (const staged of await on.client.keys('strata-archive:staging:*'))
      expect(await on.client.pTTL(staged)).toBeGreaterThan(0);
    await one.ensure('k');
    expect(await on.client.lLen('k')).toBe(110_000);
  });

  it('takes no part for the whole when what was staged is lost', async () => {
    const commands = [['RPUSH', 'k', ...words(200_000, 'a word of a list ')]];
    const sample: SampleKey = { key: Buffer.from('k'), type: 'list', commands };
    const { one, before } = await evicted('logical', [sample]);
    let settled = false;
    const ensuring = one.ensure('k').finally(() => {
      settled = true;
    });
    const outcome = ensuring.catch((error: { code: string }) => error.code);
    // As when its time is over, or the server is short of memory.
    let found: string[] = [];
    while (!settled && found.length === 0) found = await on.client.keys('strata-archive:staging:*');
    expect(await on.client.del(found)).toBe(1);
    expect(await outcome).toBe('unavailable');
    expect(await on.client.exists('k')).toBe(0);
    await one.ensure('k');
    expect(await digestOf(on.client, sample)).toBe(before[0]);
  });

  it('leaves the logical form out where there is no room for both', async () => {
    const fields = Object.fromEntries(words(50, 'f').map((field) => [field, field.repeat(20)]));
    const bounds: Partial<ArchiveOptions>[] = [
      { seal: seal({ maxBytes: 5_000 }) },
      { cold: bounded(memory<Uint8Array>(), { maxValueBytes: 5_000 }) },
    ];
    for (const bound of bounds) {
      await on.client.configSet('rdbcompression', 'no');
      const { one } = on.world({ hot: hotOf('both'), ...bound });
      await on.client.hSet('k', fields);
      await one.dirty('k');
      expect(await one.drain()).toMatchObject({ frozen: 1, failed: [] });
      expect(await one.evict('k')).toMatchObject({ evicted: 1 });
      await one.ensure('k');
      expect(await on.client.hGetAll('k')).toEqual(fields);
      await on.client.flushAll();
    }
    await on.client.configSet('rdbcompression', 'yes');
  });

  it('asks for no times of fields where the server has none', async () => {
    const { one } = on.world({ hot: hotOf('both') });
    await on.client.hSet('k', { a: '1' });
    await one.dirty('k');
    const before = await on.client.info('errorstats');
    await one.drain();
    expect(await on.client.info('errorstats')).toBe(before);
  });

  it('says that it cannot where there is nothing else, and loses nothing', async () => {
    await on.client.rPush('k', ['a', 'b']);
    const { one, cold } = on.world({ hot: hotOf('dump') });
    await one.dirty('k');
    await one.drain();
    await one.evict('k');
    await eachOpened(cold, newerDump);
    await expect(one.ensure('k')).rejects.toMatchObject({ code: 'unsupported', key: 'k' });
    expect((await one.stats()).evicted).toBe(1);
  });

  it('says that it cannot read what another kind of hot side has frozen', async () => {
    const { one, cold, names } = await evicted('dump', [...sampleKeys(7, 10, Date.now())]);
    const digest = '0'.repeat(64);
    await eachOpened(cold, (object) =>
      changedObject(object, ({ described }) => ({
        described: { ...described, digest },
        payload: Buffer.from('an entry of a store'),
      })),
    );
    await expect(one.ensure(...names)).rejects.toMatchObject({ code: 'unsupported' });
    expect((await one.stats()).evicted).toBe(7);
  });

  it('says that what the server refuses is damaged, where it is not what it gave', async () => {
    const { one, cold, names, before } = await evicted('dump', [...sampleKeys(14, 9, Date.now())]);
    const whole = await Array.fromAsync(cold.list());
    // As a seal without a checksum would let it through.
    await eachOpened(cold, (object) =>
      changedObject(object, ({ payload }) => ({ payload: payload.with(2, ~(payload[2] ?? 0)) })),
    );
    const error = await one.ensure(...names).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'corrupt', message: expect.stringMatching(/is damaged/) });
    const { failed } = (error as StrataError).details as { failed: { error: StrataError }[] };
    expect(failed.map((one) => one.error.code)).toEqual(names.map(() => 'corrupt'));
    expect((await one.stats()).evicted).toBe(names.length);
    for (const { key, value } of whole) await cold.set(key, value);
    await one.ensure(...names);
    const keys = [...sampleKeys(14, 9, Date.now())];
    expect(await Promise.all(keys.map((key) => digestOf(on.client, key)))).toEqual(before);
  });
});

/** Changes what is inside every object, as if another version had written it. */
async function eachOpened(
  cold: Store<Uint8Array>,
  change: (object: Uint8Array) => Uint8Array,
): Promise<void> {
  const sealing = seal();
  for (const key of await Array.fromAsync(cold.keys())) {
    if (key === 'strata-archive/id') continue;
    const place = { key, storeId: 'strata-archive' };
    const opened = await sealing.thaw((await cold.get(key)) as Uint8Array, place);
    await cold.set(key, await sealing.freeze(change(opened), place));
  }
}

/** As a later version gives it: the version is what comes before the last eight bytes, a checksum. */
function newerDump(object: Uint8Array): Uint8Array {
  return changedObject(object, ({ described, payload }) => {
    if (payload.length === 0) return {};
    const newer = payload.with(payload.length - 9, 0x7f);
    const digest = createHash('sha1').update(newer).digest('hex');
    return { described: { ...described, digest }, payload: newer };
  });
}
