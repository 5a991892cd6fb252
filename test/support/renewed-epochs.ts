/** A store whose epoch can be changed while it is open, as a restore does. */
import { Call } from '../../src/store/call.ts';
import { defineStore } from '../../src/store/define-store.ts';
import { cursorExpired } from '../../src/store/feed/cursor.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { Feed, Position } from '../../src/store/primitives.ts';
import type { Store } from '../../src/store/store.ts';

export class RenewedEpochs<V> {
  readonly store: Store<V>;
  #count = 0;
  /** In which epoch revisions were made, from one on. */
  readonly #from: (readonly [rev: number, epoch: string])[] = [[0, 'e0']];
  #bell = Promise.withResolvers<void>();
  readonly #plain: Store<V>;
  readonly #feed: Feed<V>;

  constructor(plain: Store<V>) {
    const inside = primitivesOf(plain);
    this.#plain = plain;
    this.#feed = inside.feed as Feed<V>;
    const { blocking: _, ...primitives } = inside;
    this.store = defineStore<V>({ ...primitives, feed: this.#renewed(this.#feed) });
  }

  /** How often it was changed. */
  get count(): number {
    return this.#count;
  }

  async renew(): Promise<void> {
    const call = Call.background(primitivesOf(this.#plain).env, 'renew');
    const { head } = await this.#feed.state(call);
    this.#count++;
    this.#from.push([head.rev + 1, `e${this.#count}`]);
    this.#bell.resolve();
    this.#bell = Promise.withResolvers();
  }

  #renewed(feed: Feed<V>): Feed<V> {
    const own = (at: Position): Position => ({ ...at, epoch: `e${this.#count}` });
    const inner = async (at: Position | undefined, call: Call): Promise<Position | undefined> => {
      if (at === undefined) return undefined;
      if (at.epoch !== `e${this.#count}`) throw cursorExpired('watch', at, 'the epoch is another');
      return { ...at, epoch: (await feed.state(call)).head.epoch };
    };
    return {
      state: async (call) => {
        const state = await feed.state(call);
        return { ...state, head: own(state.head) };
      },
      read: async function* (at, call) {
        for await (const { changes, end } of feed.read(await inner(at, call), call))
          yield { changes, ...(end !== undefined && { end: own(end) }) };
      },
      wait: async (at, call) => {
        if (at !== undefined && at.epoch !== `e${this.#count}`) return;
        await Promise.race([feed.wait(await inner(at, call), call), this.#bell.promise]);
      },
      epochOf: (rev) => this.#from.findLast(([first]) => first <= rev)?.[1] ?? '',
    };
  }
}
