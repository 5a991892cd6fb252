import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../test/support/bytes.ts';
import {
  connected,
  copied,
  forge,
  Gate,
  LIMITS,
  type Local,
  loseCursor,
  same,
  type World,
} from '../../test/support/reconcile-world.ts';
import { contents, Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { defineStore } from '../store/define-store.ts';
import { primitivesOf } from '../store/internals.ts';
import { publish, subscribe } from './index.ts';

describe('a copy that cannot resume', () => {
  it.each<[string, (it: World) => void]>([
    ['another epoch', ({ local }) => loseCursor(local)],
    ['an unknown commit', ({ local }) => loseCursor(local, { id: 'unknown' })],
    ['the future', ({ local }) => loseCursor(local, { rev: 10_000 })],
  ])('is compared with its source: %s', async (_, lose) => {
    const it = await copied(3_000);
    const { store, local } = it;
    await local.set('mine', bytes('kept'));
    await local.delete('key:7');
    await local.set('key:8', bytes('my own'));
    await forge(local, 'key:1', 'key:9');
    await forge(local, 'key:1', 'extra');
    await store.set('key:10', bytes('changed'));
    await store.delete('key:11');
    await store.set('new', bytes('new'));
    lose(it);
    const subscription = await connected(it);
    expect(subscription.status()).toMatchObject({ reconciles: 1, snapshots: 0, state: 'live' });
    expect(words(await local.get('mine'))).toBe('kept');
    await local.delete('mine');
    await same(store, local);
    await store.set('after', bytes('live'));
    await it.world.advance(5);
    await same(store, local);
    await subscription.close();
  });

  it('is compared past the floor, deletes included', async () => {
    const it = await copied(3_000);
    await it.store.deleteMany(Array.from({ length: 500 }, (_, n) => `key:${n * 3}`));
    await it.store.set('key:1', bytes('changed'));
    const subscription = await connected(it);
    expect(subscription.status()).toMatchObject({ reconciles: 1, snapshots: 0 });
    await same(it.store, it.local);
    await subscription.close();
  });

  it.each([
    [0, 2_000],
    [10, 30_000],
    [1_000, 700_000],
    [10_000, 3_500_000],
  ])('with %i differences among 100,000 keys costs at most %i bytes', async (count, most) => {
    const it = await copied(100_000);
    const { store, local } = it;
    for (let n = 0; n < count; n++) {
      const key = `key:${(n * 7_919) % 100_000}`;
      if (n % 10 === 0) await store.delete(key);
      else if (n % 10 === 1) await local.delete(key);
      else await store.set(key, new Uint8Array(100).fill(n));
    }
    loseCursor(local);
    const subscription = await connected(it, 50);
    const { receivedBytes, sentBytes, reconciles } = subscription.status();
    expect(reconciles).toBe(1);
    expect(receivedBytes + sentBytes).toBeLessThan(most);
    await same(store, local);
    await subscription.close();
  });

  it('gets a snapshot when more than half differs, when little is there, or of an old server', async () => {
    const many = await copied(2_000);
    await many.store.deleteMany(Array.from({ length: 1_500 }, (_, n) => `key:${n}`));
    loseCursor(many.local);
    const first = await connected(many);
    expect(first.status()).toMatchObject({ reconciles: 0, snapshots: 1 });
    await same(many.store, many.local);
    await first.close();

    const few = await copied(100);
    loseCursor(few.local);
    const second = await connected({ ...few, line: new Line(publish(few.store)) });
    expect(second.status()).toMatchObject({ reconciles: 0, snapshots: 1 });
    await second.close();
  });

  it('loses what a narrower scope no longer has, and nothing is said of it', async () => {
    const it = await copied(2_000);
    const narrow = publish(it.store, {
      limits: LIMITS,
      authorize: () => ({ read: ['key:1'] }),
    });
    const subscription = subscribe(new Line(narrow), it.local, { token: 't' });
    await it.world.advance(5);
    await subscription.ready;
    const held = Object.keys(await contents(it.local));
    expect(held.every((key) => key.startsWith('key:1'))).toBe(true);
    expect(held).toHaveLength(1_111);
    await subscription.close();
  });

  it('shares one reading of the source with all that come back at once', async () => {
    const it = await copied(3_000);
    let read = 0;
    const inside = primitivesOf(it.store);
    const counted = defineStore<Uint8Array>({
      ...inside,
      async *scan(range, call) {
        for await (const page of inside.scan(range, call)) {
          read += page.length;
          yield page;
        }
      },
    });
    const publication = publish(counted, { limits: LIMITS });
    const back = async (...locals: Local[]): Promise<number> => {
      const before = read;
      const all = locals.map((local) => subscribe(new Line(publication), local));
      await it.world.advance(20);
      for (const each of all) await each.ready;
      for (const each of all) await each.close();
      return read - before;
    };
    const locals = Array.from({ length: 5 }, () => memory<Uint8Array>({ env: it.world }));
    expect(await back(...locals)).toBe(0);
    for (const local of locals) loseCursor(local);
    expect(await back(...locals)).toBe(3_000);
    await it.store.set('key:5', bytes('changed'));
    for (const local of locals) loseCursor(local);
    // One bucket again, and a list of it for each.
    expect(await back(...locals)).toBeLessThan(64 * 6 + 1);
    for (const local of locals) await same(it.store, local);
  });
});

describe('during a comparison', () => {
  /** Does something at every frame of the server, or cuts the connection at one. */
  async function disturbed(
    it: World,
    at: (frame: number) => void | Promise<void>,
  ): Promise<number> {
    const { world, store, local, line } = it;
    line.hold();
    const subscription = subscribe(line, local, { reconnect: { baseMs: 10, capMs: 10 } });
    for (let frame = 0; frame < 60; frame++) {
      await world.advance(1);
      await at(frame);
      line.hold();
      line.release(1);
      line.hold();
    }
    line.release();
    await world.advance(30_000);
    const { state, lag, reconciles } = subscription.status();
    expect({ state, lag }).toEqual({ state: 'live', lag: 0 });
    await same(store, local);
    await subscription.close();
    return reconciles;
  }

  async function apart(seed: number): Promise<World> {
    const it = await copied(600, seed);
    for (let n = 0; n < 20; n++) await it.store.set(`key:${n * 29}`, bytes(`changed ${n}`));
    await it.store.delete('key:1');
    await it.local.delete('key:2');
    loseCursor(it.local);
    return it;
  }

  it('the source may be written to at every frame', async () => {
    const it = await apart(4);
    const reconciles = await disturbed(it, async (frame) => {
      await it.store.set(`key:${frame * 7}`, bytes(`during ${frame}`));
      await it.store.delete(`key:${frame * 11}`);
      await it.store.set(`new:${frame}`, bytes(`${frame}`));
    });
    expect(reconciles).toBe(1);
  });

  it('the connection may be cut at every frame', async () => {
    for (let cut = 0; cut < 12; cut++) {
      const it = await apart(cut);
      const reconciles = await disturbed(it, (frame) => {
        if (frame === cut) it.line.cut();
      });
      expect(reconciles).toBeGreaterThan(0);
    }
  });

  it('another subscriber of the same local store may move the cursor', async () => {
    for (let moment = 0; moment < 8; moment++) {
      const it = await apart(moment);
      const other = new Line(it.publication);
      let second: ReturnType<typeof subscribe> | undefined;
      await disturbed(it, async (frame) => {
        if (frame !== moment) return;
        second = subscribe(other, it.local);
        await it.world.advance(5);
        await it.store.set('key:3', bytes('moved'));
        await it.world.advance(5);
      });
      await second?.close();
    }
  });

  it('does not count any more once another has moved the copy', async () => {
    const it = await apart(1);
    const [ours, others] = [new Gate(it.publication), new Gate(it.publication)];
    // The source brings the key to the other one, and then deletes it: we find that both lack it.
    const other = subscribe(others, it.local);
    await it.world.advance(20);
    await it.store.delete('key:2');
    const subscription = subscribe(ours, it.local, { reconnect: { baseMs: 10, capMs: 10 } });
    await it.world.advance(20);
    expect([others.waiting, ours.waiting].map((batches) => batches > 0)).toEqual([true, true]);
    others.open(1);
    await it.world.advance(5);
    expect(await it.local.has('key:2')).toBe(true);
    await other.close();
    ours.open();
    await it.world.advance(1_000);
    expect(subscription.status()).toMatchObject({ state: 'live', reconciles: 1, resumes: 1 });
    await same(it.store, it.local);
    await subscription.close();
  });

  it('any writes, cuts and edits lead to the state of the source', async () => {
    const step = fc.record({
      key: fc.nat(599),
      what: fc.constantFrom('set', 'delete', 'lose', 'forge', 'drop', 'cut', 'nothing'),
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(2 ** 31), fc.array(step, { maxLength: 40 }), async (seed, steps) => {
        const it = await apart(seed);
        const { store, local, line } = it;
        await disturbed(it, async (frame) => {
          const next = steps[frame];
          if (next === undefined) return;
          const key = `key:${next.key}`;
          if (next.what === 'set') await store.set(key, bytes(`${frame}`));
          else if (next.what === 'delete') await store.delete(key);
          else if (next.what === 'cut') line.cut();
        });
        for (const { what, key } of steps) {
          if (what === 'drop') await local.delete(`key:${key}`);
          if (what === 'forge' && (await local.has('key:599')))
            await forge(local, 'key:599', `key:${key}`);
        }
        loseCursor(local);
        await (await connected(it)).close();
        await same(store, local);
      }),
      { numRuns: 15 },
    );
  });
});
