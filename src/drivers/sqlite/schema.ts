/** Marks a SQLite file as a store of ours: "Stra" in ASCII. */
export const APPLICATION_ID = 0x53747261;
/** Layout of the tables below. */
export const FORMAT = 1;

/**
 * `entries` has one row a key, tombstones included, so that its index `changes` is the compacted
 * change index. Keys are blobs of UTF-8, which SQLite orders by their bytes. `entry` is the
 * envelope, NULL for a tombstone; it stands last so that a row's other columns are read without it.
 * `commits` has the ids of the last commits, the head among them. `openers` names processes that
 * may hold acknowledged commits which are not yet on disk.
 */
export const CREATE: string = `
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    rev INTEGER NOT NULL,
    pos INTEGER NOT NULL,
    expires_at INTEGER,
    deleted_at INTEGER,
    entry BLOB
  ) STRICT;
  CREATE UNIQUE INDEX changes ON entries (rev, pos);
  CREATE INDEX expiring ON entries (expires_at) WHERE expires_at IS NOT NULL;
  CREATE INDEX tombstones ON entries (deleted_at) WHERE deleted_at IS NOT NULL;
  CREATE TABLE commits (rev INTEGER PRIMARY KEY, id TEXT NOT NULL) STRICT;
  CREATE TABLE epochs (first_rev INTEGER PRIMARY KEY, epoch TEXT NOT NULL) STRICT;
  CREATE TABLE openers (
    token TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    started TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store_id TEXT NOT NULL,
    floor INTEGER NOT NULL,
    tombstone_bytes INTEGER NOT NULL
  ) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT};
`;
