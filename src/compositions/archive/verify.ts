import { sideBySide } from '../../kernel/side-by-side.ts';
import type { Call } from '../../store/call.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import { type ColdObject, type ColdObjects, DELETED, type Found } from './cold-objects.ts';
import type { HotAudit, Inspected } from './hot-audit.ts';
import type { Named } from './hot-key.ts';
import type { HotSide } from './hot-side.ts';
import { auditOf, boundless, listed, parts } from './listing.ts';

/** How `verify` goes about it. */
export interface VerifyOptions {
  /** Share of the objects and keys that are looked at, above 0 to 1; default 1, all. */
  readonly sample?: number;
  readonly signal?: AbortSignal;
  /** Hears of the counts, a few objects or keys at a time. */
  readonly onProgress?: (progress: VerifyProgress) => void;
}

/**
 * What is wrong with a key. `corrupt`: its object does not open, or does not hold what it should.
 * `data-missing`: it is evicted, and its object is gone or older. `stale`: it is in use, not marked,
 * and other than its object. `unfrozen`: it is in use, not marked, and the cold store has nothing of
 * it. `unrecorded`: it is in the cold store only, and not recorded as evicted.
 */
export type Difference = 'corrupt' | 'data-missing' | 'stale' | 'unfrozen' | 'unrecorded';

/** What `verify` has seen so far. */
export interface VerifyProgress {
  /** Objects and keys that were looked at. */
  readonly checked: number;
  /** Keys that are in use and in the cold store as they are. */
  readonly equal: number;
  /** Keys that are marked: a worker sees to them. */
  readonly dirty: number;
  /** Keys that are evicted, and whose object opens. */
  readonly evicted: number;
  /** Objects of what was forgotten or has expired. */
  readonly gone: number;
  /** Keys with a difference. */
  readonly differing: number;
}

/** What `verify` found. */
export interface VerifyResult extends VerifyProgress {
  /** The keys with a difference, at most the first thousand. */
  readonly differences: readonly KeyDifference[];
  /** Records of evicted keys beyond the objects that were found, when all are looked at and nobody works meanwhile: objects that are gone. */
  readonly missing?: number;
}

/** A key with a difference; a cold name where only the object could have told the key. */
export interface KeyDifference {
  readonly key: string;
  readonly code: Difference;
  readonly error?: unknown;
}

const RULES = {
  sample: {
    expected: 'a number above 0, at most 1',
    accepts: (v: unknown): boolean => typeof v === 'number' && v > 0 && v <= 1,
  },
  signal: is.signal,
  onProgress: is.fn,
};
const MOST_DIFFERENCES = 1_000;

type Finding = 'equal' | 'dirty' | 'evicted' | 'gone' | KeyDifference;

/** What others keep for themselves is left alone, by verifying as by evicting. */
const isOwn = ({ isOthers }: Inspected): boolean => isOthers !== true;

/** Compares a hot side with its cold store. Changes nothing. */
export class Verifier {
  readonly #audit: HotAudit;
  readonly #hot: HotSide;
  readonly #cold: ColdObjects;
  readonly #concurrency: number;

  constructor(hot: HotSide, cold: ColdObjects, concurrency: number) {
    this.#audit = auditOf('verify', hot);
    this.#hot = hot;
    this.#cold = cold;
    this.#concurrency = concurrency;
  }

  async run(options: VerifyOptions = {}): Promise<VerifyResult> {
    checkOptions('verify', options, RULES);
    const call = boundless(this.#hot.env, 'verify', options.signal);
    return call.guard(this.#run(call, options));
  }

  async #run(call: Call, { sample = 1, onProgress }: VerifyOptions): Promise<VerifyResult> {
    const tally = new Tally(onProgress);
    const isChosen = (): boolean => sample === 1 || this.#hot.env.random() < sample;
    for await (const names of parts(this.#cold.names(call), this.#concurrency)) {
      call.throwIfEnded();
      const chosen = names.filter(isChosen);
      const { keys, damaged } = await listed(call.operation, this.#hot, this.#cold, chosen);
      for (const { name, error } of damaged) tally.add({ key: name, code: 'corrupt', error });
      await this.#judge(call, keys, tally);
    }
    // Of those that are not in the cold store at all.
    for await (const all of this.#audit.keys(call.operation)) {
      call.throwIfEnded();
      const chosen = all.filter(isChosen);
      const has = await sideBySide(chosen, (key) => this.#cold.has(key));
      const without = chosen.filter((_, at) => has[at] === false);
      for (let at = 0; at < without.length; at += this.#concurrency)
        await this.#judge(call, without.slice(at, at + this.#concurrency), tally);
    }
    const found = tally.result();
    if (sample !== 1) return found;
    const { evicted } = await this.#hot.stats(call.operation);
    return { ...found, missing: Math.max(0, evicted - tally.records) };
  }

  async #judge(call: Call, keys: readonly Named[], tally: Tally): Promise<void> {
    if (keys.length === 0) return;
    const inspected = (await this.#audit.inspect(call.operation, keys)).filter(isOwn);
    tally.records += inspected.filter(({ evictedAs }) => evictedAs !== undefined).length;
    await sideBySide(inspected, async (one) => {
      const first = await this.#finding(call, one);
      // Once more: somebody may have been at work between one look and the other.
      const finding = typeof first === 'string' ? first : await this.#again(call, one.key);
      if (finding !== undefined) tally.add(finding);
    });
    tally.tell();
  }

  async #again(call: Call, key: Named): Promise<Finding | undefined> {
    const [now] = await this.#audit.inspect(call.operation, [key]);
    return now === undefined || !isOwn(now) ? undefined : this.#finding(call, now);
  }

  async #finding(call: Call, inspected: Inspected): Promise<Finding> {
    const { key, isMarked, isHot, evictedAs } = inspected;
    const found = await this.#cold.find(key);
    const differs = (code: Difference, error?: unknown): KeyDifference => ({
      key: key.shown,
      code,
      ...(error !== undefined && { error }),
    });
    const damage = await this.#damageOf(found);
    if (damage !== undefined) return differs('corrupt', damage.error);
    if (isMarked) return 'dirty';
    const object = found?.object;
    if (isHot) return this.#compared(call, inspected, object, differs);
    if (evictedAs !== undefined) {
      if (object === undefined || object.generation < evictedAs) return differs('data-missing');
      return object.type === DELETED ? 'gone' : 'evicted';
    }
    if (object === undefined || object.type === DELETED) return 'gone';
    const isOver = object.expiresAt > 0 && object.expiresAt <= this.#hot.env.now();
    return isOver ? 'gone' : differs('unrecorded');
  }

  async #compared(
    { operation }: Call,
    { key, digest, expiresAt }: Inspected,
    object: ColdObject | undefined,
    differs: (code: Difference) => KeyDifference,
  ): Promise<Finding> {
    if (object === undefined || object.type === DELETED) return differs('unfrozen');
    if (digest === object.digest && expiresAt === object.expiresAt) return 'equal';
    const compared = await this.#audit.compare(operation, key, object);
    if (compared === 'different') return differs('stale');
    return compared === 'same' ? 'equal' : 'dirty';
  }

  async #damageOf(found: Found | undefined): Promise<{ readonly error?: unknown } | undefined> {
    if (found === undefined) return undefined;
    if (found.object === undefined) return { error: found.cause };
    return (await this.#audit.isSound(found.object)) ? undefined : {};
  }
}

/** Counts what is found. */
class Tally {
  /** Records of evicted keys that were seen. */
  records = 0;
  readonly #onProgress: ((progress: VerifyProgress) => void) | undefined;
  readonly #counts = { checked: 0, equal: 0, dirty: 0, evicted: 0, gone: 0, differing: 0 };
  readonly #differences: KeyDifference[] = [];

  constructor(onProgress: ((progress: VerifyProgress) => void) | undefined) {
    this.#onProgress = onProgress;
  }

  add(finding: Finding): void {
    this.#counts.checked++;
    if (typeof finding === 'string') {
      this.#counts[finding]++;
      return;
    }
    this.#counts.differing++;
    if (this.#differences.length < MOST_DIFFERENCES) this.#differences.push(finding);
  }

  tell(): void {
    this.#onProgress?.({ ...this.#counts });
  }

  result(): VerifyResult {
    return { ...this.#counts, differences: this.#differences };
  }
}
