import { dirname } from 'node:path';
import type { Env } from '../../store/env.ts';
import { failure, invalidArgument, StrataError } from '../../store/errors.ts';
import { randomId } from '../../store/version.ts';
import { CommitQueue } from './commit-queue.ts';
import { Commits } from './commits.ts';
import type { Disk } from './disk.ts';
import { FileEngine } from './engine.ts';
import { onDisk } from './file-errors.ts';
import { Layout, Places } from './layout.ts';
import { LayoutEditor } from './layout-editor.ts';
import { Sweeper } from './sweeper.ts';
import { WriteLock } from './write-lock.ts';

const FORMAT = 1;
/** What a store leaves in its folder before it is one. */
const BEGINNINGS: ReadonlySet<string> = new Set(['lock', 'owner', 'tmp', 'data', 'layout']);

export interface OpenStoreOptions {
  /** The absolute path of the folder. */
  readonly path: string;
  readonly readonly: boolean;
  readonly flush: boolean;
  readonly env: Env;
  readonly disk: Disk;
  /** Files in a shard before it is split. */
  readonly shardFiles: number;
}

/** The parts of an opened store; without a `writer` it is opened for reading. */
export interface FileStore {
  readonly engine: FileEngine;
  readonly writer: { readonly commits: Commits; readonly queue: CommitQueue } | undefined;
  close(): Promise<void>;
}

/** Opens the folder and puts the parts together. */
export function openStore(options: OpenStoreOptions): FileStore {
  return onDisk('open', () => (options.readonly ? openReader(options) : openWriter(options)));
}

function openReader({ path, disk, env }: OpenStoreOptions): FileStore {
  const places = new Places(path);
  if (!isStore(disk, places))
    throw failure('invalid-argument', 'open', `there is no store at ${path}`);
  const engine = new FileEngine(new Layout(disk, places), () => env.now());
  return { engine, writer: undefined, close: async () => {} };
}

function openWriter(options: OpenStoreOptions): FileStore {
  const { path, disk, env, flush } = options;
  const places = new Places(path);
  if (!isStore(disk, places)) refuseOthers(disk, places);
  makeRoot(disk, places);
  const lock = WriteLock.take(places, disk, env);
  try {
    if (!isStore(disk, places)) create(disk, places, env);
    const layout = new Layout(disk, places);
    const editor = new LayoutEditor(layout, env, options.shardFiles);
    const engine = new FileEngine(layout, () => env.now());
    const commits = new Commits({ engine, editor, env, flush });
    const queue = new CommitQueue((round) => commits.runRound(round));
    const sweeper = new Sweeper(engine, commits, env);
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      sweeper.stop();
      try {
        await queue.close();
      } finally {
        onDisk('close', () => lock.leave());
      }
    };
    return {
      engine,
      writer: { commits, queue },
      close: () => {
        closing ??= close();
        return closing;
      },
    };
  } catch (error) {
    lock.leave();
    throw error;
  }
}

/** Makes the folder of a store, and those above it, where they are missing. */
function makeRoot(disk: Disk, places: Places): void {
  const missing: string[] = [];
  for (let at = places.root; disk.list(at) === undefined; at = dirname(at)) missing.push(at);
  disk.makeFolder(places.temporary);
  for (const folder of missing) disk.flushFolder(dirname(folder));
}

/** Whether there is a store; one of a newer format is refused. */
function isStore(disk: Disk, places: Places): boolean {
  const bytes = disk.read(places.store);
  if (bytes === undefined) return false;
  let format: unknown;
  try {
    format = (JSON.parse(Buffer.from(bytes).toString()) as { format?: unknown }).format;
  } catch (cause) {
    throw failure('corrupt', 'open', `${places.store} is damaged`, { cause });
  }
  if (format === FORMAT) return true;
  throw new StrataError(
    'unsupported',
    `open: the store at ${places.root} has the format ${String(format)}; this version reads ${FORMAT}`,
    { operation: 'open' },
  );
}

/** A folder that somebody else uses must not become a store. */
function refuseOthers(disk: Disk, { root }: Places): void {
  const foreign = (disk.list(root) ?? []).find((name) => !BEGINNINGS.has(name));
  if (foreign !== undefined)
    throw invalidArgument(
      'open',
      'the path',
      root,
      `a store, or an empty folder; there is ${JSON.stringify(foreign)} in it`,
    );
}

function create(disk: Disk, places: Places, env: Env): void {
  disk.makeFolder(places.shard(''));
  disk.flushFolder(places.data);
  const temporary = `${places.temporary}/${randomId(env)}`;
  const store = JSON.stringify({ format: FORMAT, id: randomId(env) });
  disk.write(temporary, [Buffer.from(store)], true);
  disk.rename(temporary, places.store);
  disk.flushFolder(places.root);
  // The folder itself may be new.
  disk.flushFolder(`${places.root}/..`);
}
