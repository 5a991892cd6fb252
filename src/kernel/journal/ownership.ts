import { Call, DEFAULT_TIMEOUT_MS } from '../../store/call.ts';
import type { Env, Timer } from '../../store/env.ts';
import { failure, isStrataError, type StrataError } from '../../store/errors.ts';
import type { Write } from '../../store/primitives.ts';
import { randomId } from '../../store/version.ts';
import type { JournalStore, Standing } from './journal-store.ts';
import type { JournalKeys } from './keys.ts';
import { bounded, persist, sleep, within } from './patience.ts';
import { enter, leave } from './registry.ts';

/** An owner that is alive is heard of so many times in a lease. */
const SIGNS_OF_LIFE = 4;
/**
 * So many ended claims are remembered. A process that was paused writes again only if it sleeps
 * through as many takeovers, each of which took a lease.
 */
const CLAIMS_KEPT = 1_000;
const CLAIM_DIGITS = 10;

interface OwnerNote {
  /** For people. */
  readonly owner: string;
  /** Number and random id of this claim: the number orders the ended ones by age. */
  readonly claim: string;
  readonly leaseMs: number;
}

type Owner = Standing<OwnerNote>;

const isOwnerNote = ({ owner, claim, leaseMs }: Partial<OwnerNote>): boolean =>
  typeof owner === 'string' && typeof claim === 'string' && typeof leaseMs === 'number';

export interface OwnershipOptions {
  readonly store: JournalStore<unknown>;
  readonly keys: JournalKeys;
  readonly env: Env;
  readonly leaseMs: number;
  readonly owner: string;
  readonly onLost: (error: StrataError) => void;
}

/**
 * Who may write to a journal. The owner shows that it is alive by replacing its entry; who finds that
 * entry unchanged for a lease, by its own clock, replaces it with one of its own, and in the same
 * commit creates a key that says that the old claim is over. Every commit of an owner asserts that
 * this key is absent for its own claim: so it is the store that keeps a replaced owner from writing,
 * however late, and no clock.
 */
export class Ownership {
  readonly #options: OwnershipOptions;
  /** Ends with the ownership. */
  readonly life: Call;
  #standing: Owner | undefined;
  /** Ended claims, oldest first. */
  #ended: string[] = [];
  /** Replacements of the own entry follow one another. */
  #turn: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  #entered = false;
  #lost: StrataError | undefined;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    this.life = Call.background(options.env, 'journal');
  }

  /** Changes when the journal has ended its own claim. */
  get claim(): string {
    return this.#standing?.note.claim ?? '';
  }

  /** Why nothing can be written any longer; told anew for each operation. */
  lostFor(operation: string): StrataError | undefined {
    if (this.#lost === undefined) return undefined;
    const { code, message, details } = this.#lost;
    return failure(code, operation, message, { cause: this.#lost, details });
  }

  /** Holds where the claim is not over; changes nothing. First in every commit. */
  assertion(): Write<unknown> {
    return { type: 'delete', key: this.#options.keys.taken + this.claim, if: 'absent' };
  }

  /** Errors: `conflict`, naming the owner that is alive. */
  async take(call: Call): Promise<void> {
    const { store, keys, owner, env } = this.#options;
    const other = enter(store.primitives, keys.owner, owner);
    if (other !== undefined)
      throw this.#belongsTo(call.operation, `${other}, which has it open already`, other);
    this.#entered = true;
    try {
      let found = await this.#read(call);
      if (found !== undefined) found = await this.#outwait(found, call);
      for await (const key of store.keys(keys.taken, call))
        this.#ended.push(key.slice(keys.taken.length));
      const claim = this.#nextClaim(found);
      const inDoubt = (error: unknown): boolean => isStrataError(error, 'unknown-outcome');
      await persist(env, call, () => this.#replace(found, claim, call), inDoubt);
    } catch (error) {
      this.#leave();
      throw error;
    }
    this.#schedule();
  }

  /**
   * Ends the own claim and makes another: afterwards no commit of the old one can land. Tries until
   * it succeeds. Errors: what ends the ownership.
   */
  reclaim(): Promise<void> {
    const { env } = this.#options;
    return this.#inTurn(() => {
      const next = this.#nextClaim(this.#standing);
      const end = (call: Call): Promise<void> => this.#replace(this.#standing, next, call);
      return persist(env, this.life, () => bounded(env, DEFAULT_TIMEOUT_MS, end));
    });
  }

  /** Resolves when the own entry is not being replaced. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  /** Ends the ownership: the entry stands for somebody else, or the store fails for good. */
  lose(cause: unknown): StrataError {
    if (this.#lost !== undefined) return this.#lost;
    const taken = isStrataError(cause, 'conflict');
    const why = taken ? 'another has taken it over' : 'its store fails for good';
    const code = isStrataError(cause) ? cause.code : 'unavailable';
    this.#lost = failure(code, 'journal', `the journal is lost: ${why}`, {
      cause,
      retryable: false,
    });
    // After the end of the journal it is nobody's concern.
    const owned = this.life.ended === undefined;
    this.#timer?.cancel();
    this.life.end('closed');
    this.#leave();
    if (owned) this.#options.onLost(this.#lost);
    return this.#lost;
  }

  /**
   * Gives the journal up: at once where nothing of it is under way any longer, else the next owner
   * waits for a lease. Never fails.
   */
  async release(settled: boolean, call: Call): Promise<void> {
    const { store, keys } = this.#options;
    const owned = settled && this.#standing !== undefined && this.#lost === undefined;
    this.#timer?.cancel();
    this.life.end('closed');
    try {
      if (!owned) return;
      await within(call, this.#turn);
      const condition = { version: this.#standing?.version ?? '' };
      const gone: Write<unknown> = { type: 'delete', key: keys.owner, if: condition };
      await within(call, store.commit([this.assertion(), gone], call));
    } catch (error) {
      // The entry stays, and nothing is lost by that.
      if (!isStrataError(error)) throw error;
    } finally {
      this.#leave();
    }
  }

  #leave(): void {
    const { store, keys } = this.#options;
    if (this.#entered) leave(store.primitives, keys.owner);
    this.#entered = false;
  }

  #read(call: Call): Promise<Owner | undefined> {
    const { store, keys } = this.#options;
    return store.readNote<OwnerNote>(keys.owner, isOwnerNote, call);
  }

  /** Waits until an owner has been silent for long enough; gives it, or nothing where it has left meanwhile. */
  async #outwait(found: Owner, call: Call): Promise<Owner | undefined> {
    const { env } = this.#options;
    const leaseMs = Math.max(this.#options.leaseMs, found.note.leaseMs);
    const until = env.monotonicMs() + leaseMs;
    for (;;) {
      const leftMs = until - env.monotonicMs();
      if (leftMs <= 0) return found;
      await sleep(env, Math.min(leftMs, leaseMs / SIGNS_OF_LIFE), this.life, call);
      const now = await this.#read(call);
      if (now === undefined) return undefined;
      if (now.version !== found.version) throw this.#heldBy(call.operation, now);
    }
  }

  /** Puts a claim in the place of what stands there, the end of which it tells. */
  async #replace(over: Owner | undefined, claim: string, call: Call): Promise<void> {
    const { store, keys, owner, leaseMs } = this.#options;
    const note: OwnerNote = { owner, claim, leaseMs };
    const ended = this.#ended;
    const writes: Write<unknown>[] = [];
    let kept = ended;
    if (over !== undefined && over.note.claim !== claim) {
      kept = [...ended, over.note.claim].slice(-CLAIMS_KEPT);
      const forgotten = ended.slice(0, ended.length + 1 - kept.length);
      writes.push(
        store.writeNote(keys.taken + over.note.claim, { by: owner }),
        ...forgotten.map((old): Write<unknown> => ({ type: 'delete', key: keys.taken + old })),
      );
    }
    writes.push(store.writeNote(keys.owner, note, over ? { version: over.version } : 'absent'));
    try {
      const { outcomes } = await within(call, store.commit(writes, call));
      this.#standing = { note, version: outcomes.at(-1)?.entry?.version ?? '' };
    } catch (error) {
      const standing = await this.#afterFailure(error, claim, call);
      if (standing.note.claim !== claim) return this.#replace(standing, claim, call);
      this.#standing = standing;
    }
    this.#ended = kept;
  }

  /** What stands where a replacement may have failed: it is done, or to be tried once more over an own entry. */
  async #afterFailure(error: unknown, claim: string, call: Call): Promise<Owner> {
    if (!isStrataError(error, 'conflict', 'unknown-outcome')) throw error;
    const now = await this.#read(call);
    if (now?.note.claim === claim) return now;
    // An earlier sign of life came late, and stood in the way.
    if (now !== undefined && now.note.claim === this.claim && error.code === 'conflict') return now;
    if (error.code === 'unknown-outcome') throw error;
    throw this.#heldBy(call.operation, now);
  }

  #nextClaim(over: Owner | undefined): string {
    const numbers = [over?.note.claim, this.#ended.at(-1)].map((claim) =>
      Number.parseInt(claim ?? '0', 10),
    );
    const number = Math.max(...numbers) + 1;
    return `${String(number).padStart(CLAIM_DIGITS, '0')}-${randomId(this.#options.env)}`;
  }

  #schedule(): void {
    if (this.life.ended !== undefined) return;
    const { env, leaseMs } = this.#options;
    const show = (): void => void this.#showLife().then(() => this.#schedule());
    this.#timer = env.setTimer(show, leaseMs / SIGNS_OF_LIFE, { background: true });
  }

  /** Never fails: another sign follows, and an owner that could show none still may write. */
  async #showLife(): Promise<void> {
    const { env, leaseMs } = this.#options;
    const show = (call: Call): Promise<void> => this.#replace(this.#standing, this.claim, call);
    try {
      await this.#inTurn(() => bounded(env, leaseMs, show));
    } catch (error) {
      if (isStrataError(error, 'conflict')) this.lose(error);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  #heldBy(operation: string, owner: Owner | undefined): StrataError {
    if (owner === undefined)
      return failure('conflict', operation, 'the entry of the owner is gone');
    return this.#belongsTo(operation, owner.note.owner, owner.note.owner);
  }

  #belongsTo(operation: string, who: string, owner: string): StrataError {
    return failure('conflict', operation, `the journal belongs to ${who}`, { details: { owner } });
  }
}
