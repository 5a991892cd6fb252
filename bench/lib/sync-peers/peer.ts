/** What replicates keys and values from one process to many others, behind the calls that all have. */

/** One value, as every peer wants it: text in ASCII, and the same as bytes. */
export interface Item {
  readonly key: string;
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** The side that holds the source. */
export interface PeerServer {
  /** What `connect` of the same peer takes. */
  readonly address: string;
  /** Of the process that keeps the connections. */
  readonly pid: number;
  /** Writes many keys, in whatever way is quickest. */
  fill(items: readonly Item[]): Promise<void>;
  /** Writes each key by a call of its own; resolves once all are accepted. */
  write(items: readonly Item[]): Promise<void>;
  stop(): Promise<void>;
}

/** One copy of the source. */
export interface PeerSubscriber {
  has(item: Item): boolean | Promise<boolean>;
  entries(): Iterable<readonly [string, string]> | Promise<Iterable<readonly [string, string]>>;
  /** Calls `heard` after a new value of the key is in the copy. */
  watch(key: string, heard: () => void): void;
  /** Ends the connection, and keeps the copy where `resume` is there. */
  close(): Promise<void>;
  /** Connects the same copy again; resolves once the copy has caught up, where the peer tells. */
  resume?(address: string): Promise<void>;
}

export interface Peer {
  serve(): Promise<PeerServer>;
  /** Resolves once the copy has caught up, where the peer tells; else once it is connected. */
  connect(address: string): Promise<PeerSubscriber>;
}

/** How text is made of bytes that are ASCII, and back. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function sameText(bytes: Uint8Array | undefined, item: Item): boolean {
  return bytes !== undefined && Buffer.compare(bytes, item.bytes) === 0;
}

export function* textsOf(
  held: Iterable<readonly [string, Uint8Array]>,
): Generator<readonly [string, string]> {
  for (const [key, bytes] of held) yield [key, textOf(bytes)];
}

/** Writes of one turn of the event loop, as when calls come in from outside. */
const WRITES_A_TURN = 500;

export async function inTurns(
  items: readonly Item[],
  write: (turn: readonly Item[]) => unknown,
): Promise<void> {
  for (let at = 0; at < items.length; at += WRITES_A_TURN) {
    await write(items.slice(at, at + WRITES_A_TURN));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
