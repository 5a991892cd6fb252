/** What a dedupe buffer promises, in the plainest words: a list of entries, and a sink that is looked at. */
import {
  DedupeBuffer,
  type DedupeStatus,
  type DedupeWindow,
  type SinkUpdate,
} from '../../src/kernel/dedupe-buffer/index.ts';

/** What can happen next. A window that fails is put back; `fail-applied` is one whose sink did its work all the same. */
export type DedupeStep =
  | { readonly do: 'put' | 'delete'; readonly key: string }
  | { readonly do: DedupeStatus | 'reconnect' | 'take' | 'fail' | 'fail-applied' };

export interface DedupeModelOptions {
  readonly trackSeen: boolean;
  readonly cancelUnseen: boolean;
  /** What the sink holds at the start without the buffer's knowledge. */
  readonly before?: readonly string[];
}

type Entry =
  | { readonly key: string; readonly value: number | undefined }
  | { readonly status: DedupeStatus };

const isMark = (entry: Entry | undefined): entry is { readonly status: DedupeStatus } =>
  entry !== undefined && 'status' in entry;

/** The queue as a list in which everything is searched for. */
class NaiveQueue {
  entries: Entry[] = [];
  /** Keys that the sink holds by what it was given: for certain, or perhaps. */
  held = new Map<string, 'surely' | 'perhaps'>();
  readonly #cancels: boolean;

  constructor(cancels: boolean) {
    this.#cancels = cancels;
  }

  get keys(): Set<string> {
    return new Set(this.entries.flatMap((entry) => (isMark(entry) ? [] : [entry.key])));
  }

  newest(key: string): number | undefined {
    const found = this.entries.findLast((entry) => !isMark(entry) && entry.key === key);
    return found === undefined || isMark(found) ? undefined : found.value;
  }

  put(key: string, value: number | undefined): void {
    const start = this.entries.findLastIndex(isMark) + 1;
    const at = this.entries.findIndex(
      (entry, i) => i >= start && !isMark(entry) && entry.key === key,
    );
    const prior = this.entries.slice(0, start).findLast((e) => !isMark(e) && e.key === key);
    const absent =
      prior === undefined ? !this.held.has(key) : !isMark(prior) && prior.value === undefined;
    if (this.#cancels && value === undefined && absent) {
      if (at >= 0) this.entries.splice(at, 1);
    } else if (at >= 0) this.entries[at] = { key, value };
    else this.entries.push({ key, value });
  }

  mark(status: DedupeStatus): void {
    const middle = this.entries.findIndex((entry, i) => i > 0 && isMark(entry));
    if (middle > 0) {
      const after = this.entries.splice(middle).slice(1);
      for (const entry of after) if (!isMark(entry)) this.put(entry.key, entry.value);
    }
    if (isMark(this.entries.at(-1))) this.entries.pop();
    this.entries.push({ status });
  }

  take(): Entry[] {
    const keys = this.entries.flatMap((entry) => (isMark(entry) ? [] : [entry.key]));
    const twice = new Set(keys).size < keys.length;
    return this.entries.splice(
      0,
      twice ? this.entries.findLastIndex(isMark) + 1 : this.entries.length,
    );
  }

  putBack(window: readonly Entry[]): void {
    const newer = this.entries;
    this.entries = [...window];
    for (const entry of newer)
      if (isMark(entry)) this.mark(entry.status);
      else this.put(entry.key, entry.value);
  }
}

type State = ReadonlyMap<string, number>;

function differs(sink: State, state: State, except?: ReadonlySet<string>): boolean {
  const keys = [...sink.keys(), ...state.keys()];
  return keys.some((key) => !except?.has(key) && sink.get(key) !== state.get(key));
}

/** What a window in flight needs to be undone. */
interface Flight {
  readonly window: DedupeWindow<DedupeUpdateOf>;
  readonly entries: readonly Entry[];
  readonly sink: ReadonlyMap<string, number>;
  readonly held: ReadonlyMap<string, 'surely' | 'perhaps'>;
  readonly ahead: ReadonlySet<string>;
  readonly reached: number;
  readonly status: DedupeStatus | undefined;
}

type DedupeUpdateOf = Parameters<DedupeBuffer<number>['onUpdates']>[0][number];

/** A buffer, the list beside it, and a sink; every step is checked, and throws at the first broken promise. */
export class DedupeWorld {
  readonly buffer: DedupeBuffer<number>;
  readonly #options: DedupeModelOptions;
  readonly #naive: NaiveQueue;
  readonly #keys = new Set<string>();
  #values = 0;
  /** What the producer has told, as a state. */
  #source = new Map<string, number>();
  /** What the sink holds. */
  #sink = new Map<string, number>();
  /** Marks in the order given, each with the state of the producer at that moment. */
  #marks: { readonly status: DedupeStatus; readonly state: State }[] = [];
  /** How many of the marks the sink has passed. */
  #reached = 0;
  #given: DedupeStatus | undefined;
  #sinkStatus: DedupeStatus | undefined;
  #missing: Set<string> | undefined;
  /** Keys for which the buffer has made deletes of its own, in its order, which is its own affair. */
  readonly #deletedAnew: string[] = [];
  /** Keys that the sink has taken from windows that failed all the same, until they come again. */
  #ahead = new Set<string>();
  #flight: Flight | undefined;

  constructor(options: DedupeModelOptions) {
    this.#options = options;
    const { trackSeen, cancelUnseen } = options;
    const deleteOf = (key: string): DedupeUpdateOf => {
      this.#deletedAnew.push(key);
      return { key, deleted: true };
    };
    this.buffer = new DedupeBuffer<number>({ trackSeen, cancelUnseen, deleteOf });
    this.#naive = new NaiveQueue(cancelUnseen);
    for (const key of options.before ?? []) {
      this.#sink.set(key, 0);
      this.#source.set(key, 0);
    }
  }

  /** Does one step; false where it could change nothing. */
  step(step: DedupeStep): boolean {
    const done = this.#do(step);
    this.#checkQueue();
    return done;
  }

  /** Takes until nothing is left; the sink is then where the producer is. */
  drain(): void {
    for (let takes = 0; this.#take(); takes++)
      if (takes > 3) throw new Error('more windows than segments');
    if (differs(this.#sink, this.#source)) throw new Error(this.#story('the sink ends elsewhere'));
    if (this.#given !== undefined && this.#sinkStatus !== this.#given)
      throw new Error(`the sink ends with ${this.#sinkStatus}, not ${this.#given}`);
  }

  #do(step: DedupeStep): boolean {
    switch (step.do) {
      case 'put':
        return this.#update(step.key, ++this.#values);
      case 'delete':
        return this.#update(step.key, undefined);
      case 'reconnect':
        return this.#reconnect();
      case 'take':
        return this.#take();
      case 'fail':
      case 'fail-applied':
        return this.#fail(step.do === 'fail-applied');
      default:
        return this.#status(step.do);
    }
  }

  #update(key: string, value: number | undefined): boolean {
    this.#keys.add(key);
    this.#missing?.delete(key);
    this.buffer.onUpdates([value === undefined ? { key, deleted: true } : { key, value }]);
    this.#naive.put(key, value);
    if (value === undefined) this.#source.delete(key);
    else this.#source.set(key, value);
    return true;
  }

  #status(status: DedupeStatus): boolean {
    this.buffer.onStatusUpdated(status);
    if (status === 'in-sync') {
      const told = this.#deletedAnew.splice(0);
      if (told.toSorted().join() !== [...(this.#missing ?? [])].toSorted().join())
        throw new Error(
          `${told} deleted after a reconnect instead of ${[...(this.#missing ?? [])]}`,
        );
      for (const key of told) {
        this.#naive.put(key, undefined);
        this.#source.delete(key);
      }
      this.#missing = undefined;
    }
    if (status !== this.#given) {
      this.#naive.mark(status);
      this.#marks.push({ status, state: new Map(this.#source) });
    }
    this.#given = status;
    return true;
  }

  #reconnect(): boolean {
    this.buffer.onReconnect();
    this.#missing = new Set(this.#naive.held.keys());
    if (!this.#options.cancelUnseen) for (const key of this.#naive.keys) this.#missing.add(key);
    this.#naive.entries = [];
    this.#source = new Map(this.#sink);
    this.#ahead.clear();
    this.#given = undefined;
    return true;
  }

  #take(): boolean {
    this.#flight = undefined;
    const window = this.buffer.tryNext();
    const expected = this.#naive.take();
    if (window === 'stopped') throw new Error('stopped by nobody');
    if (window === 'empty') {
      if (expected.length > 0) throw new Error('empty, but something was queued');
      return false;
    }
    this.#flight = {
      window,
      entries: expected,
      sink: new Map(this.#sink),
      held: new Map(this.#naive.held),
      ahead: new Set(this.#ahead),
      reached: this.#reached,
      status: this.#sinkStatus,
    };
    this.#checkWords(window, expected);
    this.#deliver(window);
    if (this.buffer.length === 0 && differs(this.#sink, this.#source))
      throw new Error(this.#story('a whole window leads elsewhere'));
    return true;
  }

  #checkWords(window: DedupeWindow<DedupeUpdateOf>, expected: readonly Entry[]): void {
    const words = window.parts.flatMap((part) =>
      part.type === 'status'
        ? [part.status]
        : part.updates.map(({ key, value }) => `${key}=${value}`),
    );
    const wanted = expected.map((e) => (isMark(e) ? e.status : `${e.key}=${e.value}`));
    if (words.join() !== wanted.join()) throw new Error(`window ${words} instead of ${wanted}`);
    const keys = window.updates.map(({ key }) => key);
    if (new Set(keys).size < keys.length) throw new Error(`a key twice in ${words}`);
    if (window.size !== keys.length)
      throw new Error(`a window of ${keys.length} with size ${window.size}`);
  }

  #deliver(window: DedupeWindow<DedupeUpdateOf>): void {
    for (const part of window.parts)
      if (part.type === 'status') this.#pass(part.status);
      else for (const update of part.updates) this.#apply(update);
  }

  #apply(update: SinkUpdate<DedupeUpdateOf>): void {
    const { key, kind } = update;
    const { held } = this.#naive;
    const sure = this.#options.trackSeen ? held.get(key) === 'surely' : true;
    const wanted = update.deleted === true ? 'deleted' : sure ? 'updated' : 'new';
    if (kind !== wanted) throw new Error(`${key} is ${kind}, not ${wanted}`);
    if (this.#options.cancelUnseen && kind === 'deleted' && !held.has(key))
      throw new Error(`${key} is deleted, and was never sent`);
    this.#ahead.delete(key);
    if (update.deleted === true) {
      this.#sink.delete(key);
      held.delete(key);
    } else {
      this.#sink.set(key, update.value);
      held.set(key, 'surely');
    }
  }

  /** A mark reaches the sink: one that was given, later than those before, and the sink is where the producer was then. */
  #pass(status: DedupeStatus): void {
    const at = this.#marks.findIndex(
      (mark, i) =>
        i >= this.#reached &&
        mark.status === status &&
        !differs(this.#sink, mark.state, this.#ahead),
    );
    if (at < 0) throw new Error(this.#story(`something passed the mark ${status}`));
    this.#reached = at + 1;
    this.#sinkStatus = status;
  }

  #fail(applied: boolean): boolean {
    const flight = this.#flight;
    if (flight === undefined) return false;
    this.#flight = undefined;
    this.buffer.requeue(flight.window);
    if (!applied) this.#sink = new Map(flight.sink);
    this.#reached = flight.reached;
    this.#sinkStatus = flight.status;
    this.#ahead = new Set(flight.ahead);
    for (const entry of flight.entries) {
      if (isMark(entry)) continue;
      if (applied) this.#ahead.add(entry.key);
      const sure = flight.held.get(entry.key) === 'surely';
      this.#naive.held.set(entry.key, sure ? 'surely' : 'perhaps');
    }
    this.#naive.putBack(flight.entries);
    return true;
  }

  #checkQueue(): void {
    const { entries, keys } = this.#naive;
    if (this.buffer.length !== entries.length || this.buffer.size !== keys.size)
      throw new Error(
        `${this.buffer.size} keys in ${this.buffer.length} entries, not ${keys.size} in ${entries.length}`,
      );
    if (this.buffer.length > 2 * keys.size + 2) throw new Error('above the bound');
    for (const key of this.#keys) {
      const found = this.buffer.get(key);
      if ((found !== undefined) !== keys.has(key) || found?.value !== this.#naive.newest(key))
        throw new Error(`get ${key} gives ${JSON.stringify(found)}`);
    }
  }

  #story(what: string): string {
    const show = (state: ReadonlyMap<string, unknown>): string =>
      [...state].map(([key, value]) => `${key}=${String(value)}`).join(' ') || 'nothing';
    return `${what}: the sink has ${show(this.#sink)}, the producer ${show(this.#source)}`;
  }
}
