import type { Env } from '../../store/env.ts';
import { CommitLog } from '../../store/feed/commit-log.ts';
import { randomId } from '../../store/version.ts';
import { CommitQueue } from './commit-queue.ts';
import { Commits } from './commits.ts';
import { SqliteEngine } from './engine.ts';
import { SqliteFeed } from './feed.ts';
import { MEMORY_PATH, openDatabase, openError } from './open-database.ts';
import { isAlive } from './opener.ts';
import { Tombstones } from './tombstones.ts';
import { WriteLock } from './write-lock.ts';

const DAY_MS = 86_400_000;

export interface OpenStoreOptions {
  readonly path: string;
  readonly durability: 'memory' | 'os' | 'disk';
  readonly readonly: boolean;
  readonly timeoutMs: number;
  readonly env: Env;
  readonly maxBytes?: number;
  readonly pollMs?: number;
  readonly logBytes?: number;
  readonly tombstoneMs?: number;
  readonly tombstoneBytes?: number;
  readonly commitsKept?: number;
}

/** The parts of an opened store; without a `writer` it is opened for reading. */
export interface SqliteStore {
  readonly engine: SqliteEngine;
  readonly feed: SqliteFeed;
  readonly writer: { readonly commits: Commits; readonly queue: CommitQueue } | undefined;
  close(): Promise<void>;
}

/** Opens the database and puts the parts together. */
export function openStore(options: OpenStoreOptions): SqliteStore {
  const { path, readonly, env, timeoutMs } = options;
  const db = openDatabase({ ...options, maxBytes: options.maxBytes });
  try {
    const engine = new SqliteEngine(db, path, () => env.now());
    const log = new CommitLog<Uint8Array>(options.logBytes);
    const pollMs = path === MEMORY_PATH ? undefined : (options.pollMs ?? 20);
    const feed = new SqliteFeed({ engine, env, log, pollMs });
    const writing = readonly ? undefined : openWriter(options, engine, log, feed);
    let closed = false;
    return {
      engine,
      feed,
      writer: writing,
      close: async () => {
        if (closed) return;
        closed = true;
        feed.close();
        writing?.tombstones.stop();
        await writing?.queue.close(timeoutMs);
        try {
          engine.run('close', () => writing?.lock.leave());
        } finally {
          db.close();
        }
      },
    };
  } catch (error) {
    db.close();
    throw openError(error, path);
  }
}

function openWriter(
  options: OpenStoreOptions,
  engine: SqliteEngine,
  log: CommitLog<Uint8Array>,
  feed: SqliteFeed,
): NonNullable<SqliteStore['writer']> & {
  readonly lock: WriteLock;
  readonly tombstones: Tombstones;
} {
  const { env, durability, timeoutMs } = options;
  const openerToken = durability === 'os' ? randomId(env) : undefined;
  const lock = new WriteLock({ engine, timeoutMs, openerToken });
  engine.run('open', () => renewEpochAfterCrash(engine, lock, env));
  const tombstones = new Tombstones({
    engine,
    env,
    lock,
    maxAgeMs: options.tombstoneMs ?? 7 * DAY_MS,
    maxBytes: options.tombstoneBytes ?? 64 * 1024 * 1024,
  });
  tombstones.startSweeping();
  const commits = new Commits({
    engine,
    env,
    lock,
    log,
    tombstones,
    commitsKept: options.commitsKept ?? 1_000_000,
    onCommit: () => feed.ring(),
  });
  const queue = new CommitQueue(env, (group) => commits.runGroup(group));
  return { lock, tombstones, commits, queue };
}

/** An opener that ended without closing may have taken acknowledged commits with it: history may have been rewound. */
function renewEpochAfterCrash(engine: SqliteEngine, lock: WriteLock, env: Env): void {
  const { tables } = engine;
  const crashed = (): string[] =>
    tables.openers
      .all()
      .filter(([, pid, started]) => !isAlive(pid, started))
      .map(([token]) => token);
  if (crashed().length === 0) return;
  lock.begin('open');
  try {
    const tokens = crashed();
    if (tokens.length > 0) tables.renewEpoch.run(engine.head().head.rev + 1, randomId(env));
    for (const token of tokens) tables.removeOpener.run(token);
    lock.commit();
  } catch (error) {
    lock.rollBack();
    throw error;
  }
}
