// Control characters, and those that turn the direction of writing: a stored text must not steer the terminal.
const STEERING = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escaped(char: string): string {
  return SHORT[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A text on one line that cannot steer a terminal. */
export function oneLine(text: string): string {
  return text.replace(STEERING, escaped);
}

/** A text of several lines that cannot steer a terminal. */
export function severalLines(text: string): string {
  return text.replace(STEERING, (char) => (char === '\n' || char === '\t' ? char : escaped(char)));
}

/** Cut to a number of characters, with a mark where something is left out. */
export function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, Math.max(0, most - 1)).toWellFormed()}…`;
}

/** `1.4 MB`, `312 B`: powers of 1,000. */
export function showBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1_000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** `1,234,567`. */
export function showCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}
