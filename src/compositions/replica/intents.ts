import { isNotApplied } from '../../kernel/not-applied.ts';
import type { Call } from '../../store/call.ts';
import type { EntryHead, Meta } from '../../store/entry.ts';
import { failure, type StrataError } from '../../store/errors.ts';
import { type KeyRange, prefixBounds } from '../../store/keys.ts';
import type { SetWrite, Write } from '../../store/primitives.ts';
import { asStrataError, type Mark, type Member } from './member.ts';

/** Most intents that one member holds; writes beyond take two steps. */
const MOST_SLOTS = 256;

const NONE: readonly Intent[] = [];

/** What all intents of one write have in common. */
export interface Intended {
  readonly storeId: string;
  readonly epoch: string;
  /** The newest revision that was known when the write began: its own is above it. */
  readonly base: number;
  /** Grows with every write of this process. */
  readonly seq: number;
}

/** What became of a write: where the first store has it, its revision and its turn in the member's queue. */
type Fate = 'void' | { readonly rev: number; turn: number };

/** A write that a member holds beside its entries until the copy is there. */
export interface Intent {
  readonly keys: readonly string[];
  readonly epoch: string;
  readonly slots: readonly number[];
  /** Whether the member is known to have it, once that is clear. */
  readonly kept: Promise<boolean>;
  /** Sent, and it may still be applied. */
  isPutting: boolean;
  fate?: Fate;
}

/** Who brings a member what it holds. */
export interface IntentsHolder {
  /** Whether the member takes more now. */
  mayPut(): boolean;
  /** How far the member came. */
  mark(): Mark | undefined;
  /** It did not answer in time, and may still take one. */
  onHung(error: StrataError): void;
  /** It is clear of one whether the member has it, or what became of its write. */
  onSettled(): void;
}

/** The keys of a member under which intents stand. */
export function intentRange({ notePrefix }: Pick<Member<never>, 'notePrefix'>): KeyRange {
  const bounds = prefixBounds(`${notePrefix}intent/`);
  return { ...bounds, reverse: false, limit: Number.POSITIVE_INFINITY };
}

/**
 * The intents that one member holds. Each write of a commit has a slot, which is used again when it is
 * known to be empty: so there are few such keys, and few tombstones of them.
 */
export class Intents<V> {
  /** Whether a commit of the member is one step. */
  readonly isAtomic: boolean;
  readonly #member: Member<V>;
  /** Oldest first. */
  readonly #intents = new Set<Intent>();
  readonly #byKey = new Map<string, number>();
  readonly #free: number[] = [];
  #slots = 0;
  readonly #holder: IntentsHolder;
  #idle: (() => void)[] = [];
  #waiting = new Map<Intent, { resolve(): void; reject(error: unknown): void }>();
  /** Keys of those that an earlier process has left; `undefined` until they were looked for. */
  #left: string[] | undefined;

  constructor(member: Member<V>, holder: IntentsHolder) {
    this.#member = member;
    this.isAtomic = member.primitives.capabilities.atomic === 'batch';
    this.#holder = holder;
  }

  get size(): number {
    return this.#intents.size;
  }

  has(key: string): boolean {
    return this.#byKey.size > 0 && this.#byKey.has(key);
  }

  /** Whether the member can have the intents of so many writes. */
  canPut(count: number, { storeId, epoch }: Pick<Intended, 'storeId' | 'epoch'>): boolean {
    const mark = this.#holder.mark();
    // In another epoch they say nothing.
    if (mark?.storeId !== storeId || mark.at.epoch !== epoch) return false;
    return this.#holder.mayPut() && count <= this.#free.length + MOST_SLOTS - this.#slots;
  }

  /** Brings the member the intents of a commit; `undefined` where it cannot have them. */
  put(writes: readonly Write<V>[], intended: Intended): Intent | undefined {
    if (!this.canPut(writes.length, intended)) return undefined;
    const slots = writes.map(() => this.#free.pop() ?? this.#slots++);
    const records = writes.map((write, at) =>
      this.#record(write, slots[at] as number, at, intended),
    );
    const call = this.#member.call('replicate');
    let result: unknown;
    try {
      result = this.#member.primitives.commit(records, call);
    } catch (error) {
      if (isNotApplied(error)) {
        this.#free.push(...slots);
        return undefined;
      }
      result = Promise.reject(error);
    }
    const put = Promise.resolve(result);
    const intent: Intent = {
      keys: [...new Set(writes.map(({ key }) => key))],
      epoch: intended.epoch,
      slots,
      isPutting: true,
      kept: call.guard(put).then(
        () => true,
        (error: unknown) => {
          if (intent.isPutting) this.#holder.onHung(asStrataError(error, 'replicate'));
          return false;
        },
      ),
    };
    this.#add(intent);
    put.then(
      () => this.#settled(intent, true),
      (error: unknown) => this.#settled(intent, !isNotApplied(error)),
    );
    return intent;
  }

  /** The first store has the write. Its turn in the member's queue is to be set. */
  done(intent: Intent, rev: number): { turn: number } {
    const fate = { rev, turn: Number.POSITIVE_INFINITY };
    intent.fate ??= fate;
    return fate;
  }

  /** The write does not happen. */
  withdraw(intent: Intent): void {
    intent.fate ??= 'void';
    this.#holder.onSettled();
  }

  /** Settles when the member does not hold it any more. Errors: why that is not known. */
  gone(intent: Intent): Promise<void> {
    if (!this.#intents.has(intent)) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.set(intent, { resolve, reject }));
  }

  /** The member is away: nobody waits for it. */
  giveUp(cause: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const { reject } of waiting.values()) reject(cause);
  }

  /** Waits until it is clear of each whether the member has it. */
  async allSettled(): Promise<void> {
    while ([...this.#intents].some(({ isPutting }) => isPutting))
      await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /**
   * Those that are not needed any more, oldest first; none passes an older one of its keys, nor goes
   * beside it where a commit is not one step.
   */
  removable(isOver: (fate: Exclude<Fate, 'void'>, intent: Intent) => boolean): readonly Intent[] {
    if (this.#intents.size === 0) return NONE;
    const found: Intent[] = [];
    const passed = new Set<string>();
    for (const intent of this.#intents) {
      const { fate, isPutting, keys } = intent;
      const isDone = !isPutting && fate !== undefined && (fate === 'void' || isOver(fate, intent));
      const isFree = isDone && !keys.some((key) => passed.has(key));
      if (isFree) found.push(intent);
      if (!isFree || !this.isAtomic) for (const key of keys) passed.add(key);
    }
    return found;
  }

  /** The writes that remove intents from the member. */
  removal(intents: readonly Intent[]): Write<V>[] {
    return intents.flatMap(({ slots }) =>
      slots.map((slot): Write<V> => ({ type: 'delete', key: this.#keyOf(slot) })),
    );
  }

  /** The member has them no more. */
  removed(intents: readonly Intent[]): void {
    for (const intent of intents) this.#drop(intent);
  }

  /** Keys of what an earlier process has left in the member, oldest first. */
  async findLeft(life: Call): Promise<readonly string[]> {
    if (this.#left !== undefined) return this.#left;
    const found: { readonly key: string; readonly base: number; readonly seq: number }[] = [];
    const known = new Set(
      [...this.#intents].flatMap(({ slots }) => slots.map((at) => this.#keyOf(at))),
    );
    const { primitives } = this.#member;
    const range = intentRange(this.#member);
    for await (const page of this.#member.pages(life, (call) => primitives.scan(range, call)))
      for (const { key, meta } of page) {
        const { base = 0, seq = 0 } = (meta?.intent ?? {}) as unknown as Partial<Intended>;
        if (!known.has(key)) found.push({ key, base, seq });
      }
    found.sort((a, b) => a.base - b.base || a.seq - b.seq);
    this.#left = found.map(({ key }) => key);
    return this.#left;
  }

  forgetLeft(): void {
    this.#left = [];
  }

  #keyOf(slot: number): string {
    return `${this.#member.notePrefix}intent/${slot}`;
  }

  #record(write: Write<V>, slot: number, at: number, intended: Intended): SetWrite<V> {
    const said = write.type === 'set' ? headOf(write, this.#member.env.now()) : { key: write.key };
    const meta = { intent: { ...intended, at, type: write.type, ...said } as unknown as Meta };
    const value = write.type === 'set' ? write.value : this.#member.nothing;
    return { type: 'set', key: this.#keyOf(slot), value, meta };
  }

  #add(intent: Intent): void {
    this.#intents.add(intent);
    for (const key of intent.keys) this.#byKey.set(key, (this.#byKey.get(key) ?? 0) + 1);
  }

  #settled(intent: Intent, mayBeThere: boolean): void {
    intent.isPutting = false;
    if (!mayBeThere) this.#drop(intent);
    const idle = this.#idle;
    this.#idle = [];
    for (const go of idle) go();
    this.#holder.onSettled();
  }

  #drop(intent: Intent): void {
    if (!this.#intents.delete(intent)) return;
    this.#free.push(...intent.slots);
    for (const key of intent.keys) {
      const left = (this.#byKey.get(key) ?? 1) - 1;
      if (left > 0) this.#byKey.set(key, left);
      else this.#byKey.delete(key);
    }
    this.#waiting.get(intent)?.resolve();
    this.#waiting.delete(intent);
  }
}

function headOf<V>(write: SetWrite<V>, nowMs: number): Partial<EntryHead> {
  const { key, modifiedAt = nowMs, expiresAt, immutable, meta, origin } = write;
  return {
    key,
    modifiedAt,
    ...(expiresAt !== undefined && { expiresAt }),
    ...(immutable && { immutable }),
    ...(meta !== undefined && { meta }),
    ...(origin !== undefined && { origin }),
  };
}

/** What a write fails with that was refused, while a member may still hold its intent. */
export function notWithdrawn(cause: unknown, operation: string, key: string | undefined): Error {
  return failure(
    'unknown-outcome',
    operation,
    'the first store refuses it, and another member that has it as an intent does not answer',
    { key, cause },
  );
}
