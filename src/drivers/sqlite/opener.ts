import { readFileSync } from 'node:fs';

/**
 * When a process started, told apart from every other process that had or will have its id, where
 * the system tells: the boot and the start within it. `undefined` when there is no such process,
 * '' where the system does not tell.
 */
function startOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return isRunning(pid) ? '' : undefined;
  }
  // The name, in brackets, may hold anything: fields are counted after it. 22 is the start time.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended, whoever has still to be told.
  if (fields[0] === 'Z') return undefined;
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${fields[19]}`;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** How this process is entered among the openers of a store. */
export function ownMark(): { readonly pid: number; readonly started: string } {
  return { pid: process.pid, started: startOf(process.pid) ?? '' };
}

/** Whether an opener still runs. */
export function isAlive(pid: number, started: string): boolean {
  return startOf(pid) === started;
}
