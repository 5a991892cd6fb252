/** Runs before each test file: random tests run from the same seed each time, or from `STRATAKV_SEED`, a number or `random`. */
import * as fc from 'fast-check';

declare const process: { readonly env: Record<string, string | undefined> } | undefined;

const seed = (typeof process === 'undefined' ? undefined : process.env.STRATAKV_SEED) ?? '1';
if (seed !== 'random') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) });
