/** A write that goes to all synchronous members at once: what it costs, and what is left of it when things go wrong in the midst. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { DELAY_MS, FOREVER, LateMembers } from '../../../test/support/late-members.ts';
import type { Store } from '../../store/store.ts';
import { AtOnce } from './at-once.ts';

describe('a write without conditions', () => {
  test('takes as long as the slowest member', async () => {
    const w = await new LateMembers(3).open();
    expect((await w.timed(w.store.set('a', '1'))).ms).toBeLessThanOrEqual(DELAY_MS + 1);
    expect((await w.timed(w.store.set('a', '2'))).ms).toBeLessThanOrEqual(DELAY_MS + 1);
    expect((await w.timed(w.store.delete('a'))).ms).toBeLessThanOrEqual(DELAY_MS + 1);
    w.plan(2).delay('commit', 4 * DELAY_MS);
    expect((await w.timed(w.store.set('b', '1'))).ms).toBeLessThanOrEqual(4 * DELAY_MS + 1);
    await w.take(w.store.close());
  });

  test('takes two steps where that is asked for', async () => {
    const w = await new LateMembers(3).open({ intents: false });
    expect((await w.timed(w.store.set('a', '1'))).ms).toBeGreaterThanOrEqual(2 * DELAY_MS);
    expect(await w.intents(1)).toBe(0);
    await w.take(w.store.close());
  });

  test('leaves nothing beside the entries', async () => {
    const w = await new LateMembers(3).open();
    for (let n = 0; n < 20; n++) await w.take(w.store.set(`k${n % 3}`, String(n)));
    expect(await w.take(w.store.flush())).toMatchObject({ behind: [] });
    await w.env.advance(100);
    for (const at of [1, 2]) {
      expect(await w.intents(at)).toBe(0);
      expect(await (w.members[at] as Store<string>).get('k1')).toBe('19');
    }
    await w.take(w.store.close());
  });

  test('is not seen before the first store has it', async () => {
    const w = await new LateMembers(2).open();
    await w.take(w.store.set('a', 'old'));
    await w.take(w.store.flush());
    w.plan(0).delay('commit', 100);
    w.plan(0).failNext('read', 'unavailable', FOREVER);
    const reading = w.store.get('a');
    const writing = w.store.set('a', 'new');
    expect(await w.take(reading)).toBe('old');
    await w.take(writing);
    await w.take(w.store.flush());
    expect(await w.take(w.store.get('a'))).toBe('new');
    await w.take(w.store.close());
  });
});

describe('what was acknowledged survives the death of the process and the loss of the first store', () => {
  test('while only intents tell of it', async () => {
    const w = await new LateMembers(2).open();
    await w.take(w.store.set('changed', 'old'));
    await w.take(w.store.set('deleted', 'old'));
    await w.take(w.store.flush());
    await w.take(
      Promise.all([
        w.store.set('changed', 'new', { meta: { by: 'me' } }),
        w.store.delete('deleted'),
        w.store.set('made', 'new', { immutable: true }),
      ]),
    );
    expect(await w.intents(1)).toBe(3);
    await w.die();
    w.wipe(0);
    await w.open();
    expect(await w.take(w.store.getEntry('changed'))).toMatchObject({
      value: 'new',
      meta: { by: 'me' },
    });
    expect(await w.take(w.store.get('deleted'))).toBeUndefined();
    expect(await w.take(w.store.getEntry('made'))).toMatchObject({ immutable: true });
    await w.take(w.store.flush());
    const second = w.members[1] as Store<string>;
    expect(await second.get('deleted')).toBeUndefined();
    expect(await second.get('changed')).toBe('new');
    expect(await w.intents(1)).toBe(0);
    await w.take(w.store.close());
  });

  test('and an intent is older than a copy that came after it', async () => {
    const w = await new LateMembers(3).open();
    // One member takes its intent late: it stands there when newer copies come.
    await w.take(w.store.set('a', '1'));
    await w.take(w.store.update('a', () => '2'));
    await w.take(w.store.set('b', '1'));
    const deleting = w.store
      .getEntry('b')
      .then((entry) => w.store.delete('b', { if: { version: entry?.version ?? '' } }));
    await w.take(deleting);
    await w.die();
    w.wipe(0);
    await w.open();
    expect(await w.take(w.store.get('a'))).toBe('2');
    expect(await w.take(w.store.get('b'))).toBeUndefined();
    await w.take(w.store.close());
  });
});

describe('a conditional write', () => {
  test('waits until no intent of its keys is left', async () => {
    const w = await new LateMembers(2).open();
    // The copy hangs, and with it the intent stays.
    w.plan(1).hangNext('commit', { after: 1 });
    const { version } = await w.take(w.store.set('a', '1'));
    let isOver = false;
    const deleting = w.store.delete('a', { if: { version } }).finally(() => {
      isOver = true;
    });
    await w.env.advance(20 * DELAY_MS);
    expect(await w.intents(1)).toBe(1);
    expect(isOver).toBe(false);
    expect(await (w.members[0] as Store<string>).get('a')).toBe('1');
    w.plan(1).release();
    expect(await w.take(deleting)).toBe(true);
    expect(await w.intents(1)).toBe(0);
    await w.take(w.store.close());
  });
});

describe('a write that comes when a conditional one goes on', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('has no intent beside it', async () => {
    for (let steps = 0; steps < 12; steps++) {
      const w = await new LateMembers(2).open();
      w.plan(1).hangNext('commit', { after: 1 });
      const { version } = await w.take(w.store.set('a', '1'));
      let isOver = false;
      const done = (): void => {
        isOver = true;
      };
      // The other may come first.
      const deleting = w.store.delete('a', { if: { version } }).then(done, done);
      await w.env.advance(20 * DELAY_MS);
      let writing: Promise<unknown> | undefined;
      const wake = AtOnce.prototype.wake;
      vi.spyOn(AtOnce.prototype, 'wake').mockImplementation(function (this: AtOnce<unknown>) {
        wake.call(this);
        let then = Promise.resolve();
        for (let step = 0; step < steps; step++) then = then.then(() => {});
        writing ??= then.then(() => w.store.set('a', '2'));
      });
      w.plan(0).delay('commit', 50);
      w.plan(1).release();
      let beside = 0;
      for (let ms = 0; ms < 100 && !isOver; ms++) {
        await w.env.advance(1);
        if (writing !== undefined && !isOver) beside = Math.max(beside, await w.intents(1));
      }
      expect([steps, beside]).toEqual([steps, 0]);
      await w.take(Promise.all([deleting, writing]));
      vi.restoreAllMocks();
      await w.take(w.store.close());
    }
  });
});

describe('a write that the first store refuses', () => {
  test('is told when no member holds it any more, and does not come back', async () => {
    const w = await new LateMembers(2).open();
    await w.take(w.store.set('a', 'old'));
    await w.take(w.store.flush());
    w.plan(0).failNext('commit', 'no-space');
    const { ms, result } = await w.timed(w.store.set('a', 'refused'));
    expect(result).toMatchObject({ code: 'no-space' });
    expect(ms).toBeGreaterThanOrEqual(2 * DELAY_MS);
    expect(await w.intents(1)).toBe(0);
    await w.die();
    w.wipe(0);
    await w.open();
    expect(await w.take(w.store.get('a'))).toBe('old');
    await w.take(w.store.close());
  });

  test('is of unknown outcome where a member does not let go of it', async () => {
    const w = await new LateMembers(2).open();
    w.plan(0).failNext('commit', 'no-space');
    w.plan(1).failNext('commit', 'unavailable', { after: 1, ...FOREVER });
    const { result } = await w.timed(w.store.set('a', 'refused'));
    expect(result).toMatchObject({ code: 'unknown-outcome', cause: { code: 'no-space' } });
    w.plan(1).heal();
    await w.env.advance(10_000);
    expect(await w.intents(1)).toBe(0);
    expect(await w.take(w.store.get('a'))).toBeUndefined();
    await w.take(w.store.close());
  });

  test('of an immutable entry leaves that entry, whatever is lost meanwhile', async () => {
    const w = await new LateMembers(2).open();
    await w.take(w.store.set('a', 'content', { immutable: true }));
    await w.take(w.store.flush());
    const refused = w.store.set('a', 'other', { immutable: true });
    refused.catch(() => {});
    await w.env.advance(DELAY_MS);
    await w.die();
    w.wipe(0);
    await w.open();
    expect(await w.take(w.store.get('a'))).toBe('content');
    await w.take(w.store.close());
  });
});

describe('intents that a process has left', () => {
  test('are removed before their member counts as having anything newer', async () => {
    const w = await new LateMembers(2).open();
    await w.take(w.store.set('a', 'old'));
    expect(await w.intents(1)).toBe(1);
    await w.die();
    await w.open();
    expect(await w.intents(1)).toBe(0);
    await w.take(w.store.delete('a'));
    await w.take(w.store.flush());
    await w.die();
    w.wipe(0);
    await w.open();
    expect(await w.take(w.store.get('a'))).toBeUndefined();
    await w.take(w.store.close());
  });
});
