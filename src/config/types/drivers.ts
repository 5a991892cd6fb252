import type { Durability } from '../../store/capabilities.ts';
import { invalidArgument } from '../../store/errors.ts';
import type { Definitions } from '../definitions.ts';
import * as is from '../fields.ts';
import {
  codec,
  commitsKept,
  logBytes,
  structuredCodec,
  timeoutMs,
  tombstoneBytes,
  tombstoneMs,
} from './common-fields.ts';
import { type Options, opened, type Traits, type TypeSpec } from './type-spec.ts';

const { named, value } = is;

const durability: is.ValueField = value(
  is.oneOf('os', 'disk'),
  '`disk`: a write is acknowledged once it is flushed, and survives power loss. `os`: it survives a crash of the process. Default `disk`.',
);
const readonly: is.ValueField = value(
  is.boolean,
  'Opens an existing store for reading; writes fail with `denied`. Default false.',
);
const pollMs: is.ValueField = value(
  is.durationMs,
  'How often commits of other processes are looked for while a watch waits, in ms; default 20.',
);
const path = (doc: string): is.ValueField =>
  named(is.text, `${doc} Meant from the folder of the configuration.`, {
    isPath: true,
    required: true,
  });

const traits = (durability: unknown, more: Partial<Traits> = {}): Traits => ({
  feed: true,
  evicts: false,
  atomic: 'batch',
  durability: durability as Durability,
  ...more,
});
const onDisk = ({ durability = 'disk' }: Options): Traits => traits(durability);
const pathOf = (options: Options): string => `path ${String(options.path)}`;

export const memory: TypeSpec<Definitions['memory']> = {
  kind: 'driver',
  doc: 'In the memory of this process; nothing survives it.',
  fields: {
    zeroCopy: value(
      is.boolean,
      'Hands values in and out by reference instead of copying them. Default false.',
    ),
    codec: structuredCodec,
    evict: is.group(
      {
        maxEntries: value(is.positive, 'Most entries.'),
        maxBytes: value(is.atLeast(4_096), 'Most bytes, by estimate; at least 4,096.'),
      },
      'Makes the store a cache within bounds, at least one of them: what has not been used for longest goes first. Default: no bound.',
      {
        resolve: async (limits) => {
          const { lru } = await import('../../drivers/lru/index.ts');
          return lru(limits as object);
        },
      },
    ),
    logBytes: value(
      is.count,
      'Bound of the log of whole commits, in bytes; default 4 MiB, with `evict` 0.',
    ),
    tombstoneMs,
    tombstoneBytes: tombstoneBytes('8 MiB, with `evict` 1 MiB'),
    timeoutMs,
  },
  load: async () => {
    const { memory } = await import('../../drivers/memory/index.ts');
    return (options) => opened(memory(options));
  },
  traits: ({ evict }) => traits('memory', { evicts: evict !== undefined }),
};

export const lmdb: TypeSpec<Definitions['lmdb']> = {
  kind: 'driver',
  doc: 'In a folder, by LMDB; several processes may open it at once.',
  fields: {
    path: path('A folder, made where missing.'),
    codec,
    durability,
    readonly,
    pollMs,
    logBytes,
    tombstoneMs,
    tombstoneBytes: tombstoneBytes('64 MiB'),
    commitsKept,
    timeoutMs,
  },
  npmName: 'lmdb',
  load: async () => {
    const { lmdb } = await import('../../drivers/lmdb/index.ts');
    return (options) => opened(lmdb(options as never));
  },
  traits: onDisk,
  place: pathOf,
};

const inMemory = ({ path }: Options): boolean => path === ':memory:';

export const sqlite: TypeSpec<Definitions['sqlite']> = {
  kind: 'driver',
  doc: 'In a SQLite file, by `node:sqlite`; several processes may open it at once.',
  fields: {
    path: path('A file, made with its folder where missing, or `:memory:`.'),
    codec,
    durability,
    readonly,
    maxBytes: value(
      is.positive,
      'Bound of the file, in bytes, within one page: writes beyond it fail with `no-space`. Default none.',
    ),
    pollMs,
    logBytes,
    tombstoneMs,
    tombstoneBytes: tombstoneBytes('64 MiB'),
    commitsKept,
    timeoutMs,
  },
  load: async () => {
    const { sqlite } = await import('../../drivers/sqlite/index.ts');
    return (options) => opened(sqlite(options as never));
  },
  check: (options) => {
    if (inMemory(options) && options.durability !== undefined)
      throw invalidArgument(
        'sqlite',
        'the option durability',
        options.durability,
        'none with :memory:, of which nothing survives',
      );
  },
  traits: (options) => (inMemory(options) ? traits('memory') : onDisk(options)),
  place: (options) => (inMemory(options) ? undefined : pathOf(options)),
};

export const file: TypeSpec<Definitions['file']> = {
  kind: 'driver',
  doc: 'One file a key, in a folder; one process writes, any number read. It has no feed.',
  fields: {
    path: path('A folder, made where missing, that holds nothing else.'),
    codec,
    durability,
    readonly,
    timeoutMs,
  },
  load: async () => {
    const { file } = await import('../../drivers/file/index.ts');
    return (options) => opened(file(options as never));
  },
  traits: ({ durability = 'disk' }) => traits(durability, { feed: false, atomic: 'key' }),
  place: pathOf,
};

export const indexeddb: TypeSpec<Definitions['indexeddb']> = {
  kind: 'driver',
  doc: 'In the browser’s IndexedDB; calls fail where there is none.',
  fields: {
    name: named(is.text, 'Name of the database; tabs of one origin that give the same share it.', {
      required: true,
    }),
    durability,
    codec: structuredCodec,
    openTimeoutMs: value(
      is.durationMs,
      'How long a call waits for the database to open, in ms; default 4,000.',
    ),
    pollMs: value(
      is.durationMs,
      'How often watchers look for commits of other tabs that did not announce them, in ms; default 5,000.',
    ),
    logBytes,
    tombstoneMs,
    tombstoneBytes: tombstoneBytes('8 MiB'),
    timeoutMs,
  },
  load: async () => {
    const { indexeddb } = await import('../../drivers/indexeddb/index.ts');
    return (options) => opened(indexeddb(options as never));
  },
  traits: onDisk,
  place: ({ name }) => String(name),
};
