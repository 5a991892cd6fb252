import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import { failure, isStrataError, StrataError } from '../../store/errors.ts';
import type { FirstStore } from './first-store.ts';
import type { Lane } from './lane.ts';
import { Latencies } from './latencies.ts';
import type { Member } from './member.ts';

const FRESH = { fresh: true } as const;

/** Why one member could not answer. */
export interface MemberCause {
  readonly member: string;
  readonly cause: unknown;
}

export interface ReaderSetup<V> {
  readonly first: FirstStore<V>;
  /** Of the other synchronous members. */
  readonly lanes: readonly Lane<V>[];
  readonly hedged: boolean;
}

interface Asked<V> {
  readonly member: Member<V>;
  readonly latencies: Latencies;
}

/** Asks those synchronous members that are known to be up to date. */
export class Reader<V> {
  readonly #first: FirstStore<V>;
  readonly #lanes: readonly Lane<V>[];
  readonly #hedged: boolean;
  readonly #asked: readonly Asked<V>[];

  constructor({ first, lanes, hedged }: ReaderSetup<V>) {
    this.#first = first;
    this.#lanes = lanes;
    this.#hedged = hedged;
    this.#asked = [first.member, ...lanes.map(({ member }) => member)].map((member) => ({
      member,
      latencies: new Latencies(),
    }));
  }

  /**
   * The answer of the first member that succeeds; the others are given up. All that are asked have
   * everything that was acknowledged of the keys, so each one's answer is right.
   * Errors: `unavailable` (or what all agree on), with the cause of every member in the details.
   */
  read<T>(
    keys: readonly string[],
    call: Call,
    work: (member: Member<V>, call: Call) => Awaitable<T>,
  ): Awaitable<T> {
    call.throwIfEnded();
    const able = this.#able(keys);
    const [first] = able;
    if (first === undefined || able.length > 1 || this.#asked.length > 1)
      return this.#race(able, keys, call, work);
    return work(first.member, call);
  }

  /** Whether a member may be asked for a key now. */
  #knows(at: number, key: string): boolean {
    return (
      at === 0 || (this.#lanes[at - 1]?.fences.knows(key) && this.#first.isAtRest(key)) === true
    );
  }

  #able(keys: readonly string[]): Asked<V>[] {
    return this.#asked.filter((_, at) => keys.every((key) => this.#knows(at, key)));
  }

  #race<T>(
    able: readonly Asked<V>[],
    keys: readonly string[],
    call: Call,
    work: (member: Member<V>, call: Call) => Awaitable<T>,
  ): Awaitable<T> {
    const causes: MemberCause[] = [];
    const [first, ...others] = able as [Asked<V>, ...Asked<V>[]];
    const part = partOf(call);
    let result: Awaitable<T> | undefined;
    try {
      result = work(first.member, part);
    } catch (error) {
      causes.push({ member: first.member.name, cause: error });
    }
    // At hand: nobody else is asked.
    if (causes.length === 0 && !(result instanceof Promise)) return result as T;
    const race = new Race<T>(call, causes, (found) => this.#failure(found, able, keys, call));
    if (result instanceof Promise)
      race.enter(first.member.name, part, first.latencies.measure(call.env, result));
    const enter = (asked: Asked<V>): void => {
      const own = partOf(call);
      let answer: Promise<T>;
      try {
        answer = Promise.resolve(work(asked.member, own));
      } catch (error) {
        answer = Promise.reject(error);
      }
      race.enter(asked.member.name, own, asked.latencies.measure(call.env, answer));
    };
    race.run(
      others.map((asked) => () => enter(asked)),
      this.#hedged ? able.map(({ latencies }) => latencies.highMs) : undefined,
    );
    return race.result;
  }

  #failure(
    causes: readonly MemberCause[],
    able: readonly Asked<V>[],
    keys: readonly string[],
    { operation, key }: Call,
  ): StrataError {
    const behind = this.#asked
      .filter((asked) => !able.includes(asked))
      .map(
        ({ member }): MemberCause => ({
          member: member.name,
          cause: failure('unavailable', operation, `${member.name} may be behind`, {
            key: keys[0],
          }),
        }),
      );
    return allFailed([...causes, ...behind], operation, key);
  }
}

/** One error for the failure of every member. */
export function allFailed(
  causes: readonly MemberCause[],
  operation: string,
  key: string | undefined,
): StrataError {
  const codes = new Set(
    causes.map(({ cause }) => (isStrataError(cause) ? cause.code : 'unavailable')),
  );
  const [code] = codes;
  const same = codes.size === 1 && code !== undefined && code !== 'timeout' ? code : 'unavailable';
  const why = causes.map(
    ({ member, cause }) => `${member}: ${cause instanceof Error ? cause.message : String(cause)}`,
  );
  return new StrataError(same, `${operation}: no member answers (${why.join('; ')})`, {
    operation,
    key,
    cause: causes[0]?.cause,
    details: { causes },
  });
}

function partOf(call: Call): Call {
  const options = { timeoutMs: Number.POSITIVE_INFINITY, ...(call.fresh && FRESH) };
  return new Call(call.env, call.operation, call.key, options);
}

/** Several answers to one question. */
class Race<T> {
  readonly result: Promise<T>;
  readonly #call: Call;
  readonly #causes: MemberCause[];
  readonly #fail: (causes: readonly MemberCause[]) => StrataError;
  readonly #parts = new Set<Call>();
  readonly #settle: { resolve(value: T): void; reject(error: unknown): void };
  #waiting: (() => void)[] = [];
  #pausesMs: readonly number[] | undefined;
  #timer: { cancel(): void } | undefined;
  #entered = 0;
  #over = false;
  readonly #forget: () => void;

  constructor(
    call: Call,
    causes: MemberCause[],
    fail: (causes: readonly MemberCause[]) => StrataError,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.result = promise;
    this.#settle = { resolve, reject };
    this.#call = call;
    this.#causes = causes;
    this.#fail = fail;
    this.#forget = call.onEnd((error) => this.#end(() => reject(error)));
  }

  /** A member was asked. */
  enter(name: string, part: Call, answer: Promise<T>): void {
    this.#entered++;
    this.#parts.add(part);
    answer.then(
      (value) => {
        this.#parts.delete(part);
        this.#end(() => this.#settle.resolve(value));
      },
      (cause: unknown) => {
        this.#parts.delete(part);
        if (this.#over) return;
        this.#causes.push({ member: name, cause });
        if (!this.#askNext()) this.#failIfAll();
      },
    );
    if (this.#over) part.end('aborted');
  }

  /** Asks the others: all at once, or each after its pause and whenever one has failed. */
  run(others: (() => void)[], pausesMs: readonly number[] | undefined): void {
    this.#waiting = others;
    this.#pausesMs = pausesMs;
    if (pausesMs === undefined) while (this.#askNext());
    else if (this.#entered === 0) this.#askNext();
    else this.#askLater();
    this.#failIfAll();
  }

  #askNext(): boolean {
    if (this.#over) return false;
    const next = this.#waiting.shift();
    this.#timer?.cancel();
    if (next === undefined) return false;
    next();
    if (this.#pausesMs !== undefined) this.#askLater();
    return true;
  }

  #askLater(): void {
    if (this.#over || this.#waiting.length === 0) return;
    const pauseMs = this.#pausesMs?.[this.#entered - 1] ?? 0;
    this.#timer = this.#call.env.setTimer(() => this.#askNext(), pauseMs, { background: true });
  }

  #failIfAll(): void {
    if (this.#parts.size > 0 || this.#waiting.length > 0) return;
    this.#end(() => this.#settle.reject(this.#fail(this.#causes)));
  }

  #end(settle: () => void): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#forget();
    settle();
    for (const part of this.#parts) part.end('aborted');
    this.#parts.clear();
  }
}
