import type { Entry, EntryHead } from '../../store/entry.ts';
import { compareKeys } from '../../store/keys.ts';
import type { BatchResult, BatchWrite } from '../../store/operations.ts';
import { defined, equal, ok, sameData } from '../assert.ts';
import { living, type State } from '../conformance/follower.ts';

/** What the model says of a batch before it is made. */
export interface Forecast {
  /** The key whose condition fails: nothing is then applied. */
  readonly conflict?: string;
  /** One a write: whether the key existed, and the entry that a set leaves. */
  readonly results: readonly { readonly existed: boolean; readonly stands?: Entry<unknown> }[];
  /** What each key holds afterwards, by the number of the write that made it. */
  readonly after: ReadonlyMap<string, number | 'gone'>;
}

/** The contract as a plain map: entries by key, and the state at each revision. */
export class Model {
  #entries: State = new Map();
  readonly #versions = new Set<string>();
  readonly #states = new Map<number, State>();
  readonly #loose: (readonly [from: number, to: number])[] = [];
  /** Versions that keys once had. */
  readonly former: Map<string, string> = new Map();
  rev = 0;
  /** Versions tell contents, and come again with them. */
  readonly #bare: boolean;

  constructor(bare: boolean) {
    this.#bare = bare;
  }

  state(nowMs: number): State {
    return living(this.#entries, nowMs);
  }

  get(key: string, nowMs: number): Entry<unknown> | undefined {
    return this.state(nowMs).get(key);
  }

  sorted(nowMs: number): Entry<unknown>[] {
    return [...this.state(nowMs).values()].sort((a, b) => compareKeys(a.key, b.key));
  }

  /** Notes that the store now stands at a revision. */
  arrive(rev: number, loose = false): void {
    ok(rev >= this.rev, `revisions never decrease: ${this.rev}, then ${rev}`);
    if (loose && rev > this.rev) this.#loose.push([this.rev, rev]);
    this.rev = rev;
    this.#states.set(rev, new Map(this.#entries));
  }

  /** The state at a revision; `undefined` where only the store knows it. */
  at(rev: number): State | undefined {
    const known = this.#states.get(rev);
    if (known === undefined)
      ok(
        this.#loose.some(([from, to]) => from < rev && rev < to),
        `no commit ends within another: ${rev}`,
      );
    return known;
  }

  /** What a batch will do. */
  forecast(writes: readonly BatchWrite<unknown>[], nowMs: number): Forecast {
    const after = new Map<string, number | 'gone'>();
    const state = this.state(nowMs);
    const results: { existed: boolean; stands?: Entry<unknown> }[] = [];
    for (const [at, write] of writes.entries()) {
      const { key } = write;
      const live = state.get(key);
      const existed = live !== undefined;
      if (write.if === 'absent' ? existed : write.if && write.if.version !== live?.version)
        return { conflict: key, results: [], after: new Map() };
      if (write.type === 'delete') {
        results.push({ existed });
        if (existed) after.set(key, 'gone');
        state.delete(key);
        continue;
      }
      if (live?.immutable === true) {
        if (write.immutable !== true || !sameData(write.value, live.value))
          return { conflict: key, results: [], after: new Map() };
        results.push({ existed, stands: live });
        continue;
      }
      results.push({ existed });
      after.set(key, at);
      if (write.expiresAt !== undefined && write.expiresAt <= nowMs) state.delete(key);
      else state.set(key, pending(write));
    }
    return { results, after };
  }

  /** Takes over what a batch did, checking it against the forecast. */
  apply(
    writes: readonly BatchWrite<unknown>[],
    forecast: Forecast,
    { results }: BatchResult,
  ): void {
    equal(
      results.map(({ key, existed }) => [key, existed]),
      forecast.results.map(({ existed }, at) => [writes[at]?.key, existed]),
      'whether the keys existed',
    );
    for (const [key, what] of forecast.after) {
      const { version } = this.#entries.get(key) ?? {};
      if (version !== undefined) this.former.set(key, version);
      if (what === 'gone') this.#entries.delete(key);
      else {
        const write = writes[what] as BatchWrite<unknown> & { readonly type: 'set' };
        this.put(write, defined(results[what]?.entry, 'an entry'));
      }
    }
    for (const [at, { stands }] of forecast.results.entries())
      if (stands !== undefined && stands.version !== '')
        equal(results[at]?.entry?.version, stands.version, 'the version of what stands');
  }

  /** Takes over one set, checking the head that the store gave for it. */
  put(write: BatchWrite<unknown> & { readonly type: 'set' }, head: EntryHead): void {
    const { key, value, expiresAt, immutable, meta } = write;
    equal(head.key, key, 'the key of the head');
    equal(head.expiresAt, expiresAt, 'its end');
    equal(head.immutable ?? false, immutable ?? false, 'whether it is immutable');
    equal(head.meta, meta, 'its metadata');
    ok(this.#bare || !this.#versions.has(head.version), `the version ${head.version} is new`);
    this.#versions.add(head.version);
    if (head.rev !== undefined) ok(head.rev > this.rev, `the revision ${head.rev} is new`);
    this.#entries.set(key, { ...head, value });
  }

  remove(key: string): void {
    const { version } = this.#entries.get(key) ?? {};
    if (version !== undefined) this.former.set(key, version);
    this.#entries.delete(key);
  }
}

/** An entry of which only the store knows the version yet. */
function pending(write: BatchWrite<unknown> & { readonly type: 'set' }): Entry<unknown> {
  const { key, value, expiresAt, immutable } = write;
  return {
    key,
    value,
    version: '',
    modifiedAt: 0,
    ...(expiresAt !== undefined && { expiresAt }),
    ...(immutable === true && { immutable }),
  };
}
