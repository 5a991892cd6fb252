import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { CommitLog } from '../../store/feed/commit-log.ts';
import { randomId } from '../../store/version.ts';
import { Caretaker } from './caretaker.ts';
import { Committer } from './committer.ts';
import { Compactor } from './compactor.ts';
import { flushDataFile } from './data-file.ts';
import { type Environment, openEnvironment } from './environment.ts';
import { LmdbFeed } from './feed.ts';
import { decodeHead, encodeHead } from './head.ts';
import { createHistory, History, hasHistory } from './history.ts';
import { toStrataError } from './lmdb-errors.ts';
import { anyEndedOpener, enterOpener, leaveOpener, removeEndedOpeners } from './openers.ts';
import { Reader } from './reader.ts';
import { StaleMarks } from './stale-marks.ts';
import { Sweeper } from './sweeper.ts';
import { HEAD_KEY, openTables, TABLE_PREFIX, type Tables } from './tables.ts';

const DAY_MS = 86_400_000;

export interface OpenStoreOptions {
  /** Absolute. */
  readonly path: string;
  readonly durability: 'os' | 'disk';
  readonly readonly: boolean;
  readonly timeoutMs: number;
  readonly env: Env;
  readonly pollMs?: number | undefined;
  readonly logBytes?: number | undefined;
  readonly tombstoneMs?: number | undefined;
  readonly tombstoneBytes?: number | undefined;
  readonly commitsKept?: number | undefined;
}

/** The parts of an opened store; without a `writer` it is opened for reading. */
export interface LmdbStore {
  readonly path: string;
  readonly reader: Reader;
  readonly feed: LmdbFeed;
  readonly writer: { readonly committer: Committer; readonly caretaker: Caretaker } | undefined;
  close(): Promise<void>;
}

/** Opens the tables and puts the parts together. */
export function openStore(options: OpenStoreOptions): LmdbStore {
  const { path, readonly } = options;
  const environment = openEnvironment(options);
  try {
    const tables = readonly ? findTables(environment, path) : makeTables(environment, options);
    const history = new History(tables, path);
    return assemble(options, environment, tables, history);
  } catch (error) {
    void environment.close();
    throw toStrataError(error, 'open', path);
  }
}

function assemble(
  options: OpenStoreOptions,
  environment: Environment,
  tables: Tables,
  history: History,
): LmdbStore {
  const { path, readonly, env, timeoutMs, durability } = options;
  const reader = new Reader(tables, path, env);
  const log = new CommitLog<Uint8Array>(options.logBytes);
  const feed = new LmdbFeed({ reader, log, history, env, pollMs: options.pollMs ?? 20 });
  feed.stateNow('open');
  const writer = readonly ? undefined : createWriter(options, reader, log, feed);
  const token = readonly || durability === 'disk' ? undefined : randomId(env);
  if (token !== undefined) {
    tables.root.transactionSync(() => enterOpener(tables, token));
    // On disk before the first commit that may be lost.
    flushDataFile(environment.dataFile);
  }
  const close = async (): Promise<void> => {
    feed.close();
    await writer?.caretaker.stop();
    await writer?.committer.close(timeoutMs);
    if (token !== undefined) {
      flushDataFile(environment.dataFile);
      tables.root.transactionSync(() => leaveOpener(tables, token));
    }
    log.clear();
    reader.close();
    await environment.close();
  };
  return { path, reader, feed, writer, close };
}

function createWriter(
  options: OpenStoreOptions,
  reader: Reader,
  log: CommitLog<Uint8Array>,
  feed: LmdbFeed,
): NonNullable<LmdbStore['writer']> {
  const { env } = options;
  const bounds = {
    tombstoneMs: options.tombstoneMs ?? 7 * DAY_MS,
    tombstoneBytes: options.tombstoneBytes ?? 64 * 1024 * 1024,
    commitsKept: options.commitsKept ?? 1_000_000,
  };
  const marks = new StaleMarks();
  const committer = new Committer({
    reader,
    env,
    log,
    marks,
    onCommit: (tip) => {
      feed.ring();
      caretaker.noticed(tip);
    },
  });
  const compactor = new Compactor(reader, marks);
  const sweeper = new Sweeper({ reader, ...bounds });
  const caretaker = new Caretaker({ env, reader, committer, compactor, sweeper, ...bounds });
  caretaker.start();
  return { committer, caretaker };
}

/** The tables of a store that is there. */
function findTables({ root }: Environment, path: string): Tables {
  const tables = openTables(root, false);
  if (tables === undefined || !hasHistory(tables)) throw noStore(path);
  return tables;
}

/** The tables of a store, made where there is none; begins a new epoch where history may have been rewound. */
function makeTables({ root }: Environment, { path, env }: OpenStoreOptions): Tables {
  return root.transactionSync(() => {
    // An environment of something else has tables, and none of ours.
    const names = [...root.getKeys({ start: Buffer.of(0), limit: 1 })];
    const ours = names.length === 0 || names[0]?.toString().startsWith(TABLE_PREFIX);
    const tables = ours ? openTables(root, true) : undefined;
    if (tables === undefined) throw noStore(path);
    if (!hasHistory(tables)) createStore(tables, env);
    else if (anyEndedOpener(tables)) renewEpoch(tables, path, env);
    return tables;
  });
}

function createStore(tables: Tables, env: Env): void {
  const epoch = randomId(env);
  createHistory(tables, randomId(env), epoch);
  const empty = { rev: 0, id: '', floor: 0, oldestCommit: 0, changes: 0, stale: 0 };
  void tables.meta.put(HEAD_KEY, encodeHead({ ...empty, epoch, tombstoneBytes: 0 }), 1);
}

/** Commits that were acknowledged may be gone with their process: readers that know of them must begin anew. */
function renewEpoch(tables: Tables, path: string, env: Env): void {
  if (!removeEndedOpeners(tables)) return;
  const record = tables.meta.getEntry(HEAD_KEY);
  const head = decodeHead(record?.value ?? new Uint8Array(0));
  const epoch = randomId(env);
  new History(tables, path).begin(head.rev + 1, epoch);
  void tables.meta.put(HEAD_KEY, encodeHead({ ...head, epoch }), (record?.version ?? 0) + 1);
}

function noStore(path: string): StrataError {
  return new StrataError(
    'invalid-argument',
    `open: ${path} holds an LMDB environment but no store; expected a path that this driver made, or a new one`,
    { operation: 'open' },
  );
}
