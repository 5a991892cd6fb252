/** Reachability: what a store holds that can be reached from given roots. */
export type { ReadingOptions, Roots } from './options.ts';
export { sweep } from './sweep.ts';
export type { SweepOptions, SweepProgress, SweepResult } from './sweep-options.ts';
export { touch } from './touch.ts';
export { type WalkOptions, type WalkProgress, walk } from './walk.ts';
export { fromKeySet, type Keys, type Walker } from './walker.ts';
export { type JsonWalkerOptions, jsonWalker } from './walkers/json.ts';
