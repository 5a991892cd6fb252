/** Calls of a tiered store and of its model at once: what each gives is compared when it has ended. */
import type * as fc from 'fast-check';
import type { Entry } from '../../src/store/entry.ts';
import { isStrataError } from '../../src/store/errors.ts';
import { type Look, type Rules, TieredModel, type Written } from './tiered-model.ts';
import { KEYS, type Setup } from './tiered-model-commands.ts';
import { type Begun, checkTook, stepwise } from './tiered-model-steps.ts';
import { TieredModelWorld } from './tiered-model-world.ts';

/** What a set is given beside its value. */
interface Given {
  readonly expiresAt?: number;
  readonly meta?: { readonly n: number };
}

/** What was not applied and will not be. */
const REFUSED = ['unavailable', 'timeout', 'overloaded', 'closed', 'conflict', 'aborted'];

export class TieredModelCalls {
  protected readonly world: TieredModelWorld;
  protected readonly model: TieredModel;
  protected readonly rules: Rules;
  protected readonly keepsFront: boolean;
  protected readonly s: fc.Scheduler;
  protected readonly wrong: unknown[] = [];
  protected readonly versions: Map<string, { version: string; write: Written }[]> = new Map();
  protected open = 0;
  protected count = 0;
  /** Something was made to fail, or time passed: calls may fail since. */
  protected disturbed = false;

  constructor(policies: Pick<Rules, 'write' | 'read'>, setup: Setup, s: fc.Scheduler) {
    const { write, read } = policies;
    const ages = setup.ages && write !== 'front-only' && read === 'front-first';
    const ttlMs = ages ? 300 : Number.POSITIVE_INFINITY;
    this.rules = { write, read, ttlMs };
    this.model = new TieredModel(this.rules, KEYS);
    // A front that outlives the process and is read alone keeps its entries (decision 5): after a
    // crash in the midst of a write it may show what was before.
    const keeps = setup.keepsFront && read === 'front-first';
    this.keepsFront = keeps || write === 'front-only';
    this.s = s;
    // What a durable front fails to let go of is there again after a crash: see decision 5.
    const steady = keeps && write !== 'front-only';
    this.world = new TieredModelWorld({
      options: {
        ...policies,
        ...(ages && { ttlMs }),
        breaker: setup.breaker && { failures: 2, pauseMs: 50, maxPauseMs: 200 },
      },
      keepsFront: this.keepsFront,
      late: { ...setup.late, front: setup.late.front && !steady },
      wait: (step) => s.schedule(Promise.resolve(), step),
    });
    this.others('c', ++this.count);
  }

  /** Lets time pass, and whatever waits for it. */
  protected async pass(ms: number): Promise<void> {
    const steps = Math.ceil(ms / 500);
    for (let i = 0; i < steps; i++) {
      await this.s.waitIdle();
      await this.world.env.advance(ms / steps);
    }
    await this.s.waitIdle();
  }

  protected async given<T>(promise: Promise<T>): Promise<T> {
    let open = true;
    const done = promise.finally(() => {
      open = false;
    });
    done.catch(() => {});
    await this.s.waitIdle();
    for (let i = 0; open && i < 400; i++) {
      await this.world.env.advance(i < 5 ? 0 : 50);
      await this.s.waitIdle();
    }
    if (open) throw new Error('nothing is given');
    return done;
  }

  protected throwWrong(): void {
    if (this.wrong.length > 0) throw this.wrong[0];
  }

  /** One call: `work` gives what is to be checked when it has ended. */
  protected async call<T>(
    made: readonly Written[],
    begin: Begun,
    work: () => Promise<T>,
    check: (given: T, look: Look) => unknown,
    failed: (code: string, look: Look) => void = () => {},
  ): Promise<void> {
    const { env, process } = this.world;
    this.open++;
    const look = (): Look => {
      const endedMs = env.now();
      checkTook(endedMs - (begin.steppedMs ?? begin.beganMs));
      return { ...begin, ended: this.model.tick(), endedMs, fresh: false };
    };
    try {
      const given = await work();
      if (process.dead || process !== this.world.process) return;
      const nothing = check(given, look()) === 'nothing written';
      this.model.wrote(made, nothing ? 'refused' : 'done');
    } catch (error) {
      if (process.dead || process !== this.world.process) return;
      this.failed(error, made, look, failed);
    }
    this.open--;
    this.model.end(begin);
  }

  protected failed(
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
      if (code !== 'conflict' && !this.disturbed) throw error;
      failed(code, look());
      this.model.wrote(made, unsure ? 'unknown' : 'refused', this.landsLate);
    } catch (wrong) {
      this.wrong.push(wrong);
    }
  }

  /** What was sent to the back may come after later writes, where nothing but their order there tells them apart. */
  protected get landsLate(): boolean {
    const { write } = this.rules;
    return this.world.landing > 0 && (write === 'through' || write === 'around');
  }

  protected begin(): Begun {
    return this.model.begin(this.world.env.now());
  }

  protected get(key: string, fresh: boolean): Promise<void> {
    return this.call(
      [],
      this.begin(),
      () => this.world.store.get(key, { fresh }),
      (value, look) => void this.model.gave(key, value, this.looked(look, fresh), 'get'),
    );
  }

  /** An overlay has its own truth. */
  protected looked(look: Look, fresh: boolean): Look {
    const sees = fresh && this.rules.write !== 'front-only';
    // What is pending comes before what others wrote, until it turns out to be in the back.
    return { ...look, fresh: sees, binds: sees && this.rules.write !== 'behind' };
  }

  protected entry(key: string): Promise<void> {
    return this.call(
      [],
      this.begin(),
      () => this.world.store.getEntry(key),
      (entry, look) => this.checkEntry(key, entry, look, 'getEntry'),
    );
  }

  protected checkEntry(
    key: string,
    entry: Entry<unknown> | undefined,
    look: Look,
    what: string,
  ): void {
    const [write] = this.model.gave(key, entry?.value, look, what);
    if (write === undefined || entry === undefined) return;
    const { expiresAt, meta, version } = write;
    if (entry.expiresAt !== expiresAt || entry.meta?.n !== meta?.n)
      throw new Error(`${what}: ${key}=${entry.value} has another expiry or other metadata`);
    const shown = version ?? entry.version;
    const copied = this.rules.write === 'front-only' && !write.own;
    if (entry.version !== shown && !copied)
      throw new Error(`${what}: ${key}=${entry.value} has version ${entry.version}, not ${shown}`);
    this.knows(write, entry.version);
  }

  protected knows(write: Written, version: string): void {
    const known = this.versions.get(write.key) ?? [];
    this.versions.set(write.key, known);
    write.version ??= version;
    if (!known.some((one) => one.version === version)) known.push({ version, write });
  }

  protected many(): Promise<void> {
    return this.call(
      [],
      this.begin(),
      () => this.world.store.getMany(KEYS),
      (found, look) => {
        for (const key of KEYS) this.model.gave(key, found.get(key), look, 'getMany');
      },
    );
  }

  protected has(key: string): Promise<void> {
    return this.call(
      [],
      this.begin(),
      () => this.world.store.has(key),
      (has, look) => {
        if (!this.model.may(key, look, (one) => has === (one !== undefined)))
          throw new Error(`has: ${has} for ${key}`);
      },
    );
  }

  protected list(kind: 'list' | 'keys', reverse: boolean): Promise<void> {
    const { store } = this.world;
    const { read } = this.rules;
    const own = this.rules.write === 'front-only';
    // A page of a front that is read alone may be older than what a read gave beside it.
    const begin = this.begin();
    return this.call<readonly (Entry<unknown> | string)[]>(
      [],
      begin,
      () => stepwise<Entry<unknown> | string>(store[kind]({ reverse }), begin, this.world),
      (given, read_) => {
        const look = { ...read_, fresh: !own && read === 'front-first' };
        const keyOf = (one: Entry<unknown> | string) => (typeof one === 'string' ? one : one.key);
        for (const key of KEYS) {
          const one = given.find((each) => keyOf(each) === key);
          // A front that is listed says nothing of what it does not have.
          if (one === undefined && (own || read === 'front-only')) continue;
          if (read === 'front-only' && !own) continue;
          if (kind === 'list') this.checkEntry(key, one as Entry<unknown>, look, kind);
          else if (
            !this.model.may(key, look, (write) => (one !== undefined) === (write !== undefined))
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

  protected options(kind: 'set' | 'brief', dice: number): Given {
    const brief = kind === 'brief' && { expiresAt: this.world.env.now() + 20 + dice };
    return { ...brief, ...(dice % 3 === 0 && { meta: { n: dice } }) };
  }

  protected set(key: string, options: Given): Promise<void> {
    const value = ++this.count;
    const begin = this.begin();
    const made = this.model.writing([{ key, value, ...options }], begin);
    return this.call(
      made,
      begin,
      () => this.world.store.set(key, value, options),
      ({ version }) => this.knows(made[0] as Written, version),
    );
  }

  protected delete(key: string): Promise<void> {
    const begin = this.begin();
    const made = this.model.writing([{ key, value: undefined }], begin);
    const { write } = this.rules;
    return this.call(
      made,
      begin,
      () => this.world.store.delete(key),
      (existed, read) => {
        // Whether it existed nobody can say while the back is away.
        if (existed && write === 'behind') return;
        const look = { ...read, fresh: write === 'through' || write === 'around' };
        if (!this.model.may(key, look, (one) => existed === (one !== undefined), made))
          throw new Error(`delete: ${existed} for ${key}`);
      },
    );
  }

  protected batch(but: string, dice: number): Promise<void> {
    const begin = this.begin();
    const writes = KEYS.filter((key) => key !== but || dice % 2 === 0).map((key) => ({
      key,
      value: key === but && dice % 4 === 0 ? undefined : ++this.count,
    }));
    const made = this.model.writing(writes, begin);
    return this.call(
      made,
      begin,
      () =>
        this.world.store.batch(
          writes.map(({ key, value }) =>
            value === undefined ? { type: 'delete', key } : { type: 'set', key, value },
          ),
        ),
      () => {},
    );
  }

  /** A look of a condition: at the truth, or at what a reader may see. */
  protected judged(look: Look): Look {
    const { write } = this.rules;
    return { ...look, fresh: write === 'through' || write === 'around' };
  }

  protected onVersion(key: string, kind: 'good' | 'stale', dice: number): void {
    const known = this.versions.get(key) ?? [];
    const one = kind === 'good' ? known.at(-1) : known.at(dice % Math.max(1, known.length));
    if (one !== undefined) void this.conditional(key, one, dice);
  }

  protected conditional(
    key: string,
    on: { version: string; write: Written } | undefined,
    dice: number,
  ): Promise<void> {
    const value = dice % 5 === 0 && on !== undefined ? undefined : ++this.count;
    const begin = this.begin();
    const made = this.model.writing([{ key, value }], begin);
    const condition = { if: on === undefined ? ('absent' as const) : { version: on.version } };
    const { store } = this.world;
    const meets = (one: Written | undefined) => one === on?.write;
    return this.call(
      made,
      begin,
      async () =>
        value === undefined
          ? void (await store.delete(key, condition))
          : await store.set(key, value, condition),
      (head, look) => {
        if (!this.model.may(key, this.judged(look), meets, made))
          throw new Error(`${key}=${value} was taken on ${on?.write.value ?? 'absent'}`);
        if (on !== undefined) this.model.replace(on.write);
        if (head) this.knows(made[0] as Written, head.version);
      },
      (code, look) => {
        if (code !== 'conflict') return;
        const judged = this.judged(look);
        if (!this.model.may(key, judged, (one) => !meets(one), made))
          throw new Error(`${key}=${value} was refused on ${on?.write.value ?? 'absent'}`);
        // It drops the copies that led to it.
        if (judged.fresh) this.model.bind(key, judged, (one) => !meets(one), made);
      },
    );
  }

  protected update(key: string, deletes: boolean): Promise<void> {
    const value = deletes ? undefined : ++this.count;
    const begin = this.begin();
    const meta = { n: 7 };
    const made = this.model.writing([{ key, value, meta }], begin);
    const [write] = made as [Written];
    let before: unknown;
    return this.call(
      made,
      begin,
      () =>
        this.world.store.update(
          key,
          (given) => {
            before = given;
            // The expiry of what it replaces stays.
            const replaced = given === undefined ? undefined : this.model.writeOf(key, given);
            write.expiresAt = value === undefined ? undefined : replaced?.expiresAt;
            return value;
          },
          { meta },
        ),
      (entry, look) => {
        if (entry?.value !== value) throw new Error(`update: ${entry?.value}`);
        const parent = before === undefined ? undefined : this.model.writeOf(key, before);
        if (!this.model.may(key, this.judged(look), (one) => one?.value === before, made))
          throw new Error(`update of ${key} began with ${before}`);
        if (parent !== undefined) this.model.replace(parent);
        if (entry !== undefined) this.knows(write, entry.version);
        return value === undefined && before === undefined ? 'nothing written' : undefined;
      },
    );
  }

  protected others(key: string, value: number | undefined, expiresAt?: number): void {
    const { env, inBack } = this.world;
    const options = expiresAt === undefined ? {} : { expiresAt };
    // What a journal still has is shown before it, until it turns out to be in the back.
    const solid = this.rules.write !== 'behind';
    const write = this.model.others(key, value, env.now(), expiresAt, solid);
    if (value === undefined) inBack.blocking.delete(key);
    else this.knows(write, inBack.blocking.set(key, value, options).version);
  }
}
