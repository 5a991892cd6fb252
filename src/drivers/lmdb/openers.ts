import { readFileSync } from 'node:fs';
import type { Tables } from './tables.ts';

/*
 * A store below `disk` names the processes that have it open: when one of them has ended without
 * closing it, commits that it acknowledged may not have reached the disk.
 */
const OPENERS_KEY = 'openers';

interface Opener {
  readonly token: string;
  readonly pid: number;
  /** Tells the process apart from all others that ever had its id, where the system can tell. */
  readonly started: string;
}

/** Enters this process, within a transaction. */
export function enterOpener(tables: Tables, token: string): void {
  const { pid } = process;
  write(tables, [...openers(tables), { token, pid, started: startOf(pid) ?? '' }]);
}

export function leaveOpener(tables: Tables, token: string): void {
  write(
    tables,
    openers(tables).filter((opener) => opener.token !== token),
  );
}

/** Takes out the openers that have ended, within a transaction; false when there are none. */
export function removeEndedOpeners(tables: Tables): boolean {
  const all = openers(tables);
  const running = all.filter(isRunning);
  if (running.length === all.length) return false;
  write(tables, running);
  return true;
}

export function anyEndedOpener(tables: Tables): boolean {
  return !openers(tables).every(isRunning);
}

function openers(tables: Tables): Opener[] {
  const bytes = tables.meta.getBinary(OPENERS_KEY);
  return bytes === undefined ? [] : JSON.parse(Buffer.from(bytes).toString());
}

function write(tables: Tables, all: readonly Opener[]): void {
  void tables.meta.put(OPENERS_KEY, Buffer.from(JSON.stringify(all)), 1);
}

function isRunning({ pid, started }: Opener): boolean {
  return startOf(pid) === started;
}

/** When a process started, counted within this boot of the machine; '' where the system does not tell, `undefined` when there is no such process. */
function startOf(pid: number): string | undefined {
  try {
    // The name, in brackets, may hold anything: fields are counted after it.
    const fields = (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop() ?? '').split(' ');
    // A zombie has ended, whoever has still to be told.
    if (fields[0] === 'Z') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${fields[19]}`;
  } catch {
    return mayBeSignalled(pid) ? '' : undefined;
  }
}

function mayBeSignalled(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
