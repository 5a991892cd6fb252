import { describe, expect, it } from 'vitest';
import { simulatedEnv } from '../../testing/index.ts';
import { Call } from '../call.ts';
import type { Change, Commit } from '../entry.ts';
import type { Feed, FeedPage, Position } from '../primitives.ts';
import { fromCursor } from './cursor.ts';
import { type WatchFeedOptions, watchFeed } from './watch.ts';

const env = simulatedEnv();

const at = (rev: number): Position => ({ epoch: 'e', rev, id: rev === 0 ? '' : `id${rev}` });
const set = (key: string, rev: number): Change<number> => ({
  type: 'set',
  key,
  rev,
  value: rev,
  version: `v${rev}`,
  modifiedAt: 0,
});

/** A feed of given commits; each is given in pages of one change, or of `pageSize`. */
class FakeFeed implements Feed<number> {
  readonly commits: (readonly Change<number>[])[] = [];
  /** Runs as a read ends, before the reader goes on. */
  afterRead: (() => void) | undefined;
  waits = 0;

  state(): { storeId: string; head: Position } {
    return { storeId: 's', head: at(this.commits.length) };
  }

  async *read(after: Position | undefined): AsyncGenerator<FeedPage<number>> {
    const from = after?.rev ?? 0;
    const until = after === undefined ? this.commits.length : from + 1;
    const changes = this.commits.slice(from, until).flat();
    if (until <= this.commits.length && until > from) {
      for (const change of changes) yield { changes: [change] };
      yield { changes: [], end: at(until) };
    }
    this.afterRead?.();
    this.afterRead = undefined;
  }

  async wait(): Promise<void> {
    this.waits++;
    await new Promise((resolve) => env.setTimer(() => resolve(undefined), 10));
  }

  epochOf(): string {
    return 'e';
  }
}

function watch(feed: FakeFeed, options: WatchFeedOptions<number>): AsyncGenerator<Commit<number>> {
  return watchFeed(feed, Call.background(env, 'watch'), options);
}

async function take(
  from: AsyncGenerator<Commit<number>>,
  count: number,
): Promise<Commit<number>[]> {
  const taken: Commit<number>[] = [];
  for (let i = 0; i < count; i++) {
    const step = from.next();
    await env.advance(30);
    taken.push((await step).value);
  }
  return taken;
}

describe('watchFeed', () => {
  it('puts the pages of a commit together', async () => {
    const feed = new FakeFeed();
    feed.commits.push([set('a', 1), set('b', 1)], [set('c', 2)]);
    const [first, second] = await take(watch(feed, { after: at(0) }), 2);
    expect(first).toMatchObject({ from: 0, to: 1 });
    expect(first?.writes.map(({ key }) => key)).toEqual(['a', 'b']);
    expect(second).toMatchObject({ from: 1, to: 2 });
    expect(fromCursor('test', second?.cursor)).toEqual(at(2));
  });

  it('keeps the last of a key that came twice, in its last place', async () => {
    const feed = new FakeFeed();
    feed.commits.push([set('a', 1), set('b', 1)], [{ type: 'delete', key: 'a', rev: 2 }]);
    const [whole] = await take(watch(feed, { after: undefined }), 1);
    expect(whole?.writes.map(({ type, key }) => [type, key])).toEqual([
      ['set', 'b'],
      ['delete', 'a'],
    ]);
  });

  it('hides reserved keys and other prefixes, and merges what it passes over', async () => {
    const feed = new FakeFeed();
    feed.commits.push([set('\u0000own', 1)], [set('b', 2)], [set('a:1', 3), set('b', 3)]);
    const [commit] = await take(watch(feed, { after: at(0), prefix: 'a:' }), 1);
    expect(commit).toMatchObject({ from: 0, to: 3 });
    expect(commit?.writes.map(({ key }) => key)).toEqual(['a:1']);
  });

  it('gives a bookmark after a thousand commits without a match', async () => {
    const feed = new FakeFeed();
    for (let rev = 1; rev <= 2_500; rev++) feed.commits.push([set('b', rev)]);
    const taken = await take(watch(feed, { after: at(0), prefix: 'a' }), 2);
    expect(taken.map(({ from, to, writes }) => [from, to, writes.length])).toEqual([
      [0, 1_000, 0],
      [1_000, 2_000, 0],
    ]);
  });

  it('loses nothing that is committed as an empty store is read', async () => {
    const feed = new FakeFeed();
    feed.afterRead = () => feed.commits.push([set('a', 1)]);
    const [commit] = await take(watch(feed, { after: undefined }), 1);
    expect(commit).toMatchObject({ from: 0, to: 1 });
    expect(commit?.writes.map(({ key }) => key)).toEqual(['a']);
  });

  it('tells that the whole state is nothing', async () => {
    const feed = new FakeFeed();
    feed.commits.push([set('a', 1)], [set('b', 2)]);
    const [commit] = await take(watch(feed, { after: undefined, prefix: 'z' }), 1);
    expect(commit).toMatchObject({ from: 0, to: 2, writes: [] });
  });

  it('waits at the head, and goes on from there', async () => {
    const feed = new FakeFeed();
    feed.commits.push([set('a', 1)]);
    const steps = watch(feed, { after: at(1) });
    const step = steps.next();
    await env.advance(35);
    expect(feed.waits).toBeGreaterThan(1);
    feed.commits.push([set('b', 2)]);
    await env.advance(20);
    expect((await step).value).toMatchObject({ from: 1, to: 2 });
  });

  it('gives guarded values', async () => {
    const feed = new FakeFeed();
    feed.commits.push([set('a', 1)]);
    const [commit] = await take(watch(feed, { after: at(0), guard: (value) => value + 100 }), 1);
    expect(commit?.writes).toMatchObject([{ key: 'a', value: 101 }]);
  });
});
