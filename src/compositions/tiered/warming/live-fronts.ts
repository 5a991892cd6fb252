import type { Primitives } from '../../../store/primitives.ts';
import type { WarmTarget } from './target.ts';

/** The tiered stores at work, by their fronts: a front belongs to one of them. */
const atWork = new WeakMap<object, WarmTarget<unknown>>();

/** Notes how the front of a tiered store is to be warmed while the store is open. */
export function noteFront<V>(front: Primitives<V>, target: WarmTarget<V>): void {
  atWork.set(front, target as WarmTarget<unknown>);
}

/** The tiered store is closed: its front is a store like any other again. */
export function forgetFront<V>(front: Primitives<V>, target: WarmTarget<V>): void {
  if (atWork.get(front) === target) atWork.delete(front);
}

/** How this front is to be warmed, when a tiered store is at work on it. */
export function targetOfFront<V>(front: Primitives<V>): WarmTarget<V> | undefined {
  return atWork.get(front) as WarmTarget<V> | undefined;
}
