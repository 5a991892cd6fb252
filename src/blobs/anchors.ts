import type { Env } from '../store/env.ts';
import { failure, invalidArgument, isStrataError } from '../store/errors.ts';
import type { CallOptions } from '../store/operations.ts';
import * as is from '../store/option-rules.ts';
import { CALL_RULES, checkOptions, type OptionRules } from '../store/options.ts';
import type { Store } from '../store/store.ts';
import { checkRef, keyOf, missing, PREFIX } from './refs.ts';

/** Where anchors lie; the rest of the key is the name. */
export const ANCHORS: string = `${PREFIX}a/`;
/** Times of one anchor that are kept: a put beyond it is refused. */
const MAX_TIMES = 10_000;
const RECORD_FORMAT = 1;

/** What a name stood for from some time on. */
export interface Anchor {
  readonly name: string;
  readonly ref: string;
  /** From when on, in ms since 1970. */
  readonly at: number;
  /** Until when, in ms since 1970: it is then as if it had never been. */
  readonly expiresAt?: number;
}

/** How an anchor is set. */
export interface AnchorOptions extends CallOptions {
  /** From when on, in ms since 1970; default now, and later than the last one in any case. */
  readonly at?: number;
  /** Life from now, in ms; excludes `expiresAt`. */
  readonly ttlMs?: number;
  /** End of life, in ms since 1970. */
  readonly expiresAt?: number;
  /** Only where the name stands for nothing, or for this ref; else `conflict`. */
  readonly if?: 'absent' | { readonly ref: string };
}

const PUT_RULES: OptionRules = {
  at: is.timeMs,
  ttlMs: is.durationMs,
  expiresAt: is.timeMs,
  if: {
    expected: "'absent' or { ref }",
    accepts: (v) => v === 'absent' || typeof (v as { ref?: unknown } | null)?.ref === 'string',
  },
  ...CALL_RULES,
};
const LIST_RULES: OptionRules = { prefix: is.string, ...CALL_RULES };
const FORGET_RULES: OptionRules = { before: is.timeMs, ...CALL_RULES };

/** One time of an anchor as it is stored, oldest first. `keys` is what it keeps from being swept. */
interface Time {
  readonly ref: string;
  readonly keys: readonly string[];
  readonly at: number;
  readonly expiresAt?: number;
}

interface AnchorRecord {
  readonly format: number;
  readonly times: readonly Time[];
}

/**
 * Names for refs, with what they stood for at each time. What an anchor names, now or at an earlier
 * time that was not forgotten and has not expired, is kept by `sweep` with all that belongs to it.
 */
export class Anchors {
  readonly #store: Store<Uint8Array>;
  readonly #env: Env;

  constructor(store: Store<Uint8Array>, env: Env) {
    this.#store = store;
    this.#env = env;
  }

  /**
   * Lets a name stand for a ref. Errors: `data-missing` where the store has no such content,
   * `conflict` for a failed condition or another ref at that very time.
   */
  async put(name: string, ref: string, options: AnchorOptions = {}): Promise<Anchor> {
    const key = this.#key('anchors.put', name);
    checkRef('anchors.put', ref);
    checkOptions('anchors.put', options, PUT_RULES);
    if (options.ttlMs !== undefined && options.expiresAt !== undefined)
      throw failure('invalid-argument', 'anchors.put', 'ttlMs and expiresAt exclude each other');
    const call = callOf(options);
    const keys = await this.#keysOf(ref, call);
    for (;;) {
      const entry = await this.#store.getEntry(key, { ...call, fresh: true });
      const times = this.#living(entry === undefined ? [] : parse(name, entry.value));
      const current = times.at(-1);
      checkCondition(name, current, options.if);
      const time = this.#timeOf(ref, keys, current, options);
      const twin = times.find(({ at }) => at === time.at);
      if (twin !== undefined && twin.ref !== ref)
        throw failure(
          'conflict',
          'anchors.put',
          `${JSON.stringify(name)} stands for ${twin.ref} from that very time on`,
        );
      const next = [...times.filter((one) => one !== twin), time].sort((a, b) => a.at - b.at);
      if (next.length > MAX_TIMES)
        throw failure(
          'invalid-argument',
          'anchors.put',
          `${JSON.stringify(name)} has ${times.length} times, the most that are kept; forget old ones first`,
        );
      if (await this.#write(key, next, entry?.version, call)) return toAnchor(name, time);
    }
  }

  /** What a name stands for, or stood for at a time; `undefined` for nothing. */
  async get(name: string, at?: number, options: CallOptions = {}): Promise<Anchor | undefined> {
    const key = this.#key('anchors.get', name);
    checkOptions('anchors.get', options, CALL_RULES);
    if (at !== undefined && !is.timeMs.accepts(at))
      throw invalidArgument('anchors.get', 'the time', at, is.timeMs.expected);
    const bytes = await this.#store.get(key, options);
    if (bytes === undefined) return undefined;
    const time = this.#living(parse(name, bytes)).findLast(
      (one) => at === undefined || one.at <= at,
    );
    return time && toAnchor(name, time);
  }

  /** All times of a name, newest first. */
  async history(name: string, options: CallOptions = {}): Promise<Anchor[]> {
    const key = this.#key('anchors.history', name);
    checkOptions('anchors.history', options, CALL_RULES);
    const bytes = await this.#store.get(key, options);
    const times = bytes === undefined ? [] : this.#living(parse(name, bytes));
    return times.map((time) => toAnchor(name, time)).reverse();
  }

  /** What each name stands for now, in the order of names. */
  async *list(options: CallOptions & { readonly prefix?: string } = {}): AsyncGenerator<Anchor> {
    checkOptions('anchors.list', options, LIST_RULES);
    const { prefix = '', ...call } = options;
    for await (const { key, value } of this.#store.list({ prefix: ANCHORS + prefix, ...call })) {
      const name = key.slice(ANCHORS.length);
      const time = this.#living(parse(name, value)).at(-1);
      if (time !== undefined) yield toAnchor(name, time);
    }
  }

  /** Forgets the times of a name that ended before a time, or the name altogether. True where there was something to forget. */
  async forget(
    name: string,
    options: CallOptions & { readonly before?: number } = {},
  ): Promise<boolean> {
    const key = this.#key('anchors.forget', name);
    checkOptions('anchors.forget', options, FORGET_RULES);
    const { before, ...call } = options;
    if (before === undefined) return this.#store.delete(key, call);
    for (;;) {
      const entry = await this.#store.getEntry(key, { ...call, fresh: true });
      if (entry === undefined) return false;
      const times = parse(name, entry.value);
      // A time lasts until the next begins; the last one has not ended.
      const kept = times.filter((_, n) => (times[n + 1]?.at ?? Number.POSITIVE_INFINITY) > before);
      if (kept.length === times.length) return false;
      if (await this.#write(key, kept, entry.version, call)) return true;
    }
  }

  /** The keys that an anchor's record keeps. */
  keptKeys(key: string, value: Uint8Array): string[] {
    const times = this.#living(parse(key.slice(ANCHORS.length), value));
    return [...new Set(times.flatMap(({ keys }) => keys))];
  }

  #key(operation: string, name: unknown): string {
    if (typeof name !== 'string' || name === '')
      throw invalidArgument(operation, 'the name', name, 'a non-empty string');
    return ANCHORS + name;
  }

  async #keysOf(ref: string, call: CallOptions): Promise<string[]> {
    const keys = [keyOf('tree', ref), keyOf('blob', ref)];
    const there = await this.#store.hasMany(keys, { ...call, fresh: true });
    if (there.size === 0) throw missing('anchors.put', 'content', ref);
    return [...there];
  }

  #timeOf(
    ref: string,
    keys: readonly string[],
    current: Time | undefined,
    { at, ttlMs, expiresAt }: AnchorOptions,
  ): Time {
    const now = this.#env.now();
    const end = ttlMs === undefined ? expiresAt : now + ttlMs;
    return {
      ref,
      keys,
      // A clock that was put back must not make the newest an older one.
      at: Math.floor(at ?? Math.max(now, (current?.at ?? 0) + 1)),
      ...(end !== undefined && Number.isFinite(end) && { expiresAt: Math.ceil(end) }),
    };
  }

  #living(times: readonly Time[]): Time[] {
    const now = this.#env.now();
    return times.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now);
  }

  /** Replaces a record, or makes it; false where somebody else came first. */
  async #write(
    key: string,
    times: readonly Time[],
    version: string | undefined,
    call: CallOptions,
  ): Promise<boolean> {
    const record: AnchorRecord = { format: RECORD_FORMAT, times };
    const value = new TextEncoder().encode(JSON.stringify(record));
    try {
      await this.#store.set(key, value, {
        ...call,
        if: version === undefined ? 'absent' : { version },
      });
      return true;
    } catch (error) {
      if (!isStrataError(error, 'conflict')) throw error;
      return false;
    }
  }
}

function parse(name: string, bytes: Uint8Array): readonly Time[] {
  try {
    const { format, times } = JSON.parse(new TextDecoder().decode(bytes)) as AnchorRecord;
    if (format === RECORD_FORMAT && Array.isArray(times)) return times;
  } catch (cause) {
    throw failure('corrupt', 'anchors', `the record of ${JSON.stringify(name)} is damaged`, {
      cause,
    });
  }
  throw failure(
    'corrupt',
    'anchors',
    `the record of ${JSON.stringify(name)} has a form that this version does not read`,
  );
}

function checkCondition(
  name: string,
  current: Time | undefined,
  condition: AnchorOptions['if'],
): void {
  if (condition === undefined) return;
  if (condition === 'absent' ? current === undefined : current?.ref === condition.ref) return;
  const found = current === undefined ? 'stands for nothing' : `stands for ${current.ref}`;
  throw failure('conflict', 'anchors.put', `${JSON.stringify(name)} ${found}`, {
    details: { ref: current?.ref },
  });
}

function toAnchor(name: string, { ref, at, expiresAt }: Time): Anchor {
  return { name, ref, at, ...(expiresAt !== undefined && { expiresAt }) };
}

function callOf({ signal, timeoutMs }: CallOptions): CallOptions {
  return { ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }) };
}
