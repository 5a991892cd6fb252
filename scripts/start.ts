/** `npm start [-- --port N --data DIR]`: the main job, on a build that is up to date. */
import { ensureBuilt } from './build.ts';

try {
  await ensureBuilt((line) => process.stdout.write(`${line}\n`));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
// In this process, so that signals and the terminal reach it without a middleman.
const mainJob = new URL('./main-job.mjs', import.meta.url);
await import(mainJob.href);
