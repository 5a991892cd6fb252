/** The same sweep, with everything that protects from it, over real engines. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../test/support/engines.ts';
import { lmdb } from '../drivers/lmdb/index.ts';
import { redis } from '../drivers/redis/index.ts';
import { sqlite } from '../drivers/sqlite/index.ts';
import { json, memory, observed, type Store, tiered } from '../index.ts';
import { sweep, touch, type Walker, walk } from './index.ts';

type Node = readonly string[];

const folder = mkdtempSync(join(tmpdir(), 'stratakv-walk-'));
afterAll(() => rmSync(folder, { recursive: true }));
const codec = json<Node>();
const links: Walker<Node> = (_, value) => value;

function cases(open: () => Promise<Store<Node>>): void {
  it('is swept while others write, down to what is reachable', async () => {
    await using store = await open();
    await store.setMany([
      ['root', ['a']],
      ['other', ['moved']],
      ['mutable', []],
      ['gone', []],
    ]);
    const blocks = ['a', 'moved', 'below', 'reused', 'x', 'y'].map((key): [string, Node] => [
      key,
      key === 'moved' ? ['below'] : [],
    ]);
    await store.setMany(blocks, { immutable: true });
    const noted = await store.cursor();
    let shown = 0;
    const keep = async (): Promise<boolean> => {
      if (++shown !== 1) return false;
      // All at once, after the marking: moved, used again, written again, new, removed.
      await store.batch([
        { type: 'set', key: 'root', value: ['a', 'moved'] },
        { type: 'set', key: 'other', value: [] },
      ]);
      expect(await touch(store, ['reused', 'never'])).toEqual(new Set(['reused']));
      await store.set('mutable', []);
      await store.set('new', ['x']);
      await store.delete('gone');
      return false;
    };
    const { swept } = await sweep(store, ['root', 'other'], links, { olderThan: noted, keep });
    expect(swept).toBe(1);
    const stay = ['a', 'below', 'moved', 'mutable', 'new', 'other', 'reused', 'root', 'x'];
    expect(await Array.fromAsync(store.keys())).toEqual(stay);
    expect(await store.getEntry('reused')).toMatchObject({ value: [], immutable: true });
    const last = await sweep(store, ['root', 'other'], links, { olderThan: await store.cursor() });
    expect(last).toMatchObject({ kept: 5, swept: 4 });
    const walked = walk(store, ['root', 'other'], links, { order: 'roots-last' });
    const keys = (await Array.fromAsync(walked)).map(({ key }) => key);
    expect(keys).toEqual(['a', 'below', 'moved', 'root', 'other']);
  });
}

describe('memory', () => cases(async () => memory<Node>()));
describe('lmdb', () =>
  cases(async () => lmdb({ path: join(folder, 'lmdb'), durability: 'os', codec })));
describe('sqlite', () =>
  cases(async () => sqlite({ path: join(folder, 'db'), durability: 'os', codec })));
describe('layers', () => cases(async () => observed(memory<Node>())));
describe('tiered', () =>
  cases(async () => tiered({ front: memory<Node>(), back: sqlite({ path: ':memory:', codec }) })));
describeWithEngine('redis', 'redis', () => {
  const client = createClient({ url: redisUrl() });
  beforeAll(() => client.connect());
  afterAll(() => client.destroy());
  cases(async () => redis({ client, prefix: `walk-${crypto.randomUUID()}`, codec }));
});
