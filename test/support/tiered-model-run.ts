/** Carries out commands on a tiered store and on its model, one by one or several at once, and compares. */
import * as fc from 'fast-check';
import type { Entry } from '../../src/store/entry.ts';
import { isStrataError } from '../../src/store/errors.ts';
import { type Look, type Rules, TieredModel, type Written } from './tiered-model.ts';
import { LEASE_MS, PARTS, type PartName, TieredModelWorld } from './tiered-model-world.ts';

const KEYS = ['a', 'b', 'c'] as const;
/** Bound of every call that names none. */
const CALL_MS = 5_000;

type Reading = 'get' | 'entry' | 'many' | 'has' | 'fresh' | 'list' | 'keys';
type Writing = 'set' | 'brief' | 'delete' | 'batch' | 'absent' | 'good' | 'stale' | 'update';
type Others = 'others set' | 'others delete' | 'others brief';
type Passing =
  | 'pass'
  | 'step'
  | 'idle'
  | 'flush'
  | 'fail'
  | 'hang'
  | 'release'
  | 'crash'
  | 'reopen';
type Kind = Reading | Writing | Others | Passing;

const KINDS: readonly Kind[] = [
  ...(['get', 'get', 'get', 'entry', 'entry', 'many', 'has', 'fresh', 'list', 'keys'] as const),
  ...(['set', 'set', 'set', 'set', 'brief', 'delete', 'delete', 'batch', 'batch'] as const),
  ...(['absent', 'good', 'stale', 'update', 'update'] as const),
  ...(['others set', 'others delete', 'others brief'] as const),
  ...(['pass', 'pass', 'pass', 'step', 'step', 'idle', 'idle', 'flush'] as const),
  ...(['fail', 'fail', 'hang', 'hang', 'release', 'crash', 'reopen'] as const),
];

export interface Command {
  readonly kind: Kind;
  readonly key: string;
  readonly dice: number;
  /** The next command comes when nothing goes on any more; else at once. */
  readonly waits: boolean;
}

export const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(...KINDS),
    key: fc.constantFrom(...KEYS),
    dice: fc.nat({ max: 255 }),
    waits: fc.boolean(),
  }),
  { minLength: 1, maxLength: 100, size: 'max' },
);

export interface Setup {
  readonly keepsFront: boolean;
  readonly ages: boolean;
  readonly late: Readonly<Record<PartName, boolean>>;
  readonly breaker: boolean;
}

export const setups: fc.Arbitrary<Setup> = fc.record({
  keepsFront: fc.boolean(),
  ages: fc.boolean(),
  late: fc.record({ front: fc.boolean(), back: fc.boolean(), journal: fc.boolean() }),
  breaker: fc.boolean(),
});

/** What a set is given beside its value. */
interface Given {
  readonly expiresAt?: number;
  readonly meta?: { readonly n: number };
}

/** What was not applied and will not be. */
const REFUSED = ['unavailable', 'timeout', 'overloaded', 'closed', 'conflict', 'aborted'];

export class TieredModelRun {
  readonly #world: TieredModelWorld;
  readonly #model: TieredModel;
  readonly #rules: Rules;
  readonly #keepsFront: boolean;
  readonly #s: fc.Scheduler;
  readonly #wrong: unknown[] = [];
  readonly #versions = new Map<string, { version: string; write: Written }[]>();
  #open = 0;
  #count = 0;
  /** Something was made to fail, or time passed: calls may fail since. */
  #disturbed = false;

  constructor(policies: Pick<Rules, 'write' | 'read'>, setup: Setup, s: fc.Scheduler) {
    const { write, read } = policies;
    const ages = setup.ages && write !== 'front-only' && read === 'front-first';
    const ttlMs = ages ? 300 : Number.POSITIVE_INFINITY;
    this.#rules = { write, read, ttlMs };
    this.#model = new TieredModel(this.#rules, KEYS);
    // A front that outlives the process and is read alone keeps its entries (decision 5): after a
    // crash in the midst of a write it may show what was before.
    const keeps = setup.keepsFront && read === 'front-first';
    this.#keepsFront = keeps || write === 'front-only';
    this.#s = s;
    // What a durable front fails to let go of is there again after a crash: see decision 5.
    const steady = keeps && write !== 'front-only';
    this.#world = new TieredModelWorld({
      options: {
        ...policies,
        ...(ages && { ttlMs }),
        breaker: setup.breaker && { failures: 2, pauseMs: 50, maxPauseMs: 200 },
      },
      keepsFront: this.#keepsFront,
      late: { ...setup.late, front: setup.late.front && !steady },
      wait: (step) => s.schedule(Promise.resolve(), step),
    });
    this.#others('c', ++this.#count);
  }

  async do(command: Command): Promise<void> {
    await this.#act(command);
    if (command.waits) await this.#s.waitIdle();
    this.#throwWrong();
    if (this.#count % 8 === 0) this.#model.prune(this.#world.env.now());
  }

  /** Lets everything heal: nothing acknowledged is missing anywhere, and nothing is left. */
  async end(): Promise<void> {
    const world = this.#world;
    world.heal();
    await this.#pass(CALL_MS + 1);
    this.#throwWrong();
    if (this.#open > 0) throw new Error(`${this.#open} calls have not ended`);
    await this.#pass(3_000);
    if (this.#rules.write === 'behind') {
      const left = await this.#given(world.store.flush());
      if (left.keys > 0 || left.deadLetters > 0)
        throw new Error(`${left.keys} keys are left in the journal, ${left.deadLetters} refused`);
    }
    for (const key of KEYS) await this.#agrees(key);
    await this.#given(world.store.close());
    if (world.process.timers.size > 0) await this.#pass(2 * CALL_MS);
    if (world.process.timers.size > 0) throw new Error('timers are left');
    await this.#crash();
    for (const key of KEYS) await this.#agrees(key);
    await this.#given(world.store.close());
    this.#throwWrong();
  }

  async #agrees(key: string): Promise<void> {
    const { store, inBack, inFront } = this.#world;
    await this.#given(this.#get(key, false));
    await this.#given(this.#get(key, true));
    const shown = await this.#given(store.get(key, { fresh: true }));
    await this.#s.waitIdle();
    this.#throwWrong();
    const [copy, truth] = [inFront.blocking.get(key), inBack.blocking.get(key)];
    if (this.#rules.write !== 'front-only') {
      if (truth !== shown) throw new Error(`the back has ${key}=${truth}, and ${shown} is shown`);
      if (copy !== undefined && copy !== truth)
        throw new Error(`the front has ${key}=${copy}, the back ${truth}`);
    } else if (truth !== undefined && this.#model.writeOf(key, truth)?.own === true)
      throw new Error(`an overlay has written ${key}=${truth} to the back`);
  }

  #act({ kind, key, dice }: Command): unknown {
    const { env } = this.#world;
    switch (kind) {
      case 'get':
      case 'fresh':
        return void this.#get(key, kind === 'fresh');
      case 'entry':
        return void this.#entry(key);
      case 'many':
        return void this.#many();
      case 'has':
        return void this.#has(key);
      case 'list':
      case 'keys':
        return void this.#list(kind, dice % 2 === 0);
      case 'set':
      case 'brief':
        return void this.#set(key, this.#options(kind, dice));
      case 'delete':
        return void this.#delete(key);
      case 'batch':
        return void this.#batch(key, dice);
      case 'absent':
        return void this.#conditional(key, undefined, dice);
      case 'good':
      case 'stale':
        return this.#onVersion(key, kind, dice);
      case 'update':
        return void this.#update(key, dice % 8 === 0);
      case 'others set':
        return void this.#others(key, ++this.#count);
      case 'others delete':
        return void this.#others(key, undefined);
      case 'others brief':
        return void this.#others(key, ++this.#count, env.now() + 20 + dice);
      case 'flush':
        return void this.#world.store.flush({ timeoutMs: 100 }).catch(() => {});
      default:
        return this.#disturb(kind, dice);
    }
  }

  async #disturb(kind: Command['kind'], dice: number): Promise<void> {
    const { plans } = this.#world;
    const s = this.#s;
    if (kind === 'idle') return s.waitIdle();
    if (kind === 'step') {
      for (let left = dice % 4; left > 0 && s.count() > 0; left--) await s.waitNext(1);
      return;
    }
    this.#disturbed = true;
    if (kind === 'pass') return this.#world.env.advance([5, 50, 300, 1_500][dice % 4] as number);
    if (kind === 'release') for (const plan of Object.values(plans)) plan.release();
    if (kind === 'crash') return this.#crash();
    if (kind === 'reopen') return this.#reopen();
    if (kind !== 'fail' && kind !== 'hang') return;
    const part = PARTS[dice % 3] as PartName;
    const where = (['read', 'commit', 'commit', 'scan'] as const)[(dice >> 2) % 4] ?? 'read';
    const steady = this.#keepsFront && this.#rules.write !== 'front-only';
    if (part === 'front' && steady) return;
    const times = {
      applied: where === 'commit' && (dice & 16) > 0,
      after: (dice >> 5) % 3,
      times: dice > 200 ? 4 : 1,
    };
    if (kind === 'fail') plans[part].failNext(where, undefined, times);
    else plans[part].hangNext(where, times);
  }

  #crash(): Promise<void> {
    this.#model.crash();
    this.#open = 0;
    this.#world.restart();
    return this.#world.env.advance(this.#rules.write === 'behind' ? LEASE_MS : 0);
  }

  async #reopen(): Promise<void> {
    this.#world.heal();
    await this.#given(this.#world.store.close());
    await this.#s.waitIdle();
    if (this.#open > 0) await this.#pass(CALL_MS + 1);
    if (this.#open > 0) throw new Error(`${this.#open} calls have not ended, and all is closed`);
    return this.#crash();
  }

  /** Lets time pass, and whatever waits for it. */
  async #pass(ms: number): Promise<void> {
    const steps = Math.ceil(ms / 500);
    for (let i = 0; i < steps; i++) {
      await this.#s.waitIdle();
      await this.#world.env.advance(ms / steps);
    }
    await this.#s.waitIdle();
  }

  async #given<T>(promise: Promise<T>): Promise<T> {
    let open = true;
    const done = promise.finally(() => {
      open = false;
    });
    done.catch(() => {});
    await this.#s.waitIdle();
    for (let i = 0; open && i < 400; i++) {
      await this.#world.env.advance(i < 5 ? 0 : 50);
      await this.#s.waitIdle();
    }
    if (open) throw new Error('nothing is given');
    return done;
  }

  #throwWrong(): void {
    if (this.#wrong.length > 0) throw this.#wrong[0];
  }

  /** One call: `work` gives what is to be checked when it has ended. */
  async #call<T>(
    made: readonly Written[],
    begin: { began: number; beganMs: number },
    work: () => Promise<T>,
    check: (given: T, look: Look) => unknown,
    failed: (code: string, look: Look) => void = () => {},
  ): Promise<void> {
    const { env, process } = this.#world;
    this.#open++;
    const look = (): Look => {
      const endedMs = env.now();
      if (endedMs - begin.beganMs > CALL_MS)
        throw new Error(`a call took ${endedMs - begin.beganMs} ms`);
      return { ...begin, ended: this.#model.tick(), endedMs, fresh: false };
    };
    try {
      const given = await work();
      if (process.dead || process !== this.#world.process) return;
      const nothing = check(given, look()) === 'nothing written';
      this.#model.wrote(made, nothing ? 'refused' : 'done');
    } catch (error) {
      if (process.dead || process !== this.#world.process) return;
      this.#failed(error, made, look, failed);
    }
    this.#open--;
    this.#model.end(begin);
  }

  #failed(
    error: unknown,
    made: readonly Written[],
    look: () => Look,
    failed: (code: string, look: Look) => void,
  ): void {
    try {
      if (!isStrataError(error)) throw error;
      const { code } = error;
      const unsure = code === 'unknown-outcome' && made.length > 0;
      if (!unsure && !REFUSED.includes(code)) throw error;
      if (code !== 'conflict' && !this.#disturbed) throw error;
      failed(code, look());
      this.#model.wrote(made, unsure ? 'unknown' : 'refused');
    } catch (wrong) {
      this.#wrong.push(wrong);
    }
  }

  #begin(): { began: number; beganMs: number } {
    return this.#model.begin(this.#world.env.now());
  }

  #get(key: string, fresh: boolean): Promise<void> {
    return this.#call(
      [],
      this.#begin(),
      () => this.#world.store.get(key, { fresh }),
      (value, look) => void this.#model.gave(key, value, this.#looked(look, fresh), 'get'),
    );
  }

  /** An overlay has its own truth. */
  #looked(look: Look, fresh: boolean): Look {
    const sees = fresh && this.#rules.write !== 'front-only';
    // What is pending comes before what others wrote, until it turns out to be in the back.
    return { ...look, fresh: sees, binds: sees && this.#rules.write !== 'behind' };
  }

  #entry(key: string): Promise<void> {
    return this.#call(
      [],
      this.#begin(),
      () => this.#world.store.getEntry(key),
      (entry, look) => this.#checkEntry(key, entry, look, 'getEntry'),
    );
  }

  #checkEntry(key: string, entry: Entry<unknown> | undefined, look: Look, what: string): void {
    const [write] = this.#model.gave(key, entry?.value, look, what);
    if (write === undefined || entry === undefined) return;
    const { expiresAt, meta, version } = write;
    if (entry.expiresAt !== expiresAt || entry.meta?.n !== meta?.n)
      throw new Error(`${what}: ${key}=${entry.value} has another expiry or other metadata`);
    const shown = version ?? entry.version;
    const copied = this.#rules.write === 'front-only' && !write.own;
    if (entry.version !== shown && !copied)
      throw new Error(`${what}: ${key}=${entry.value} has version ${entry.version}, not ${shown}`);
    this.#knows(write, entry.version);
  }

  #knows(write: Written, version: string): void {
    const known = this.#versions.get(write.key) ?? [];
    this.#versions.set(write.key, known);
    write.version ??= version;
    if (!known.some((one) => one.version === version)) known.push({ version, write });
  }

  #many(): Promise<void> {
    return this.#call(
      [],
      this.#begin(),
      () => this.#world.store.getMany(KEYS),
      (found, look) => {
        for (const key of KEYS) this.#model.gave(key, found.get(key), look, 'getMany');
      },
    );
  }

  #has(key: string): Promise<void> {
    return this.#call(
      [],
      this.#begin(),
      () => this.#world.store.has(key),
      (has, look) => {
        if (!this.#model.may(key, look, (one) => has === (one !== undefined)))
          throw new Error(`has: ${has} for ${key}`);
      },
    );
  }

  #list(kind: 'list' | 'keys', reverse: boolean): Promise<void> {
    const { store } = this.#world;
    const { read } = this.#rules;
    const own = this.#rules.write === 'front-only';
    // A page of a front that is read alone may be older than what a read gave beside it.
    return this.#call<readonly (Entry<unknown> | string)[]>(
      [],
      this.#begin(),
      () => Array.fromAsync<Entry<unknown> | string>(store[kind]({ reverse })),
      (given, read_) => {
        const look = { ...read_, fresh: !own && read === 'front-first' };
        const keyOf = (one: Entry<unknown> | string) => (typeof one === 'string' ? one : one.key);
        for (const key of KEYS) {
          const one = given.find((each) => keyOf(each) === key);
          // A front that is listed says nothing of what it does not have.
          if (one === undefined && (own || read === 'front-only')) continue;
          if (read === 'front-only' && !own) continue;
          if (kind === 'list') this.#checkEntry(key, one as Entry<unknown>, look, kind);
          else if (
            !this.#model.may(key, look, (write) => (one !== undefined) === (write !== undefined))
          )
            throw new Error(`keys: ${one} for ${key}`);
        }
        const order = given.map(keyOf);
        const sorted = [...order].sort();
        if (`${reverse ? sorted.reverse() : sorted}` !== `${order}`)
          throw new Error(`${kind} gave ${order}`);
      },
    );
  }

  #options(kind: 'set' | 'brief', dice: number): Given {
    const brief = kind === 'brief' && { expiresAt: this.#world.env.now() + 20 + dice };
    return { ...brief, ...(dice % 3 === 0 && { meta: { n: dice } }) };
  }

  #set(key: string, options: Given): Promise<void> {
    const value = ++this.#count;
    const begin = this.#begin();
    const made = this.#model.writing([{ key, value, ...options }], begin);
    return this.#call(
      made,
      begin,
      () => this.#world.store.set(key, value, options),
      ({ version }) => this.#knows(made[0] as Written, version),
    );
  }

  #delete(key: string): Promise<void> {
    const begin = this.#begin();
    const made = this.#model.writing([{ key, value: undefined }], begin);
    const { write } = this.#rules;
    return this.#call(
      made,
      begin,
      () => this.#world.store.delete(key),
      (existed, read) => {
        // Whether it existed nobody can say while the back is away.
        if (existed && write === 'behind') return;
        const look = { ...read, fresh: write === 'through' || write === 'around' };
        if (!this.#model.may(key, look, (one) => existed === (one !== undefined), made))
          throw new Error(`delete: ${existed} for ${key}`);
      },
    );
  }

  #batch(but: string, dice: number): Promise<void> {
    const begin = this.#begin();
    const writes = KEYS.filter((key) => key !== but || dice % 2 === 0).map((key) => ({
      key,
      value: key === but && dice % 4 === 0 ? undefined : ++this.#count,
    }));
    const made = this.#model.writing(writes, begin);
    return this.#call(
      made,
      begin,
      () =>
        this.#world.store.batch(
          writes.map(({ key, value }) =>
            value === undefined ? { type: 'delete', key } : { type: 'set', key, value },
          ),
        ),
      () => {},
    );
  }

  /** A look of a condition: at the truth, or at what a reader may see. */
  #judged(look: Look): Look {
    const { write } = this.#rules;
    return { ...look, fresh: write === 'through' || write === 'around' };
  }

  #onVersion(key: string, kind: 'good' | 'stale', dice: number): void {
    const known = this.#versions.get(key) ?? [];
    const one = kind === 'good' ? known.at(-1) : known.at(dice % Math.max(1, known.length));
    if (one !== undefined) void this.#conditional(key, one, dice);
  }

  #conditional(
    key: string,
    on: { version: string; write: Written } | undefined,
    dice: number,
  ): Promise<void> {
    const value = dice % 5 === 0 && on !== undefined ? undefined : ++this.#count;
    const begin = this.#begin();
    const made = this.#model.writing([{ key, value }], begin);
    const condition = { if: on === undefined ? ('absent' as const) : { version: on.version } };
    const { store } = this.#world;
    const meets = (one: Written | undefined) => one === on?.write;
    return this.#call(
      made,
      begin,
      async () =>
        value === undefined
          ? void (await store.delete(key, condition))
          : await store.set(key, value, condition),
      (head, look) => {
        if (!this.#model.may(key, this.#judged(look), meets, made))
          throw new Error(`${key}=${value} was taken on ${on?.write.value ?? 'absent'}`);
        if (on !== undefined) this.#model.replace(on.write);
        if (head) this.#knows(made[0] as Written, head.version);
      },
      (code, look) => {
        if (code !== 'conflict') return;
        if (!this.#model.may(key, this.#judged(look), (one) => !meets(one), made))
          throw new Error(`${key}=${value} was refused on ${on?.write.value ?? 'absent'}`);
      },
    );
  }

  #update(key: string, deletes: boolean): Promise<void> {
    const value = deletes ? undefined : ++this.#count;
    const begin = this.#begin();
    const meta = { n: 7 };
    const made = this.#model.writing([{ key, value, meta }], begin);
    const [write] = made as [Written];
    let before: unknown;
    return this.#call(
      made,
      begin,
      () =>
        this.#world.store.update(
          key,
          (given) => {
            before = given;
            // The expiry of what it replaces stays.
            const replaced = given === undefined ? undefined : this.#model.writeOf(key, given);
            write.expiresAt = value === undefined ? undefined : replaced?.expiresAt;
            return value;
          },
          { meta },
        ),
      (entry, look) => {
        if (entry?.value !== value) throw new Error(`update: ${entry?.value}`);
        const parent = before === undefined ? undefined : this.#model.writeOf(key, before);
        if (!this.#model.may(key, this.#judged(look), (one) => one?.value === before, made))
          throw new Error(`update of ${key} began with ${before}`);
        if (parent !== undefined) this.#model.replace(parent);
        if (entry !== undefined) this.#knows(write, entry.version);
        return value === undefined && before === undefined ? 'nothing written' : undefined;
      },
    );
  }

  #others(key: string, value: number | undefined, expiresAt?: number): void {
    const { env, inBack } = this.#world;
    const options = expiresAt === undefined ? {} : { expiresAt };
    // What a journal still has is shown before it, until it turns out to be in the back.
    const solid = this.#rules.write !== 'behind';
    const write = this.#model.others(key, value, env.now(), expiresAt, solid);
    if (value === undefined) inBack.blocking.delete(key);
    else this.#knows(write, inBack.blocking.set(key, value, options).version);
  }
}
