import { Call } from '../../../store/call.ts';
import type { Entry, EntryHead } from '../../../store/entry.ts';
import type { Timer } from '../../../store/env.ts';
import type { StrataError } from '../../../store/errors.ts';
import type { CommitOutcome, Write } from '../../../store/primitives.ts';
import { randomId } from '../../../store/version.ts';
import { type Base, OWN, versionOf } from './base.ts';
import { DoubtfulWindows } from './doubtful-windows.ts';
import { type Fence, fenceKey, fenceWrite, readFence } from './fence.ts';
import { asFailure, isPermanent, mayBeApplied, Slowness, tookTooLong } from './flush-failures.ts';
import { backWrite, flushTimeoutMs, judge, needsLook, type Verdict } from './flush-plan.ts';
import { FlushWaits } from './flush-waits.ts';
import type { FlusherSetup } from './flusher-setup.ts';
import type { PendingWrite } from './pending-writes.ts';

/** So many keys are compared with the back in one read. */
const LOOK_KEYS = 1_000;
/** A window that meets conflict upon conflict of conditions pauses from this try on. */
const PATIENCE = 8;

/** One write as it is sent. */
interface Sending<V> {
  readonly pending: PendingWrite<V>;
  readonly write: Write<V>;
}

/** What is done after a failed try. */
type Next = 'again' | 'divide' | 'without';

/**
 * Brings pending writes to the back: everything pending at one moment is a window, which the back
 * takes as one commit together with a fence; what is written meanwhile forms the next. Tries for
 * ever what may succeed later; what never can is taken out of its window.
 */
export class Flusher<V> {
  readonly #setup: FlusherSetup<V>;
  readonly #fenceKey: string;
  #fenceValue: V;
  /** `undefined`: to be read first. */
  #fence: Fence | null | undefined;
  /** The highest commit that the back is known to have taken. */
  #confirmed = 0;
  readonly #doubtful = new DoubtfulWindows<V>();
  readonly #slowness = new Slowness();
  #running: Promise<void> | undefined;
  #stopped: StrataError | undefined;
  #pause: { readonly timer: Timer; readonly go: () => void } | undefined;
  #call: Call | undefined;
  readonly #waits = new FlushWaits();

  constructor(setup: FlusherSetup<V>) {
    this.#setup = setup;
    this.#fenceKey = fenceKey(setup.rules.storeId);
    this.#fenceValue = setup.fenceValue;
  }

  /** There is something to flush. */
  kick(): void {
    if (
      this.#running !== undefined ||
      this.#stopped !== undefined ||
      this.#setup.pending.size === 0
    )
      return;
    // Not within the call that wrote: who writes on without a pause makes one window of it.
    this.#running = Promise.resolve()
      .then(() => this.#run())
      .finally(() => {
        this.#running = undefined;
        this.kick();
      });
  }

  /** The back may answer again: no pause is waited for. */
  hurry(): void {
    this.#pause?.go();
  }

  /** Waits until everything up to a commit is in the back, or is a dead letter. */
  flush(upTo: number): { readonly done: Promise<void>; cancel(): void } {
    const wait = this.#waits.add(upTo);
    this.#tellWaits();
    if (this.#stopped !== undefined) this.#waits.fail(this.#stopped);
    this.hurry();
    this.kick();
    return wait;
  }

  /** Who waits for one commit waits for another instead. */
  defer(from: number, to: number): void {
    this.#waits.defer(from, to);
  }

  /** Ends what is under way, and fails those who wait; resolves when nothing more is done. */
  async stop(failure: StrataError): Promise<void> {
    this.#stopped ??= failure;
    this.#waits.fail(failure);
    this.#pause?.go();
    this.#call?.end('closed');
    await this.#running;
  }

  /** The fence that a journal leaves behind which nobody opens again is taken away. */
  async removeFence(call: Call): Promise<void> {
    const fence = this.#fence;
    if (fence === undefined || fence === null) return;
    const write = { type: 'delete', key: this.#fenceKey, if: { version: fence.version } } as const;
    await this.#setup.commit([write], call);
  }

  async #run(): Promise<void> {
    const { pending } = this.#setup;
    while (pending.size > 0 && this.#stopped === undefined)
      await this.#flushWindow(pending.takeWindow());
  }

  async #flushWindow(window: readonly PendingWrite<V>[]): Promise<void> {
    let left = window;
    /** How many of them are sent together: all, until the back refuses them. */
    let size = left.length;
    let tries = 0;
    for (;;) {
      left = left.filter((write) => this.#isPending(write));
      if (left.length === 0 || this.#stopped !== undefined) break;
      size = this.#setup.fenced ? Math.min(size, left.length) : 1;
      const startedMs = this.#setup.env.monotonicMs();
      try {
        const sent = await this.#send(left, size);
        if (sent > 0) this.#flushed(sent, startedMs);
        // What was too much for the back as a whole is so for the rest, too.
        if (sent > 0) size *= 2;
        tries = 0;
      } catch (error) {
        if (this.#stopped !== undefined) break;
        const next = await this.#failed(left.slice(0, size), asFailure(error), ++tries);
        if (next === 'divide') size = Math.ceil(size / 2);
        if (next !== 'again') tries = 0;
      }
    }
    this.#doubtful.clear();
  }

  #isPending(write: PendingWrite<V>): boolean {
    return this.#setup.pending.isInWindow(write);
  }

  #flushed(keys: number, startedMs: number): void {
    const tookMs = this.#setup.env.monotonicMs() - startedMs;
    this.#setup.onEvent({ type: 'flushed', keys, tookMs });
    this.#setup.onFlushed();
    this.#tellWaits();
  }

  /** Sends the first of what is left; gives how many the back has taken. */
  async #send(left: readonly PendingWrite<V>[], size: number): Promise<number> {
    const { fenced, epoch, settle } = this.#setup;
    if (fenced && this.#fence === undefined && (await this.#readFence())) return 0;
    const chunk = left.slice(0, size);
    const sending = await this.#prepare(chunk);
    if (this.#stopped !== undefined) return 0;
    if (sending.length === 0) this.#tellWaits();
    if (sending.length === 0) return 0;
    const writes = sending.map(({ write }) => write);
    const sent = sending.map(({ pending }) => pending);
    const name = this.#doubtful.nameOf(sent) ?? randomId(this.#setup.env);
    const last = chunk[chunk.length - 1] as PendingWrite<V>;
    const next = left[size];
    // A commit of which something is left is not in the back yet.
    const seq = next === undefined ? last.rev : next.rev - 1;
    const to = { epoch, seq, window: name };
    if (fenced) writes.push(fenceWrite(this.#fenceKey, this.#fenceValue, to, this.#fence ?? null));
    const done = await this.#commit(writes, name, sent);
    if (fenced) {
      const version = done.outcomes[sending.length]?.entry?.version ?? '';
      this.#fence = version === '' ? undefined : { ...to, version };
      this.#confirmed = Math.max(this.#confirmed, seq);
      // Their condition on the fence fails from now on.
      this.#doubtful.clear();
    }
    sending.forEach(({ pending: write }, i) => {
      settle(write, this.#baseAfter(write, done.outcomes[i]?.entry));
    });
    return sending.length;
  }

  async #commit(
    writes: readonly Write<V>[],
    name: string,
    sent: readonly PendingWrite<V>[],
  ): Promise<CommitOutcome> {
    const { timeoutMs, usualMs } = this.#setup;
    const neededMs = flushTimeoutMs(timeoutMs, writes) * this.#slowness.factor;
    // Who asks for no more than usual gets the usual bound of the back.
    const call = this.#begin(neededMs > timeoutMs ? Math.max(neededMs, usualMs + 1) : timeoutMs);
    try {
      const done = await this.#setup.commit(writes, call);
      this.#slowness.answered();
      return done;
    } catch (error) {
      // A back that needs longer for so much is given longer the next time.
      this.#slowness.failed(error);
      if (mayBeApplied(error)) {
        if (this.#setup.fenced) this.#doubtful.add(name, sent);
        this.#fence = undefined;
      }
      throw error;
    } finally {
      this.#call = undefined;
    }
  }

  #begin(timeoutMs: number): Call {
    this.#call = new Call(this.#setup.env, 'flush', undefined, { timeoutMs, fresh: true });
    return this.#call;
  }

  #baseAfter({ entry }: PendingWrite<V>, head: EntryHead | undefined): Base {
    if (!this.#setup.rules.tracksBase) return OWN;
    if (entry === undefined) return null;
    return head === undefined ? OWN : versionOf(head);
  }

  async #look(keys: readonly string[]): Promise<readonly (Entry<V> | undefined)[]> {
    const call = this.#begin(this.#setup.timeoutMs);
    try {
      return await call.guard(this.#setup.look(keys, call));
    } finally {
      this.#call = undefined;
    }
  }

  /** Learns where the fence stands; true when that settles something. */
  async #readFence(): Promise<boolean> {
    const { pending, settle, epoch, checkOwner } = this.#setup;
    const [entry] = await this.#look([this.#fenceKey]);
    const fence = entry === undefined ? null : readFence(entry);
    const landed = fence === null ? undefined : this.#doubtful.get(fence.window);
    const known = this.#confirmed;
    if (landed !== undefined && fence !== null) {
      this.#fence = fence;
      this.#confirmed = Math.max(known, fence.seq);
      for (const write of landed) settle(write, OWN);
      this.#flushed(landed.length, this.#setup.env.monotonicMs());
      return true;
    }
    const isForeign = fence !== null && fence.epoch !== epoch;
    const isRewound = known > 0 && (fence === null || isForeign || fence.seq < known);
    // It may have been moved by the next owner, who knows of newer writes: then this one is none any more.
    if (isForeign || isRewound) await checkOwner();
    this.#fence = fence;
    if (isRewound) {
      this.#confirmed = 0;
      this.#setup.onEvent({ type: 'back-rewound' });
      return false;
    }
    if (fence === null) return false;
    const contained = [...pending.window()].filter(
      (write) => write.epoch === fence.epoch && write.rev <= fence.seq,
    );
    if (fence.epoch === epoch) this.#confirmed = fence.seq;
    for (const write of contained) settle(write, OWN);
    if (contained.length > 0) this.#setup.onFlushed();
    this.#tellWaits();
    return contained.length > 0;
  }

  /** Compares with the back what must be compared, and gives what is to be sent. */
  async #prepare(chunk: readonly PendingWrite<V>[]): Promise<readonly Sending<V>[]> {
    const { rules } = this.#setup;
    const looked = chunk.filter((write) => needsLook(write, rules));
    const found = new Map<string, Entry<V> | undefined>();
    for (let at = 0; at < looked.length; at += LOOK_KEYS) {
      const keys = looked.slice(at, at + LOOK_KEYS).map(({ key }) => key);
      const entries = await this.#look(keys);
      keys.forEach((key, i) => {
        found.set(key, entries[i]);
      });
    }
    const sending: Sending<V>[] = [];
    for (const pending of chunk) {
      const seen = found.has(pending.key) ? { entry: found.get(pending.key) } : undefined;
      const verdict = await this.#decide(pending, seen);
      if (verdict === undefined || this.#stopped !== undefined) continue;
      const condition = verdict === 'send-if' ? seen : undefined;
      sending.push({ pending, write: backWrite(pending, rules.storeId, condition) });
    }
    return sending;
  }

  async #decide(
    write: PendingWrite<V>,
    seen: { readonly entry: Entry<V> | undefined } | undefined,
  ): Promise<Verdict['type'] | undefined> {
    if (seen === undefined) return 'send';
    const { rules, env } = this.#setup;
    const verdict = judge(write, seen.entry, rules, env.now());
    switch (verdict.type) {
      case 'send':
      case 'send-if':
        return verdict.type;
      case 'there':
        this.#setup.settle(write, OWN);
        return undefined;
      case 'refuse':
        await this.#setup.bury(write, seen.entry, verdict.cause);
        return undefined;
      case 'conflict': {
        const resolved = await this.#setup.resolve(write, seen.entry);
        return resolved === 'send' ? 'send-if' : undefined;
      }
    }
  }

  /** What a failed try means for the next. */
  async #failed(
    chunk: readonly PendingWrite<V>[],
    failure: StrataError,
    tries: number,
  ): Promise<Next> {
    try {
      const next = await this.#next(chunk, failure, tries);
      if (next !== 'wait') return next;
      await this.#waitAfter(failure, tries);
    } catch (error) {
      // Not even that was possible.
      await this.#waitAfter(asFailure(error), tries);
    }
    return 'again';
  }

  async #next(
    chunk: readonly PendingWrite<V>[],
    failure: StrataError,
    tries: number,
  ): Promise<Next | 'wait'> {
    if (failure.code === 'conflict' && this.#isConditional(failure.key)) {
      // Somebody moved the fence, or changed a key since it was looked at: both are read again.
      this.#fence = undefined;
      return tries < PATIENCE ? 'again' : 'wait';
    }
    // Perhaps it can take less at once.
    const divides = this.#slowness.isGreatest && tookTooLong(failure) && chunk.length > 1;
    if (divides) return 'divide';
    if (!isPermanent(failure)) return 'wait';
    if (failure.key === this.#fenceKey) {
      // The back takes values of its own kind only: one of those then.
      const value = await this.#valueOf(chunk);
      if (value === undefined || value === this.#fenceValue) return 'wait';
      this.#fenceValue = value;
      return 'again';
    }
    const fault = chunk.find(({ key }) => key === failure.key) ?? oneOf(chunk);
    if (fault === undefined) return 'divide';
    const [now] = await this.#look([fault.key]);
    await this.#setup.bury(fault, now, failure);
    this.#tellWaits();
    return 'without';
  }

  /** Any value that the back holds, or is to hold. */
  async #valueOf(chunk: readonly PendingWrite<V>[]): Promise<V | undefined> {
    const set = chunk.find(({ entry }) => entry !== undefined);
    if (set?.entry !== undefined) return set.entry.value;
    const keys = chunk.slice(0, LOOK_KEYS).map(({ key }) => key);
    const entries = await this.#look(keys);
    return entries.find((entry) => entry !== undefined)?.value;
  }

  #isConditional(key: string | undefined): boolean {
    if (key === this.#fenceKey) return true;
    const { tracksBase, guards } = this.#setup.rules;
    return tracksBase || guards;
  }

  async #waitAfter(cause: StrataError, tries: number): Promise<void> {
    const { env, retry, onEvent } = this.#setup;
    const { minMs, maxMs } = retry;
    const ceilingMs = Math.min(maxMs, minMs * 2 ** Math.min(tries, 30));
    const retryInMs = Math.ceil(minMs + env.random() * (ceilingMs - minMs));
    onEvent({ type: 'flush-failed', tries, retryInMs, cause });
    if (this.#stopped !== undefined) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        this.#pause?.timer.cancel();
        this.#pause = undefined;
        resolve();
      };
      this.#pause = { timer: env.setTimer(go, retryInMs), go };
    });
  }

  #tellWaits(): void {
    this.#waits.tell(this.#setup.pending.oldest?.rev);
  }
}

function oneOf<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined;
}
