import type {
  Archive,
  ArchiveEvent,
  FailedKey,
  KeyDifference,
} from '../../compositions/archive/index.ts';
import { isStrataError, StrataError, type StrataErrorCode } from '../../store/errors.ts';
import type { Context } from '../context.ts';
import { showDuration } from '../duration.ts';
import { EXIT, type ExitCode, exitCodeOf } from '../exit-codes.ts';
import { usageError } from '../flags.ts';
import { oneLine, showCount } from '../terminal/printable.ts';

/** What an action gets beside the archive. */
export interface ArchiveTask {
  readonly context: Context;
  readonly archive: Archive;
  readonly keys: readonly string[];
  /** Share of what `verify` looks at. */
  readonly sample: number | undefined;
  /** Whether `rebuild` brings keys back. */
  readonly restore: boolean;
  readonly isIdle: boolean;
}

/** Failing keys that `status` names. */
const MOST_NAMED = 20;

/** How the archive stands, and what fails in it. */
export async function status({ context, archive }: ArchiveTask): Promise<ExitCode> {
  const { dirty, failing, oldestMarkMs, evicted } = await archive.stats();
  const failed = failing > 0 ? await archive.failed(MOST_NAMED) : [];
  const { out, style } = context;
  if (context.json) {
    await out.line(JSON.stringify({ dirty, failing, oldestMarkMs, evicted, failed }));
    return EXIT.ok;
  }
  const oldest = dirty === 0 ? '' : `, the oldest for ${showDuration(oldestMarkMs)}`;
  await out.line(`dirty    ${showCount(dirty)}${style.dim(oldest)}`);
  await out.line(`failing  ${showCount(failing)}`);
  await out.line(`evicted  ${showCount(evicted)}`);
  for (const one of failed) await out.line(`  ${failedText(context, one)}`);
  return EXIT.ok;
}

function failedText(context: Context, { key, cause, tries, nextTryAt }: FailedKey): string {
  const inMs = Math.max(0, nextTryAt - Date.now());
  const when = `${tries === 1 ? 'once' : `${tries} times`}, again in ${showDuration(inMs)}`;
  const code = context.style.red(cause.code);
  return `${code}  ${oneLine(key)}  ${oneLine(cause.message)}  ${context.style.dim(when)}`;
}

/** Freezes what is marked, after marking the keys that are named. */
export async function freeze({ context, archive, keys }: ArchiveTask): Promise<ExitCode> {
  if (keys.length > 0) await archive.dirty(...keys);
  const progress = context.progress('freezing', 'keys');
  progress.total = (await archive.stats()).dirty;
  const failures: { readonly key: string; readonly cause: unknown }[] = [];
  const monitor = (event: ArchiveEvent): void => {
    if (event.type === 'failed') failures.push(event);
    if (event.type === 'frozen') progress.advance(1, event.bytes, progress.count + 1);
    if (event.type === 'deleted') progress.advance(1, 0, progress.count + 1);
  };
  const worker = archive.worker({ autoStart: false, monitor });
  try {
    await unlessStopped(context, worker.drain());
  } finally {
    progress.end();
  }
  const { frozen, deleted, bytes } = worker.stats();
  if (context.json)
    await context.out.line(
      JSON.stringify({ frozen, deleted, bytes, failed: failures.map(asData) }),
    );
  for (const { key, cause } of failures) await tell(context, key, cause);
  context.note(`froze ${progress.summary()}`);
  context.throwIfStopped('archive');
  return codeOf(failures.map(({ cause }) => cause));
}

/** Brings keys back. */
export async function ensure({ context, archive, keys }: ArchiveTask): Promise<ExitCode> {
  if (keys.length === 0) throw usageError('archive', 'ensure needs at least one KEY');
  await unlessStopped(context, archive.ensure(...keys));
  context.throwIfStopped('archive');
  context.note(`${showCount(keys.length)} there, or deleted`);
  return EXIT.ok;
}

/** Evicts the keys that are named, or those that are idle. */
export async function evict(task: ArchiveTask): Promise<ExitCode> {
  const { context, archive, keys, isIdle } = task;
  if (keys.length === 0 && !isIdle)
    throw usageError('archive', 'evict needs a KEY, or --idle TIME for those that nobody used');
  if (keys.length > 0 && isIdle)
    throw usageError('archive', 'evict takes either KEYs or --idle TIME');
  const work = isIdle ? archive.evictIdle() : archive.evict(...keys);
  const result = await unlessStopped(context, work);
  context.throwIfStopped('archive');
  const { evicted = 0, kept = [] } = result ?? {};
  if (context.json) await context.out.line(JSON.stringify({ evicted, kept }));
  else
    for (const { key, reason } of kept)
      await context.out.line(`${context.style.yellow(reason)}  ${oneLine(key)}`);
  context.note(`evicted ${showCount(evicted)}, kept ${showCount(kept.length)}`);
  return kept.length > 0 && !isIdle ? EXIT.conflict : EXIT.ok;
}

/** Compares hot and cold. */
export async function verify({ context, archive, sample }: ArchiveTask): Promise<ExitCode> {
  const progress = context.progress('verifying', 'keys');
  const result = await archive
    .verify({
      signal: context.signal,
      ...(sample !== undefined && { sample }),
      onProgress: ({ checked }) => progress.advance(checked - progress.count, 0, checked),
    })
    .finally(() => progress.end());
  const { differences, ...counts } = result;
  if (context.json)
    await context.out.line(
      JSON.stringify({ ...counts, differences: differences.map(asDifference) }),
    );
  else
    for (const { key, code, error } of differences) {
      const why = error instanceof Error ? `  ${oneLine(error.message)}` : '';
      await context.out.line(`${context.style.red(code)}  ${oneLine(key)}${why}`);
    }
  const { equal, dirty, evicted, gone, differing } = counts;
  context.note(
    `verified ${progress.summary()}: ${showCount(equal)} equal, ${showCount(evicted)} evicted, ${showCount(dirty)} dirty, ${showCount(gone)} gone, ${showCount(differing)} other than they should be`,
  );
  return differing > 0 || (result.missing ?? 0) > 0 ? EXIT.corrupt : EXIT.ok;
}

/** Makes the records of evicted keys anew. */
export async function rebuild({ context, archive, restore }: ArchiveTask): Promise<ExitCode> {
  const progress = context.progress(restore ? 'restoring' : 'rebuilding', 'objects');
  const { failed, ...counts } = await archive
    .rebuildIndex({
      restore,
      signal: context.signal,
      onProgress: ({ objects }) => progress.advance(objects - progress.count, 0, objects),
    })
    .finally(() => progress.end());
  if (context.json)
    await context.out.line(
      JSON.stringify({
        ...counts,
        failed: failed.map(({ key, error }) => asData({ key, cause: error })),
      }),
    );
  for (const { key, error } of failed) await tell(context, key, error);
  const { recorded, restored, evicted, hot, deleted, expired } = counts;
  context.note(
    `read ${progress.summary()}: ${showCount(recorded)} recorded, ${showCount(restored)} restored, ${showCount(evicted)} known, ${showCount(hot)} in use, ${showCount(deleted + expired)} gone`,
  );
  return codeOf(failed.map(({ error }) => error));
}

/** Waits for work that knows of no signal, until the user wants to stop. */
async function unlessStopped<T>(context: Context, work: Promise<T>): Promise<T | undefined> {
  return Promise.race([work, context.interrupt.wait().then(() => undefined)]);
}

/** The exit code of the first failure. */
function codeOf(causes: readonly unknown[]): ExitCode {
  return causes.length === 0 ? EXIT.ok : exitCodeOf(causes[0]);
}

const codeAndMessage = (
  cause: unknown,
): { readonly code: StrataErrorCode | 'unknown'; readonly message: string } => ({
  code: isStrataError(cause) ? cause.code : 'unknown',
  message: cause instanceof Error ? cause.message : String(cause),
});

const asData = ({ key, cause }: { readonly key: string; readonly cause: unknown }): object => ({
  key,
  ...codeAndMessage(cause),
});

const asDifference = ({ key, code, error }: KeyDifference): object => ({
  key,
  code,
  ...(error instanceof StrataError && { message: error.message }),
});

/** A key that failed, on standard error. */
export async function tell(context: Context, key: string, cause: unknown): Promise<void> {
  if (context.json) return;
  const { code, message } = codeAndMessage(cause);
  await context.err.line(`${context.errStyle.red(code)}: ${oneLine(key)}: ${oneLine(message)}`);
}
