import { attempt, chain } from '../../../kernel/awaitable.ts';
import { KeyedGenerations, KeyState } from '../../../kernel/keyed-generations.ts';
import type { Awaitable } from '../../../store/awaitable.ts';
import type { Call } from '../../../store/call.ts';
import type { Entry } from '../../../store/entry.ts';
import type { Write } from '../../../store/primitives.ts';
import { type Base, baseOf } from './base.ts';

/** Who must be asked before a commit can be decided. */
export type Needs = 'copy' | 'truth' | 'base';

/** What a commit sees of a key that is not pending. */
export interface View<V> {
  /** As this store shows it. */
  readonly entry: Entry<V> | undefined;
  readonly base: Base;
  /** The back did not answer: a delete without a condition is then taken to meet an entry. */
  readonly failure?: unknown;
}

/** Reads of what lies beneath the pending writes. */
export interface ViewSource<V> {
  /** What the front has at hand; a miss says nothing. */
  copies(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]>;
  /** As any reader is given it: a miss is one of the back. */
  entries(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]>;
  /** As the back holds it now, past every copy. */
  fresh(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]>;
  /** An entry of these as this store shows it. */
  shown(entry: Entry<V>): Entry<V>;
  isOwn(entry: Entry<V>): boolean;
}

class KeyView extends KeyState {
  viewers = 0;
  override get idle(): boolean {
    return this.viewers === 0;
  }
}

/**
 * What waiting commits have seen of their keys. A view is good for as long as no write of its key
 * has been sequenced, and none has reached the back, since it began to be read.
 */
export class Views<V> {
  readonly #source: ViewSource<V>;
  readonly #states = new KeyedGenerations<KeyView>((key) => new KeyView(key));

  constructor(source: ViewSource<V>) {
    this.#source = source;
  }

  /** A write of the key was sequenced, or is in the back now. */
  touch(key: string): void {
    const state = this.#states.get(key);
    if (state !== undefined) state.generation++;
  }

  /** Begins to look at a key: the views of the result are to be ended with `leave`. */
  open(key: string, needs: Needs): KeyLook<V> {
    const state = this.#states.open(key);
    state.viewers++;
    return { key, needs, state, generation: -1, view: undefined };
  }

  /** Looks on, after it was ended. */
  enter(look: KeyLook<V>): void {
    const state = this.#states.open(look.key);
    if (state !== look.state) look.generation = -1;
    look.state = state;
    state.viewers++;
  }

  leave(look: KeyLook<V>): void {
    look.state.viewers--;
    this.#states.release(look.state as KeyView);
  }

  isGood(look: KeyLook<V>): boolean {
    return look.view !== undefined && look.generation === look.state.generation;
  }

  /** What was read now, for such needs, as a view. */
  now(entry: Entry<V> | undefined, needs: Needs): View<V> {
    return this.#viewOf(entry, needs);
  }

  /** Reads what these looks need, and notes it in them. Never fails: a failure is part of the view. */
  read(looks: readonly KeyLook<V>[], call: Call): Awaitable<void> {
    let reading: Awaitable<unknown>;
    for (const needs of ['copy', 'truth', 'base'] as const) {
      const some = looks.filter((look) => look.needs === needs);
      if (some.length === 0) continue;
      const one = this.#readSome(some, needs, call);
      if (reading === undefined) reading = one;
      else if (one instanceof Promise) reading = Promise.all([reading, one]);
    }
    return chain(reading, () => {});
  }

  #readSome(looks: readonly KeyLook<V>[], needs: Needs, call: Call): Awaitable<void> {
    const keys = looks.map(({ key }) => key);
    const generations = looks.map(({ state }) => state.generation);
    const note = (viewOf: (i: number) => View<V>): void => {
      looks.forEach((look, i) => {
        look.generation = generations[i] as number;
        look.view = viewOf(i);
      });
    };
    const found = (entries: readonly (Entry<V> | undefined)[]): void =>
      note((i) => this.#viewOf(entries[i], needs));
    const failed = (failure: unknown): Awaitable<void> => {
      if (needs !== 'base') return note(() => ({ ...NOTHING, failure }));
      // What the front has says on what the write was decided.
      const blind = (): void => note(() => ({ ...NOTHING, failure }));
      return attempt(
        () => this.#source.copies(keys, call),
        (copies) =>
          note((i) => ({ ...NOTHING, failure, base: this.#viewOf(copies[i], 'copy').base })),
        blind,
      );
    };
    try {
      const { copies, entries, fresh } = this.#source;
      const ask = needs === 'copy' ? copies : needs === 'truth' ? entries : fresh;
      const answer = ask(keys, call);
      return answer instanceof Promise ? answer.then(found, failed) : found(answer);
    } catch (error) {
      return failed(error);
    }
  }

  #viewOf(entry: Entry<V> | undefined, needs: Needs): View<V> {
    if (entry === undefined) return needs === 'copy' ? NOTHING : { entry, base: null };
    const { isOwn, shown } = this.#source;
    return { entry: shown(entry), base: baseOf(entry, isOwn(entry)) };
  }
}

const NOTHING = { entry: undefined, base: undefined } as const;

/** One key as a waiting commit looks at it. */
export interface KeyLook<V> {
  readonly key: string;
  readonly needs: Needs;
  state: KeyState & { viewers: number };
  generation: number;
  view: View<V> | undefined;
}

/** Of each key of a commit, who must be asked about it. */
export function needsOf<V>(
  writes: readonly Write<V>[],
  tracksBase: boolean,
): ReadonlyMap<string, Needs> {
  const needs = new Map<string, Needs>();
  for (const write of writes) {
    const asks = write.type === 'delete' || write.if !== undefined;
    if (tracksBase) needs.set(write.key, 'base');
    else if (asks || !needs.has(write.key)) needs.set(write.key, asks ? 'truth' : 'copy');
  }
  return needs;
}
