import { chain } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { Call } from '../../store/call.ts';
import type { Change, Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import { FIRST_USER_KEY } from '../../store/keys.ts';
import type { Write } from '../../store/primitives.ts';
import type { CopyState } from './copy-state.ts';
import type { Pace } from './follow-pace.ts';
import { type FrontCopies, removal, type Step } from './front-copies.ts';
import type { Door } from './parts.ts';

/** So many changes are brought to the front at once. */
const SLICE_CHANGES = 500;

export interface FollowFrontSetup<V> {
  readonly env: Env;
  readonly copies: FrontCopies<V>;
  readonly front: Door<V>;
  readonly pace: Pace;
  /**
   * Reads keys from the back into the front. Present where the front is to hold every entry, not those
   * alone that it has already, because it is read alone. Never fails.
   */
  readonly load: ((keys: readonly string[]) => Awaitable<unknown>) | undefined;
  /** The copy of an entry; a delete where the front cannot hold one. */
  copyOf(entry: Entry<V>): Write<V>;
}

/**
 * Brings changes of the back to the front: each as a write that somebody else made, in one moment.
 * Reads of the back that began before leave no copy, and nobody joins them any more. A write of this
 * store that is under way compares revisions when it ends. A copy that is newer than the change, or
 * is the change, stays: so the order in which changes and copies arrive makes no difference.
 */
export class FollowFront<V> {
  readonly #setup: FollowFrontSetup<V>;
  readonly #call: Call;

  constructor(setup: FollowFrontSetup<V>) {
    this.#setup = setup;
    this.#call = Call.background(setup.env, 'follow');
  }

  /** Forgets what was read, and is being written, before now: none of it becomes a copy. */
  renounce(): void {
    const { copies } = this.#setup;
    for (const state of copies.states.all()) {
      state.generation++;
      state.load = undefined;
      if (state.writers > 0) state.overlapped = true;
    }
    copies.states.misses?.clear();
  }

  /** Lets nothing that was read before become a copy, or an answer to those who ask from now on. */
  touch(changes: readonly Change<V>[]): void {
    const { copies } = this.#setup;
    for (const { key, rev } of changes) {
      copies.states.misses?.delete(key);
      const state = copies.states.get(key);
      if (state === undefined) continue;
      state.generation++;
      state.load = undefined;
      if (state.writers > 0) state.noteSeen(rev);
    }
  }

  /** Brings changes to the front; the last of a key counts. Never fails: what the front does not take is fenced. */
  async meet(changes: readonly Change<V>[]): Promise<void> {
    for (let at = 0; at < changes.length; at += SLICE_CHANGES) {
      const met = this.#meetSlice(changes.slice(at, at + SLICE_CHANGES));
      if (met instanceof Promise) await met;
      const { breath } = this.#setup.pace;
      if (breath !== undefined) await breath;
    }
  }

  /** Brings keys back into a front that is read alone which are looked up in the back because their copies are in doubt. */
  async settle(): Promise<void> {
    const { copies, load } = this.#setup;
    if (load === undefined || copies.fenced === 0) return;
    const keys: string[] = [];
    for (const { key, fenced, writers } of copies.states.all()) {
      if (fenced && writers === 0) keys.push(key);
      if (keys.length === SLICE_CHANGES) break;
    }
    await load(keys);
  }

  #meetSlice(all: readonly Change<V>[]): Awaitable<unknown> {
    const { copies, front, load } = this.#setup;
    const changes = new Map<string, Change<V>>();
    for (const change of all) changes.set(change.key, change);
    if (changes.size === 0) return undefined;
    this.touch([...changes.values()]);
    // It is emptied, and gets no copy before that is done.
    if (!copies.whole) return undefined;
    const keys = [...changes.keys()];
    // A copy on its way to the front is not found there yet.
    const arriving = new Set(
      keys.filter((key) => copies.states.get(key)?.frontWrite !== undefined),
    );
    return chain(
      copies.asked(keys, () => front.readMany(keys, this.#call)),
      (found) => {
        if (found === undefined) return undefined;
        const due = keys.filter((key, i) => {
          const state = copies.states.get(key);
          const comes = arriving.has(key);
          if (this.#leaves(state, comes)) return false;
          return comes || this.#isDue(found[i], changes.get(key) as Change<V>);
        });
        // A change says nothing of what has become of the key since: it may have been deleted, and read.
        const news = keys.filter(
          (key, i) => found[i] === undefined && isNews(changes.get(key) as Change<V>),
        );
        const brought = due.length === 0 ? undefined : this.#bring(due, changes, news);
        return chain(brought, () => (news.length === 0 ? undefined : load?.(news)));
      },
    );
  }

  /** Whether others see to it that the front gets nothing wrong: a write at its end, a read of a fenced key. */
  #leaves(state: CopyState<V> | undefined, comes: boolean): boolean {
    return state !== undefined && !comes && (state.fenced || state.writers > 0);
  }

  /** Adds to `news` what the front turns out not to have any more. */
  #bring(
    keys: readonly string[],
    changes: ReadonlyMap<string, Change<V>>,
    news: string[],
  ): Awaitable<unknown> {
    const { copies, load } = this.#setup;
    const states = keys.map((key) => {
      const state = copies.states.open(key);
      // Keeps it from being forgotten, and the key from being served meanwhile.
      state.readings++;
      return state;
    });
    const steps = (): Step<V>[] =>
      states.map((state) => {
        const change = changes.get(state.key) as Change<V>;
        const refreshes = change.type === 'set' && (load !== undefined || state.writers === 0);
        const write = refreshes ? this.#setup.copyOf(change) : removal<V>(state.key);
        return { state, write, doubtful: state.fenced };
      });
    return chain(copies.apply(this.#sparing(changes, news), states, steps), () => {
      for (const state of states) {
        state.readings--;
        copies.states.release(state);
      }
    });
  }

  /** The front, which leaves out the writes that are not due when it comes to them. */
  #sparing(changes: ReadonlyMap<string, Change<V>>, news: string[]): Door<V> {
    const { front } = this.#setup;
    return {
      ...front,
      commit: (writes, call) => {
        const keys = writes.map(({ key }) => key);
        return chain(front.readMany(keys, call), (found) => {
          const due = writes.filter(({ key }, i) =>
            this.#isDue(found[i], changes.get(key) as Change<V>),
          );
          writes.forEach((write, i) => {
            if (found[i] === undefined && isNews(write)) news.push(write.key);
          });
          return due.length === 0 ? { outcomes: [] } : front.commit(due, call);
        });
      },
    };
  }

  #isDue(copy: Entry<V> | undefined, change: Change<V>): boolean {
    if (copy === undefined) return false;
    const stamp = copy.origin;
    // What the front keeps of its own is no copy.
    if (stamp === undefined) return change.key >= FIRST_USER_KEY;
    if (change.type === 'set' && stamp.version === change.version) return false;
    return stamp.rev <= (change.rev ?? Number.POSITIVE_INFINITY);
  }
}

/** Whether a front that is to hold every entry wants it: reserved ones it has only where somebody has read or written them. */
function isNews({ type, key }: { readonly type: 'set' | 'delete'; readonly key: string }): boolean {
  return type === 'set' && key >= FIRST_USER_KEY;
}
