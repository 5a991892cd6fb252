const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Reads a time such as `500ms`, `30s`, `10m`, `1h30m` or `7d` as ms. Throws an `Error` that says what is expected. */
export function parseDurationMs(text: string): number {
  const expected = 'a time such as 500ms, 30s, 10m, 1h30m or 7d';
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) throw new Error(expected);
  let totalMs = 0;
  for (const [, amount, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    totalMs += Number(amount) * (UNITS[unit] ?? 0);
  if (!(totalMs > 0) || !Number.isSafeInteger(Math.ceil(totalMs))) throw new Error(expected);
  return totalMs;
}

/** Shows a time in its two largest units: `1h30m`, `42s`. */
export function showDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  let rest = Math.round(ms / 1_000);
  const parts: string[] = [];
  for (const [unit, seconds] of [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    if (count > 0) parts.push(`${count}${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.slice(0, 2).join('');
}
