import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { defineStore } from '../store/define-store.ts';
import { StrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Feed, Position } from '../store/primitives.ts';
import type { Store } from '../store/store.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { publish, subscribe } from './index.ts';

const source = (world: SimulatedEnv) => memory<Uint8Array>({ env: world });

/** A store whose feed is changed in parts. */
function withFeed(
  store: Store<Uint8Array>,
  change: (feed: Feed<Uint8Array>) => Partial<Feed<Uint8Array>>,
): Store<Uint8Array> {
  const inside = primitivesOf(store);
  const feed = inside.feed as Feed<Uint8Array>;
  const whole: Feed<Uint8Array> = {
    state: (call) => feed.state(call),
    read: (after, call) => feed.read(after, call),
    wait: (after, call) => feed.wait(after, call),
    epochOf: (rev) => feed.epochOf(rev),
    ...change(feed),
  };
  return defineStore({ ...inside, feed: whole });
}

describe('a source that changes', () => {
  it('loses nothing that is written while its emptiness is read', async () => {
    const world = simulatedEnv(2);
    const inner = source(world);
    let written = false;
    const store = withFeed(inner, (feed) => ({
      async *read(after, call) {
        yield* feed.read(after, call);
        if (written) return;
        written = true;
        await inner.set('first', bytes('1'));
      },
    }));
    const local = source(world);
    const subscription = subscribe(new Line(publish(store)), local);
    await world.advance(5);
    await subscription.ready;
    expect(await contents(local)).toEqual({ first: '1' });
    await subscription.close();
  });

  it('may begin another epoch: those who follow get a snapshot, and no read spins', async () => {
    const world = simulatedEnv(2);
    const inner = source(world);
    await inner.setMany([
      ['kept', bytes('1')],
      ['gone', bytes('2')],
    ]);
    let epoch = '';
    let reads = 0;
    const named = (at: Position): Position => ({ ...at, epoch: at.epoch + epoch });
    const real = (at: Position | undefined): Position | undefined => {
      if (at === undefined) return undefined;
      if (!at.epoch.endsWith(epoch) || (epoch === '' && at.epoch.includes('!')))
        throw new StrataError('cursor-expired', 'read: another epoch', { operation: 'read' });
      return { ...at, epoch: at.epoch.slice(0, at.epoch.length - epoch.length) };
    };
    const bells: (() => void)[] = [];
    const store = withFeed(inner, (feed) => ({
      async state(call) {
        const { storeId, head } = await feed.state(call);
        return { storeId, head: named(head) };
      },
      async *read(after, call) {
        if (++reads > 10_000) throw new Error('it spins');
        for await (const page of feed.read(real(after), call))
          yield page.end === undefined ? page : { ...page, end: named(page.end) };
      },
      wait: (after, call) =>
        Promise.race([
          feed.wait(
            { ...(after as Position), epoch: (after as Position).epoch.split('!')[0] ?? '' },
            call,
          ),
          new Promise<void>((resolve) => bells.push(resolve)),
        ]),
      epochOf: (rev) => feed.epochOf(rev) + epoch,
    }));
    const publication = publish(store);
    const locals = [source(world), source(world)];
    const all = locals.map((local) => subscribe(new Line(publication), local));
    await world.advance(5);
    // A failover: the other side never had the last writes.
    epoch = '!2';
    await inner.delete('gone');
    await inner.set('new', bytes('3'));
    for (const ring of bells.splice(0)) ring();
    await world.advance(500);
    for (const local of locals) expect(await contents(local)).toEqual({ kept: '1', new: '3' });
    await inner.set('later', bytes('4'));
    await world.advance(500);
    for (const local of locals) expect(await local.has('later')).toBe(true);
    expect(reads).toBeLessThan(200);
    await Promise.all(all.map((subscription) => subscription.close()));
  });

  it('never seems to be behind what it has told already', async () => {
    const world = simulatedEnv(2);
    const store = source(world);
    const publication = publish(store, { limits: { heartbeatMs: 1_000, batchKeys: 2 } });
    const line = new Line(publication);
    const slow = subscribe(line, source(world), { limits: { creditBytes: 500 } });
    const quick = subscribe(new Line(publication), source(world));
    await world.advance(5);
    line.hold();
    for (let i = 0; i < 60; i++) {
      await store.set(`key:${i}`, new Uint8Array(300));
      await world.advance(5);
    }
    expect(publication.stats().headRev).toBe(60);
    for (let i = 0; i < 40; i++) {
      line.release(1);
      line.hold();
      await world.advance(2);
      expect(publication.stats().headRev).toBe(60);
    }
    line.release();
    await Promise.all([slow.close(), quick.close()]);
  });
});
