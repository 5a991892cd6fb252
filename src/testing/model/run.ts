import type { Capabilities } from '../../store/capabilities.ts';
import { isStrataError } from '../../store/errors.ts';
import { fromCursor } from '../../store/feed/cursor.ts';
import { compareKeys } from '../../store/keys.ts';
import type { BatchResult, BatchWrite, Range } from '../../store/operations.ts';
import type { Store } from '../../store/store.ts';
import { systemEnv } from '../../store/system-env.ts';
import { defined, equal, fails, ok } from '../assert.ts';
import { type CaseContext, collect, settles } from '../conformance/case.ts';
import { Follower, living, type State, sameState } from '../conformance/follower.ts';
import { blockingOf } from '../conformance/methods.ts';
import type { Command, CommandKind, WriteSpec } from './commands.ts';
import { Model } from './model.ts';

const SHORT_MS = 40;
const LONG_MS = 3_600_000;
const MAX_FOLLOWERS = 4;

const RANGES: readonly Range[] = [
  {},
  { prefix: 'a' },
  { prefix: 'a:', limit: 1 },
  { gt: 'a', lte: '\uffff' },
  { reverse: true },
  { gte: 'a:1', lt: '😀', reverse: true, limit: 2 },
];

/** What may happen in a run beside what any store does. */
export interface RunTraits {
  readonly reopens: boolean;
  readonly forgetful: boolean;
}

type SetWrite = BatchWrite<unknown> & { readonly type: 'set' };

/** One store, its model, and copies that follow it; every command is done to both and compared. */
export class ModelRun {
  readonly #t: CaseContext;
  readonly #model: Model;
  readonly #capabilities: Capabilities;
  readonly #traits: RunTraits;
  /** Handles on the same data. */
  #handles: Store<unknown>[];
  #followers: Follower[] = [];

  constructor(t: CaseContext, handles: readonly Store<unknown>[], traits: RunTraits) {
    this.#t = t;
    this.#handles = [...handles];
    this.#capabilities = t.store.capabilities;
    this.#model = new Model(this.#capabilities.bare === true);
    this.#traits = traits;
  }

  /** Notes where the store stands before the first command. */
  async begin(): Promise<void> {
    await this.#arrive();
  }

  async do(command: Command): Promise<void> {
    await this.#actions[command.kind](command);
    if (!QUIET.has(command.kind)) await this.#arrive(command.kind === 'burst');
  }

  /** Compares everything once more. */
  async end(): Promise<void> {
    for (const store of this.#handles) await this.#compare(store);
    for (const follower of this.#followers) {
      await this.#catchUp(follower);
      await follower.stop();
    }
  }

  readonly #actions: Readonly<Record<CommandKind, (command: Command) => Promise<void>>> = {
    write: async ({ writes, dice }) => this.#write(this.#real(writes.slice(0, 1)), dice),
    batch: async ({ writes, dice }) => this.#batch(this.#real(writes), dice),
    update: async ({ writes, dice }) => this.#update(writes, dice, 'set'),
    'update to none': async ({ writes, dice }) => this.#update(writes, dice, 'none'),
    'update that throws': async ({ writes, dice }) => this.#update(writes, dice, 'throw'),
    getOrSet: async ({ writes, dice }) => this.#getOrSet(writes, dice),
    deleteMany: async ({ writes, dice }) => {
      const keys = [...new Set(writes.map(({ key }) => key))];
      const lived = keys.filter((key) => this.#model.get(key, this.#now()) !== undefined);
      equal(await this.#handle(dice).deleteMany(keys), lived.length, 'deleteMany');
      for (const key of lived) this.#model.remove(key);
    },
    clear: async ({ dice }) => {
      const prefix = dice % 3 === 0 ? '' : 'a:';
      const keys = [...this.#model.state(this.#now()).keys()].filter((key) =>
        key.startsWith(prefix),
      );
      equal(await this.#handle(dice).clear({ prefix }), keys.length, 'clear');
      for (const key of keys) this.#model.remove(key);
    },
    burst: async ({ writes, dice }) => this.#burst(writes, dice),
    read: async ({ writes, dice }) => this.#read(writes, dice),
    list: async ({ dice }) => this.#list(dice),
    advance: async ({ dice }) => {
      if (this.#t.env !== undefined)
        await this.#t.pass([1, SHORT_MS, 31_000, LONG_MS][dice % 4] ?? 1);
    },
    reopen: async ({ dice }) => this.#reopen(dice),
    follow: async ({ dice }) => {
      if (!this.#capabilities.feed || this.#followers.length >= MAX_FOLLOWERS) return;
      const store = this.#handle(dice);
      const at = this.#model.state(this.#now());
      this.#followers.push(new Follower(this.#t, store, { after: await store.cursor() }, at));
    },
    'follow from the start': async ({ dice }) => {
      if (!this.#capabilities.feed || this.#followers.length >= MAX_FOLLOWERS) return;
      this.#followers.push(new Follower(this.#t, this.#handle(dice), { after: 'start' }));
    },
    'catch up': async ({ dice }) => {
      const follower = this.#followers[dice % MAX_FOLLOWERS];
      if (follower !== undefined && !(await this.#catchUp(follower)))
        this.#followers.splice(dice % MAX_FOLLOWERS, 1);
    },
    resume: async ({ dice }) => {
      const at = dice % MAX_FOLLOWERS;
      const follower = this.#followers[at];
      if (follower?.cursor === undefined) return;
      await follower.stop();
      const { state, cursor } = follower;
      this.#followers[at] = new Follower(this.#t, this.#handle(dice), { after: cursor }, state);
    },
  };

  #now(): number {
    return (this.#t.env ?? systemEnv).now();
  }

  #handle(dice: number): Store<unknown> {
    return defined(this.#handles[dice % this.#handles.length], 'a handle');
  }

  async #arrive(loose = false): Promise<void> {
    if (!this.#capabilities.feed) return;
    const { rev } = fromCursor('model', await this.#handle(0).cursor());
    this.#model.arrive(rev, loose || this.#capabilities.atomic === 'key');
  }

  /** The writes that a spec stands for now. */
  #real(specs: readonly WriteSpec[]): BatchWrite<unknown>[] {
    const { conditional, ttl, bare } = this.#capabilities;
    return specs.map((spec) => {
      const version =
        spec.if === 'current'
          ? (this.#model.get(spec.key, this.#now())?.version ?? 'none')
          : (this.#model.former.get(spec.key) ?? 'none');
      const wanted = spec.if === 'absent' ? ('absent' as const) : { version };
      const condition = spec.if !== 'none' && conditional === 'all' ? { if: wanted } : {};
      if (spec.type === 'delete')
        return wanted === 'absent'
          ? { type: 'delete', key: spec.key }
          : { type: 'delete', key: spec.key, ...condition };
      const expiresAt = ttl ? this.#end(spec.life) : undefined;
      return {
        type: 'set',
        key: spec.key,
        value: this.#t.value(spec.n),
        ...condition,
        ...(expiresAt !== undefined && { expiresAt }),
        ...(spec.immutable && !bare && { immutable: true }),
        ...(spec.meta && !bare && { meta: { n: spec.n } }),
      };
    });
  }

  #end(life: WriteSpec['life']): number | undefined {
    if (life === 'past') return 1;
    if (life === 'long') return this.#now() + LONG_MS;
    // Without a simulated clock nobody could say whether it still lives.
    return life === 'short' && this.#t.env !== undefined ? this.#now() + SHORT_MS : undefined;
  }

  /** One write by `set` or `delete`, in either half. */
  async #write(writes: readonly BatchWrite<unknown>[], dice: number): Promise<void> {
    const [write] = writes;
    if (write === undefined) return;
    const store = this.#handle(dice);
    const half = (dice % 2 === 0 ? blockingOf(store) : undefined) ?? store;
    const { type, key, ...rest } = write;
    await this.#expect(writes, async () => {
      if (type === 'delete') return { results: [{ key, existed: await half.delete(key, rest) }] };
      const { value, ...options } = rest as Omit<SetWrite, 'type' | 'key'>;
      const existed = this.#model.get(key, this.#now()) !== undefined;
      return { results: [{ key, existed, entry: await half.set(key, value, options) }] };
    });
  }

  async #batch(writes: readonly BatchWrite<unknown>[], dice: number): Promise<void> {
    const store = this.#handle(dice);
    const half = (dice % 2 === 0 ? blockingOf(store) : undefined) ?? store;
    // What a batch of separate writes did before it failed is not the model's business.
    if (this.#capabilities.atomic === 'key')
      for (const write of writes) await this.#expect([write], async () => half.batch([write]));
    else await this.#expect(writes, async () => half.batch(writes));
  }

  async #expect(
    writes: readonly BatchWrite<unknown>[],
    run: () => Promise<BatchResult>,
  ): Promise<void> {
    const forecast = this.#model.forecast(writes, this.#now());
    if (forecast.conflict !== undefined)
      await fails(run, 'conflict', 'the write', { key: forecast.conflict });
    else this.#model.apply(writes, forecast, await run());
  }

  async #update(
    specs: readonly WriteSpec[],
    dice: number,
    to: 'set' | 'none' | 'throw',
  ): Promise<void> {
    const [spec] = specs;
    if (spec === undefined || this.#capabilities.conditional !== 'all') return;
    const { key } = spec;
    const store = this.#handle(dice);
    const half = (dice % 2 === 0 ? blockingOf(store) : undefined) ?? store;
    const before = this.#model.get(key, this.#now());
    const broken = new Error('broken');
    const fn = (value: unknown): unknown => {
      equal(value, before?.value, 'what the update was given');
      if (to === 'throw') throw broken;
      return to === 'none' ? undefined : this.#t.value(spec.n);
    };
    const run = async (): Promise<unknown> => half.update(key, fn);
    if (to === 'throw') {
      const thrown = await run().catch((error: unknown) => error);
      if (thrown !== broken) throw thrown;
    } else if (before?.immutable === true && to === 'set') {
      await fails(run, 'conflict', 'an update of an immutable entry', { key });
    } else if (to === 'none') {
      equal(await run(), undefined, 'an update to none');
      if (before !== undefined) this.#model.remove(key);
    } else {
      const entry = defined(await half.update(key, fn), 'an entry');
      const { expiresAt, meta } = before ?? {};
      const kept = { ...(expiresAt !== undefined && { expiresAt }), ...(meta && { meta }) };
      const { value, ...head } = entry;
      equal(value, this.#t.value(spec.n), 'the updated value');
      this.#model.remove(key);
      this.#model.put({ type: 'set', key, value: this.#t.value(spec.n), ...kept }, head);
    }
  }

  async #getOrSet(specs: readonly WriteSpec[], dice: number): Promise<void> {
    const [spec] = specs;
    if (spec === undefined) return;
    const { key, n } = spec;
    const store = this.#handle(dice);
    const before = this.#model.get(key, this.#now());
    let loads = 0;
    const got = await store.getOrSet(key, () => {
      loads++;
      return this.#t.value(n);
    });
    equal(loads, before === undefined ? 1 : 0, 'loads');
    equal(got, before === undefined ? this.#t.value(n) : before.value, 'getOrSet');
    if (before !== undefined) return;
    const { value: _, ...head } = defined(await store.getEntry(key), 'an entry');
    this.#model.put({ type: 'set', key, value: this.#t.value(n) }, head);
  }

  /** Sets at once, from all handles: each is applied, the one of the latest revision stays. */
  async #burst(specs: readonly WriteSpec[], dice: number): Promise<void> {
    const nowMs = this.#now();
    const free = specs.filter(({ key }) => this.#model.get(key, nowMs)?.immutable !== true);
    const sets = free.map(
      ({ key, n }): SetWrite => ({ type: 'set', key, value: this.#t.value(n) }),
    );
    const writing = sets.map((set, at) => this.#handle(dice + at).set(set.key, set.value));
    const heads = await settles(this.#t, Promise.all(writing), 'a burst of sets');
    for (const key of new Set(sets.map((set) => set.key))) {
      const entry = defined(await this.#handle(dice).getEntry(key), 'an entry');
      const last = heads.findIndex((head) => head.key === key && head.version === entry.version);
      const { value, ...head } = entry;
      equal(value, sets[last]?.value, 'the value that stays');
      equal(head, heads[last], 'its head');
      for (const other of heads)
        if (other.key === key) ok((other.rev ?? 0) <= (head.rev ?? 0), 'the latest one stays');
      this.#model.remove(key);
      this.#model.put(defined(sets[last], 'a set'), head);
    }
  }

  async #read(specs: readonly WriteSpec[], dice: number): Promise<void> {
    const store = this.#handle(dice);
    const state = this.#model.state(this.#now());
    const keys = [...new Set(specs.map(({ key }) => key))];
    const there = keys.flatMap((key) => state.get(key) ?? []);
    const values = new Map(there.map(({ key, value }) => [key, value]));
    equal(await store.getMany(keys), values, 'getMany');
    equal([...(await store.getEntries(keys)).values()], there, 'getEntries');
    equal(
      [...(await store.hasMany(keys))],
      there.map(({ key }) => key),
      'hasMany',
    );
    for (const key of keys) {
      equal(await store.get(key), values.get(key), 'get');
      equal(await store.has(key), values.has(key), 'has');
      equal(blockingOf(store)?.get(key), blockingOf(store) && values.get(key), 'blocking.get');
    }
  }

  async #list(dice: number): Promise<void> {
    const range = RANGES[dice % RANGES.length] ?? {};
    const all = this.#model.sorted(this.#now()).filter(({ key }) => within(key, range));
    const ordered = range.reverse === true ? all.reverse() : all;
    const expected = ordered.slice(0, range.limit ?? ordered.length);
    const store = this.#handle(dice);
    const what = JSON.stringify(range);
    equal(await collect(store.list(range)), expected, `list ${what}`);
    equal(
      await collect(store.keys(range)),
      expected.map(({ key }) => key),
      `keys ${what}`,
    );
    const sync = blockingOf(store);
    if (sync !== undefined) equal([...sync.list(range)], expected, `blocking.list ${what}`);
  }

  /** Every handle is closed, and as many are opened on the data that is left. */
  async #reopen(dice: number): Promise<void> {
    if (!this.#traits.reopens) return;
    for (const follower of this.#followers) await follower.stop();
    const [first, ...others] = this.#handles;
    for (const other of others) await other.close();
    const again = await this.#t.reopen(defined(first, 'a handle'));
    this.#handles = [again];
    for (const _ of others) this.#handles.push(await this.#t.second(again));
    await this.#compare(again);
    this.#followers = this.#followers.map((follower) => {
      const { cursor, state } = follower;
      if (cursor === undefined) return new Follower(this.#t, again, { after: 'start' });
      return new Follower(this.#t, this.#handle(dice), { after: cursor }, state);
    });
  }

  async #compare(store: Store<unknown>): Promise<void> {
    equal(await collect(store.list()), this.#model.sorted(this.#now()), 'the whole state');
  }

  /** As `#follow`; false when the store says that it has forgotten too much, where it may. */
  async #catchUp(follower: Follower): Promise<boolean> {
    try {
      await this.#follow(follower);
      return true;
    } catch (error) {
      if (!this.#traits.forgetful || !isStrataError(error, 'cursor-expired')) throw error;
      return false;
    }
  }

  /** Applies the commits up to the head: the copy is at each `to` exactly what the store was. */
  async #follow(follower: Follower): Promise<void> {
    const head = await this.#handle(0).cursor();
    const same = (known: State | undefined): void => {
      // Waiting for a commit may have taken time.
      const nowMs = this.#now();
      if (known !== undefined)
        sameState(living(follower.state, nowMs), living(known, nowMs), 'the state after a commit');
    };
    // Nothing but the empty state lies before the first commit.
    if (follower.cursor === undefined && fromCursor('model', head).rev === 0) return;
    while (follower.cursor !== head) same(this.#model.at((await follower.step()).to));
    same(this.#model.state(this.#now()));
  }
}

/** Commands that write nothing. */
const QUIET: ReadonlySet<CommandKind> = new Set([
  'read',
  'list',
  'advance',
  'follow',
  'follow from the start',
  'catch up',
  'resume',
]);

function within(key: string, { prefix = '', gt, gte, lt, lte }: Range): boolean {
  return (
    key.startsWith(prefix) &&
    (gt === undefined || compareKeys(key, gt) > 0) &&
    (gte === undefined || compareKeys(key, gte) >= 0) &&
    (lt === undefined || compareKeys(key, lt) < 0) &&
    (lte === undefined || compareKeys(key, lte) <= 0)
  );
}
