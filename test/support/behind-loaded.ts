/** For tests in simulated time, which does not wait for code to be loaded: import this first. */
import { loadBehind } from '../../src/compositions/tiered/late-behind.ts';

await loadBehind();
