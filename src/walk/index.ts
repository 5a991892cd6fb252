/** Reachability: what a store holds that can be reached from given roots. */
export type { ReadingOptions, Roots } from './options.ts';
export { type WalkOptions, type WalkProgress, walk } from './walk.ts';
export { fromKeySet, type Keys, type Walker } from './walker.ts';
