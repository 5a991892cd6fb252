/**
 * `STRATAKV_BENCH_SCALE=0.02` makes the long suites do only so much of their work, to see in seconds
 * that they run and that their results are right. Figures of such a run mean nothing.
 */
export const scale: number = Number(process.env.STRATAKV_BENCH_SCALE ?? 1);

/** So much of a number of keys, rounds or subscribers; one at least. */
export function scaled(count: number): number {
  return Math.max(1, Math.round(count * scale));
}
