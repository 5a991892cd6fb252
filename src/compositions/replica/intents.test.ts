/** A write that goes to all synchronous members at once: what it costs, and what is left of it when things go wrong in the midst. */
import { describe, expect, test } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import { type ReplicaOptions, type ReplicaStore, replica } from './index.ts';
import { intentRange } from './intents.ts';

const DELAY_MS = 5;
const FOREVER = { times: Number.POSITIVE_INFINITY };

class World {
  readonly env: SimulatedEnv = simulatedEnv();
  readonly members: Store<string>[];
  plans: FaultPlan[] = [];
  /** What cuts a process that has died off from each member, whatever was on its way. */
  #cuts: FaultPlan[] = [];
  store!: ReplicaStore<string>;

  constructor(count: number) {
    this.members = Array.from({ length: count }, () => memory<string>({ env: this.env }));
  }

  /** Opens the replica, each call of a member late. */
  async open(options: Partial<ReplicaOptions<string>> = {}): Promise<this> {
    this.plans = this.members.map(() => new FaultPlan());
    this.#cuts = this.members.map(() => new FaultPlan());
    const sync = this.members.map((store, at) =>
      faulty(faulty(store, this.#cuts[at] as FaultPlan), this.plan(at)),
    );
    this.store = replica({ sync, closeParts: false, memberTimeoutMs: 500, ...options });
    for (const plan of this.plans) plan.delay('commit', DELAY_MS).delay('read', DELAY_MS);
    await this.take(this.store.set('begin', '1'));
    await this.take(this.store.set('begin', '2'));
    await this.take(this.store.flush());
    return this;
  }

  plan(at: number): FaultPlan {
    return this.plans[at] as FaultPlan;
  }

  /** The outcome of a call, and how long it took. */
  async timed<T>(work: Promise<T>): Promise<{ readonly ms: number; readonly result: T | unknown }> {
    let result: { readonly value: T | unknown } | undefined;
    work.then(
      (value) => {
        result = { value };
      },
      (error: unknown) => {
        result = { value: error };
      },
    );
    for (let ms = 0; ; ms++) {
      if (result !== undefined) return { ms, result: result.value };
      if (ms > 20_000) throw new Error('a call never ended');
      await this.env.advance(1);
    }
  }

  async take<T>(work: Promise<T>): Promise<T> {
    const { result } = await this.timed(work);
    if (result instanceof Error) throw result;
    return result as T;
  }

  async code(work: Promise<unknown>): Promise<unknown> {
    const { result } = await this.timed(work);
    return result instanceof StrataError ? result.code : result;
  }

  /** Keys of a member under which an intent stands. */
  async intents(at: number): Promise<number> {
    const inner = primitivesOf(this.members[at] as Store<string>);
    let count = 0;
    const call = { throwIfEnded: () => {} } as never;
    for await (const page of inner.scanKeys(intentRange({ notePrefix: '\u0000replica/1/' }), call))
      count += page.length;
    return count;
  }

  /** The process dies: nothing of it reaches a member any more. */
  async die(): Promise<void> {
    const old = this.store;
    for (const cut of this.#cuts)
      for (const what of ['commit', 'read', 'scan', 'feed'] as const)
        cut.failNext(what, 'closed', FOREVER);
    await this.take(old.close({ drainMs: 0 }).catch(() => undefined));
  }

  /** A member loses everything. */
  wipe(at: number): void {
    this.members[at] = memory<string>({ env: this.env });
  }
}

describe('a write without conditions', () => {
  test('takes as long as the slowest member', async () => {
    const w = await new World(3).open();
    expect((await w.timed(w.store.set('a', '1'))).ms).toBeLessThanOrEqual(DELAY_MS + 1);
    expect((await w.timed(w.store.set('a', '2'))).ms).toBeLessThanOrEqual(DELAY_MS + 1);
    expect((await w.timed(w.store.delete('a'))).ms).toBeLessThanOrEqual(DELAY_MS + 1);
    w.plan(2).delay('commit', 4 * DELAY_MS);
    expect((await w.timed(w.store.set('b', '1'))).ms).toBeLessThanOrEqual(4 * DELAY_MS + 1);
    await w.take(w.store.close());
  });

  test('takes two steps where that is asked for', async () => {
    const w = await new World(3).open({ intents: false });
    expect((await w.timed(w.store.set('a', '1'))).ms).toBeGreaterThanOrEqual(2 * DELAY_MS);
    expect(await w.intents(1)).toBe(0);
    await w.take(w.store.close());
  });

  test('leaves nothing beside the entries', async () => {
    const w = await new World(3).open();
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
    const w = await new World(2).open();
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
    const w = await new World(2).open();
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
    const w = await new World(3).open();
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
    const w = await new World(2).open();
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

describe('a write that the first store refuses', () => {
  test('is told when no member holds it any more, and does not come back', async () => {
    const w = await new World(2).open();
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
    const w = await new World(2).open();
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
    const w = await new World(2).open();
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
    const w = await new World(2).open();
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
