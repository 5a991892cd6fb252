import { KeyState } from '../../kernel/keyed-generations.ts';
import type { Entry } from '../../store/entry.ts';

/** What is under way on one key of a tiered store. While there is one, the front is not asked for the key. */
export class CopyState<V> extends KeyState {
  /** The front may hold something older than the back. */
  fenced = false;
  /** How often it has been fenced: a write of the front that began before lifts no fence. */
  fences = 0;
  /** The write of the front under way; its result never rejects. */
  frontWrite: Promise<unknown> | undefined = undefined;
  /** A read of the back. Those who ask now may share it, unless a write is under way: it may have begun before that took effect. */
  load: Promise<Entry<V> | undefined> | undefined = undefined;
  /** The read that begins after this one, for those who may not share it. */
  nextLoad: Promise<Entry<V> | undefined> | undefined = undefined;
  /** Reads of the back whose result is not dealt with yet: they must meet the writes of their time here. */
  readings = 0;

  override get idle(): boolean {
    return (
      this.writers === 0 && this.readings === 0 && !this.fenced && this.frontWrite === undefined
    );
  }
}
