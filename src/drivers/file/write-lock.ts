import { readFileSync, readlinkSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Env } from '../../store/env.ts';
import { failure, type StrataError } from '../../store/errors.ts';
import { randomId } from '../../store/version.ts';
import type { Disk } from './disk.ts';
import { onDisk } from './file-errors.ts';
import type { Places } from './layout.ts';

/** Who writes, as `owner` names it. */
interface Owner {
  readonly pid: number;
  /** Tells the process apart from all others that ever had its id, where the system can tell. */
  readonly started: string;
  /** Where that id counts: the boot, and the name space of process ids. */
  readonly scope: string;
}

const BUSY: ReadonlySet<number> = new Set([5, 6]);

/**
 * Keeps a store to one writing process. The system's own lock on the file `lock` decides: it ends
 * with the process, however that ends. Node has no call for such locks; SQLite, which is part of
 * Node, has, and is used for nothing else here. The file `owner` names the process; should the lock
 * have been lost (a process that opens and closes the file itself loses it), a living owner counts.
 */
export class WriteLock {
  readonly #database: DatabaseSync;
  readonly #places: Places;
  readonly #disk: Disk;

  private constructor(database: DatabaseSync, places: Places, disk: Disk) {
    this.#database = database;
    this.#places = places;
    this.#disk = disk;
  }

  /** Errors: `conflict`, naming the process that writes. */
  static take(places: Places, disk: Disk, env: Env): WriteLock {
    const database = openLock(places);
    try {
      const owner = readOwner(places);
      // Of this process it can only be a thread that has ended, as the lock was free.
      if (owner !== undefined && owner.pid !== process.pid && isAlive(owner))
        throw taken(places, owner);
      onDisk('open', () => {
        const temporary = `${places.temporary}/${randomId(env)}`;
        disk.write(temporary, [Buffer.from(JSON.stringify(ownMark()))], false);
        disk.rename(temporary, places.owner);
      });
    } catch (error) {
      database.close();
      throw error;
    }
    return new WriteLock(database, places, disk);
  }

  leave(): void {
    try {
      this.#disk.remove(this.#places.owner);
    } finally {
      this.#database.close();
    }
  }
}

function openLock(places: Places): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(places.lock);
    database.exec('PRAGMA busy_timeout = 0');
    database.exec('PRAGMA journal_mode = MEMORY');
    database.exec('BEGIN EXCLUSIVE');
    return database;
  } catch (cause) {
    database?.close();
    const { errcode } = cause as { errcode?: number };
    if (errcode !== undefined && BUSY.has(errcode & 0xff)) throw taken(places, readOwner(places));
    const code =
      errcode !== undefined && [8, 14, 23].includes(errcode & 0xff) ? 'denied' : 'unavailable';
    throw failure(
      code,
      'open',
      `the lock of the store at ${places.root} cannot be taken: ${(cause as Error).message}`,
      { cause },
    );
  }
}

function taken(places: Places, owner: Owner | undefined): StrataError {
  const who =
    owner === undefined
      ? 'another process'
      : owner.pid === process.pid
        ? `this process (pid ${owner.pid})`
        : `the process ${owner.pid}`;
  return failure(
    'conflict',
    'open',
    `${who} writes to the store at ${places.root}; one may, and any number may read with readonly: true`,
    { details: { ...(owner !== undefined && { pid: owner.pid }) } },
  );
}

function readOwner({ owner }: Places): Owner | undefined {
  try {
    return JSON.parse(readFileSync(owner, 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

function ownMark(): Owner {
  return { pid: process.pid, started: startOf(process.pid) ?? '', scope: scope() };
}

/** Whether an owner surely still runs. */
function isAlive({ pid, started, scope: theirs }: Owner): boolean {
  return theirs === scope() && startOf(pid) === started;
}

function scope(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

/** When a process started; '' where the system does not tell, `undefined` when there is no such process. */
function startOf(pid: number): string | undefined {
  try {
    // The name, in brackets, may hold anything: fields are counted after it.
    const fields = (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop() ?? '').split(' ');
    // A zombie has ended, whoever has still to be told.
    return fields[0] === 'Z' ? undefined : fields[19];
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
