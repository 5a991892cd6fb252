import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ArchiveEvent,
  ArchiveStats,
  ArchiveWorker,
} from '../../compositions/archive/index.ts';
import type { Context } from '../context.ts';
import { showDuration } from '../duration.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { oneLine, shorten, showBytes, showCount } from '../terminal/printable.ts';
import type { ArchiveTask } from './actions.ts';

const EVERY_MS = 1_000;

/** How an archive stands at a moment, and what became of it in the second before. */
export interface ArchiveSample extends ArchiveStats {
  /** In ms since 1970. */
  readonly at: number;
  readonly frozenPerSecond: number;
  /** How long the cold store has failed; absent while it answers. */
  readonly coldAwayMs?: number;
}

/** Freezes and evicts until it is interrupted, and tells how the archive stands. */
export async function watch({ context, archive }: ArchiveTask): Promise<ExitCode> {
  const worker = archive.worker({ monitor: (event) => told(context, event) });
  const isDrawn = context.err.isTerminal && !context.json && context.flags.quiet !== true;
  context.note('working; Ctrl-C ends it when what is under way is done');
  let before: (Pick<ArchiveStats, 'frozen'> & { readonly ms: number }) | undefined;
  while (!context.signal.aborted) {
    const stats = await statsOr(context, () => archive.stats());
    if (stats !== undefined) {
      const ms = performance.now();
      const rate =
        before === undefined ? 0 : ((stats.frozen - before.frozen) * 1_000) / (ms - before.ms);
      before = { frozen: stats.frozen, ms };
      const sample = sampleOf(stats, rate, worker);
      if (context.json) await context.out.line(JSON.stringify(sample));
      else if (isDrawn) draw(context, sample);
    }
    await sleep(EVERY_MS, undefined, { signal: context.signal }).catch(() => undefined);
  }
  if (isDrawn) context.err.say('\r\u001b[2K');
  await worker.stop();
  const { frozen, deleted, evicted, failures, bytes } = worker.stats();
  context.note(
    `froze ${showCount(frozen)} (${showBytes(bytes)}), removed ${showCount(deleted)}, evicted ${showCount(evicted)}, failed ${showCount(failures)} times`,
  );
  return EXIT.ok;
}

/** A hot side that is away is told by the worker, which goes on. */
async function statsOr(
  context: Context,
  ask: () => Promise<ArchiveStats>,
): Promise<ArchiveStats | undefined> {
  try {
    return await ask();
  } catch (error) {
    context.note(
      context.errStyle.dim(oneLine(error instanceof Error ? error.message : String(error))),
    );
    return undefined;
  }
}

function sampleOf(stats: ArchiveStats, rate: number, worker: ArchiveWorker): ArchiveSample {
  const { coldAwayMs } = worker.stats();
  return {
    at: Date.now(),
    ...stats,
    frozenPerSecond: Math.round(rate),
    ...(coldAwayMs !== undefined && { coldAwayMs }),
  };
}

function draw(context: Context, sample: ArchiveSample): void {
  const { dirty, oldestMarkMs, frozenPerSecond, frozen, evicted, failing, coldAwayMs } = sample;
  const parts = [
    `dirty ${showCount(dirty)}`,
    ...(dirty > 0 ? [`oldest ${showDuration(oldestMarkMs)}`] : []),
    `frozen ${showCount(frozen)} (${showCount(frozenPerSecond)}/s)`,
    `evicted ${showCount(evicted)}`,
    `failing ${showCount(failing)}`,
    ...(coldAwayMs === undefined ? [] : [`cold store away for ${showDuration(coldAwayMs)}`]),
  ];
  const line = shorten(parts.join('  '), context.err.columns() - 1);
  const { errStyle } = context;
  const color = coldAwayMs === undefined && failing === 0 ? errStyle.cyan : errStyle.red;
  context.err.say(`\r\u001b[2K${color(line)}`);
}

/** Says what somebody who watches should see stay on the screen. */
export function told(context: Context, event: ArchiveEvent): void {
  const text = textOf(event);
  if (text === undefined) return;
  if (context.err.isTerminal) context.err.say('\r\u001b[2K');
  context.note(context.errStyle.dim(text));
}

function textOf(event: ArchiveEvent): string | undefined {
  const why = (cause: unknown): string =>
    oneLine(cause instanceof Error ? cause.message : String(cause));
  switch (event.type) {
    case 'failed':
      return `${oneLine(event.key)}: ${why(event.cause)}; again in ${showDuration(event.retryInMs)}`;
    case 'evict-failed':
      return `evicting ended early: ${why(event.cause)}`;
    case 'cold-away':
      return `the cold store is away: ${why(event.cause)}`;
    case 'hot-away':
      return `the hot side is away: ${why(event.cause)}`;
    case 'cold-returned':
    case 'hot-returned': {
      const what = event.type === 'cold-returned' ? 'cold store' : 'hot side';
      return `the ${what} is back after ${showDuration(event.awayMs)}`;
    }
    default:
      return undefined;
  }
}
