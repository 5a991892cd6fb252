/** Figures as people read them. */

const grouped = new Intl.NumberFormat('en');

/** `12,345` */
export function count(value: number): string {
  return grouped.format(Math.round(value));
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** `512 B`, `1.5 kB`, `20 MB`: powers of 1,000. */
export function bytes(value: number): string {
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < BYTE_UNITS.length - 1) {
    scaled /= 1_000;
    unit++;
  }
  return `${unit === 0 ? Math.round(scaled) : shortened(scaled)} ${BYTE_UNITS[unit]}`;
}

/** A rate or a level on an axis: `0.5`, `12`, `3.4k`, `1.2M`. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 999_500) return `${shortened(value / 1_000_000)}M`;
  if (size >= 1_000) return `${shortened(value / 1_000)}k`;
  return shortened(value);
}

function shortened(value: number): string {
  const digits = Math.abs(value) >= 99.95 ? 0 : 1;
  return value.toFixed(digits).replace(/\.0$/, '');
}

const SPANS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** `5 s`, `3 min`, `2 h`, `4 d`: the largest unit that fits, cut off. */
export function span(ms: number): string {
  for (const [unit, size] of SPANS) if (ms >= size) return `${Math.floor(ms / size)} ${unit}`;
  return '0 s';
}

/** `12 s`, `1.5 min`, `2 h`: for an axis, where neighbours must differ. */
export function age(ms: number): string {
  const [unit, size] = SPANS.find(([, least]) => ms >= least) ?? ['s', 1_000];
  return `${shortened(ms / size)} ${unit}`;
}

/** A moment against now: `just now`, `5 s ago`, `in 3 min`. */
export function relative(atMs: number, nowMs: number): string {
  const away = nowMs - atMs;
  if (Math.abs(away) < 1_500) return 'just now';
  return away > 0 ? `${span(away)} ago` : `in ${span(-away)}`;
}

const dated = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium' });
const timed = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

/** `Nov 20, 2026, 7:21:37 PM`, in the reader's time zone. */
export function moment(atMs: number): string {
  // A stored time may be anything a writer's clock said.
  return Math.abs(atMs) <= 8.64e15 ? dated.format(atMs) : 'never';
}

/** `19:21:37` */
export function clock(atMs: number): string {
  return timed.format(atMs);
}
