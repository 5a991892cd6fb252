import { basics } from './basics.ts';
import type { Case } from './case.ts';
import { keys } from './keys.ts';

/** All cases, by theme. */
export const themes: Readonly<Record<string, readonly Case[]>> = {
  basics,
  keys,
};
