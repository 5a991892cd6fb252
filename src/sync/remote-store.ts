import type { Awaitable } from '../store/awaitable.ts';
import type { Call } from '../store/call.ts';
import { MAX_KEY_BYTES } from '../store/capabilities.ts';
import { defineStore } from '../store/define-store.ts';
import type { Entry } from '../store/entry.ts';
import type { Env } from '../store/env.ts';
import type { CommitOutcome, Primitives, Write } from '../store/primitives.ts';
import type { Store } from '../store/store.ts';
import type { WireWrite } from './writes.ts';

export interface RemoteStoreInit<V> {
  /** The local copy. */
  readonly local: Primitives<V>;
  /** With the clock of the source: a life of so many ms is counted there. */
  readonly env: Env;
  readonly timeoutMs: number;
  /** The source's own id, once known. */
  sourceId(): string | undefined;
  toBytes(key: string, value: V): Uint8Array;
  commit(writes: readonly WireWrite[], call: Call): Promise<CommitOutcome>;
}

/**
 * The source as a store: reads come from the local copy, with the versions that the entries have at
 * the source, and writes go there. So the derived operations, `update` above all, are atomic at
 * the source.
 */
export function remoteStore<V>(init: RemoteStoreInit<V>): Store<V> {
  const { local, env, timeoutMs } = init;
  const { guard, checkValue } = local;
  const atSource = (entry: Entry<V> | undefined): Entry<V> | undefined =>
    asAt(init.sourceId(), entry);
  return defineStore<V>({
    shape: { type: 'remote', parts: { copy: local.shape } },
    capabilities: Object.freeze({
      // What the source is made of is not known here: the least is promised.
      durability: 'memory',
      atomic: 'batch',
      conditional: 'all',
      feed: false,
      ttl: true,
      blocking: false,
      maxKeyBytes: MAX_KEY_BYTES,
    }),
    env,
    timeoutMs,
    ...(guard !== undefined && { guard: guard.bind(local) }),
    ...(checkValue !== undefined && { checkValue: checkValue.bind(local) }),
    readOne: (key, call) => then(local.readOne(key, call), atSource),
    readMany: (keys, call) => then(local.readMany(keys, call), (entries) => entries.map(atSource)),
    async *scan(range, call) {
      let left = range.limit;
      for await (const page of local.scan({ ...range, limit: Number.POSITIVE_INFINITY }, call)) {
        const entries = page.map(atSource).filter((entry) => entry !== undefined);
        yield entries.slice(0, left);
        left -= entries.length;
        if (left <= 0) return;
      }
    },
    async *scanKeys(range, call) {
      for await (const page of this.scan(range, call)) yield page.map((entry) => entry.key);
    },
    commit: (writes, call) => commit(init, writes, call),
    close: async () => {},
  });
}

/** Encodes before anything is awaited: the caller may change its values afterwards. */
function commit<V>(
  init: RemoteStoreInit<V>,
  writes: readonly Write<V>[],
  call: Call,
): Promise<CommitOutcome> {
  const wire = writes.map((write): WireWrite => {
    if (write.type === 'delete') return write;
    const bytes = init.toBytes(write.key, write.value);
    return { ...write, value: (bytes as unknown) === write.value ? bytes.slice() : bytes };
  });
  return withSourceVersions(init.local, wire, call).then((ready) => init.commit(ready, call));
}

/** A condition may name the version of the local entry as well: the source knows only its own. */
async function withSourceVersions<V>(
  local: Primitives<V>,
  writes: readonly WireWrite[],
  call: Call,
): Promise<readonly WireWrite[]> {
  const conditional = writes.filter((write) => typeof write.if === 'object');
  if (conditional.length === 0) return writes;
  const entries = await local.readMany([...new Set(conditional.map(({ key }) => key))], call);
  const versions = new Map<string, string>();
  for (const entry of entries)
    if (entry?.origin !== undefined) versions.set(entry.version, entry.origin.version);
  return writes.map((write) => {
    const version = typeof write.if === 'object' ? versions.get(write.if.version) : undefined;
    return version === undefined ? write : { ...write, if: { version } };
  });
}

/** An entry of the copy as the source has it; one of the application's own is not there. */
function asAt<V>(sourceId: string | undefined, entry: Entry<V> | undefined): Entry<V> | undefined {
  if (entry?.origin === undefined) return undefined;
  const { store, version, rev } = entry.origin;
  if (store !== sourceId) return { ...entry, version, rev };
  const { origin: _, ...own } = entry;
  return { ...own, version, rev } as Entry<V>;
}

function then<A, B>(result: Awaitable<A>, fn: (value: A) => B): Awaitable<B> {
  return result instanceof Promise ? result.then(fn) : fn(result);
}
