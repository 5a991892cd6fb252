import { showDuration } from '../duration.ts';
import type { Output } from './output.ts';
import { shorten, showBytes, showCount } from './printable.ts';
import type { Style } from './style.ts';

/** Before the first drawing, and between two. */
const REDRAW_MS = 100;
/** No guess of the time left before this. */
const GUESS_MS = 1_000;
const BAR_COLUMNS = 24;
const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧'];

export interface ProgressOptions {
  readonly output: Output;
  readonly style: Style;
  /** False where the output is no terminal or the caller wants silence: then nothing is drawn. */
  readonly enabled: boolean;
  /** What is being done, such as `importing`. */
  readonly label: string;
  /** What is counted, such as `entries`. */
  readonly unit: string;
  /** A clock that never jumps; default the system's. */
  readonly monotonicMs?: () => number;
}

/** One line at the bottom of a terminal: a bar where the end is known, else a spinner; count, rate, time left. */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #monotonicMs: () => number;
  readonly #startMs: number;
  #drawnMs: number;
  #drawn = false;
  #count = 0;
  #bytes = 0;
  #doneOfTotal = 0;
  #total: number | undefined;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
    this.#startMs = this.#monotonicMs();
    this.#drawnMs = this.#startMs;
  }

  /** Whether anything is drawn. */
  get enabled(): boolean {
    return this.#options.enabled;
  }

  get count(): number {
    return this.#count;
  }

  /** How much there is to do, in whatever `advance` counts as its part. */
  set total(total: number | undefined) {
    this.#total = total;
  }

  /** Counts items, their bytes, and the part of `total` now done. */
  advance(items: number, bytes: number, doneOfTotal: number): void {
    this.#count += items;
    this.#bytes += bytes;
    this.#doneOfTotal = doneOfTotal;
    const nowMs = this.#monotonicMs();
    if (!this.#options.enabled || nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    this.#draw(nowMs);
  }

  /** Takes the line away, so that the result stands alone. */
  end(): void {
    if (this.#drawn) this.#options.output.say('\r\u001b[2K');
    this.#drawn = false;
  }

  /** `12,345 entries, 1.2 MB in 3s (4,115/s)` */
  summary(): string {
    const tookMs = Math.max(1, this.#monotonicMs() - this.#startMs);
    const rate = showCount((this.#count / tookMs) * 1_000);
    const bytes = this.#bytes > 0 ? `, ${showBytes(this.#bytes)}` : '';
    const { unit } = this.#options;
    return `${showCount(this.#count)} ${unit}${bytes} in ${showDuration(tookMs)} (${rate}/s)`;
  }

  #draw(nowMs: number): void {
    const { output, style, label, unit } = this.#options;
    const tookMs = Math.max(1, nowMs - this.#startMs);
    const counts = `${showCount(this.#count)} ${unit}  ${showCount((this.#count / tookMs) * 1_000)}/s`;
    const total = this.#total;
    let line: string;
    if (total === undefined || total <= 0) {
      const spinner = SPINNER[Math.floor(tookMs / REDRAW_MS) % SPINNER.length] ?? '';
      line = `${spinner} ${label}  ${counts}  ${showDuration(tookMs)}`;
    } else {
      const part = Math.min(1, this.#doneOfTotal / total);
      const left =
        part > 0 && tookMs >= GUESS_MS
          ? `  ${showDuration((tookMs * (1 - part)) / part)} left`
          : '';
      const percent = `${Math.floor(part * 100)}%`.padStart(4);
      line = `${label} ${bar(part)} ${percent}  ${counts}${left}`;
    }
    // Cut before painting: a line that wraps cannot be redrawn.
    line = shorten(line, output.columns() - 1);
    output.say(`\r\u001b[2K${style.cyan(line)}`);
    this.#drawn = true;
  }
}

function bar(part: number): string {
  const full = Math.round(part * BAR_COLUMNS);
  return '━'.repeat(full) + '─'.repeat(BAR_COLUMNS - full);
}
