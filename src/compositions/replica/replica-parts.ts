import { approximateBytes } from '../../kernel/journal/approximate-bytes.ts';
import type { Capabilities, Durability } from '../../store/capabilities.ts';
import type { Codec } from '../../store/codec.ts';
import type { Env } from '../../store/env.ts';
import { failure, StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Feed, Primitives, Shape, Write } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { Member, nestingOf } from './member.ts';
import type { ReplicaOptions } from './options.ts';

/** A replica's options, complete. */
export interface ReplicaParts<V> {
  readonly env: Env;
  readonly first: Member<V>;
  readonly feed: Feed<V>;
  /** The other synchronous members. */
  readonly sync: readonly Member<V>[];
  readonly async: readonly Member<V>[];
  /** How many of `sync` must have a write before it is acknowledged. */
  readonly needed: number;
  readonly journal: Primitives<unknown> | undefined;
  readonly retry: { readonly minMs: number; readonly maxMs: number };
  readonly options: ReplicaOptions<V>;
}

/** Fills in the defaults. Errors: `unsupported` for a store that cannot be a member. */
export function replicaParts<V>(options: ReplicaOptions<V>): ReplicaParts<V> {
  const sync = options.sync.map((store) => primitivesOf(store, 'replica'));
  const async = (options.async ?? []).map((store) => primitivesOf(store, 'replica'));
  const [first] = sync as [Primitives<V>, ...Primitives<V>[]];
  const { feed } = first;
  if (feed === undefined || !first.capabilities.feed)
    throw unfit('sync[0]', first, 'a store with a feed, which gives the order');
  const level = 1 + Math.max(...[...sync, ...async].map(({ shape }) => nestingOf(shape)));
  const env = options.env ?? first.env;
  const shared = { env, timeoutMs: options.memberTimeoutMs ?? 2_000, level };
  const members = (role: string, found: readonly Primitives<V>[]): Member<V>[] =>
    found.map((primitives, at) => {
      const name = `${role}[${at}]`;
      if (primitives.capabilities.evicts === true)
        throw unfit(name, primitives, 'a store that keeps what it is given');
      // Without an origin nobody could tell which write a copy is of.
      if (primitives.capabilities.bare === true)
        throw unfit(name, primitives, 'a store that keeps metadata and origins beside values');
      return new Member(name, primitives, shared);
    });
  const [one, ...others] = members('sync', sync) as [Member<V>, ...Member<V>[]];
  const { write = 'all', journal } = options;
  return {
    env,
    first: one,
    feed,
    sync: others,
    async: members('async', async),
    needed: write === 'all' ? others.length : write - 1,
    journal: journal === undefined ? undefined : primitivesOf(journal as Store<unknown>, 'replica'),
    retry: { minMs: options.retry?.minMs ?? 100, maxMs: options.retry?.maxMs ?? 5_000 },
    options,
  };
}

function unfit<V>(name: string, { shape }: Primitives<V>, expected: string): StrataError {
  return new StrataError(
    'unsupported',
    `replica: ${name} is a ${shape.type} store; expected ${expected}`,
    { operation: 'replica' },
  );
}

/** What the store that the members make can do. */
export function capabilitiesOf<V>(parts: ReplicaParts<V>): Capabilities {
  const { first, sync, async } = parts;
  const all = [first, ...sync, ...async].map(({ primitives }) => primitives.capabilities);
  const { atomic, conditional } = first.primitives.capabilities;
  const valueBytes = all.flatMap(({ maxValueBytes }) => maxValueBytes ?? []);
  return Object.freeze({
    durability: durabilityOf(parts),
    atomic,
    conditional,
    feed: true,
    ttl: all.every(({ ttl }) => ttl),
    blocking: false,
    maxKeyBytes: Math.min(...all.map(({ maxKeyBytes }) => maxKeyBytes)),
    ...(valueBytes.length > 0 && { maxValueBytes: Math.min(...valueBytes) }),
  });
}

const DURABILITIES: readonly Durability[] = ['memory', 'os', 'disk', 'quorum'];

/**
 * What is promised whichever members are the ones that have a write: the best of the first store, of
 * the worst of the others, and of a journal whose writes go to the asynchronous ones.
 */
function durabilityOf<V>({ first, sync, async, needed, journal }: ReplicaParts<V>): Durability {
  const rankOf = ({ capabilities }: Pick<Primitives<V>, 'capabilities'>): number =>
    DURABILITIES.indexOf(capabilities.durability);
  const rank = ({ primitives }: Member<V>): number => rankOf(primitives);
  const others = sync.map(rank).sort((a, b) => a - b);
  const sure = needed === 0 ? 0 : (others[needed - 1] as number);
  const kept = journal === undefined ? 0 : Math.min(rankOf(journal), ...async.map(rank));
  return DURABILITIES[Math.max(rank(first), sure, kept)] as Durability;
}

type ValueCheck<V> = (operation: string, key: string, value: V) => void;

/**
 * What refuses a value that a member cannot hold, before any has it. The first store refuses by itself
 * what its own codec cannot carry.
 */
export function valueChecksOf<V>(parts: ReplicaParts<V>): ValueCheck<V>[] {
  const { first, sync, async, journal } = parts;
  const { codec: own, bytes } = first.primitives;
  const checks: ValueCheck<V>[] = [];
  for (const { primitives } of [first, ...sync, ...async])
    if (primitives.checkValue !== undefined) checks.push(primitives.checkValue.bind(primitives));
  for (const { name, primitives } of [...sync, ...async]) {
    const { codec } = primitives;
    const isLikeFirst = bytes !== undefined && own?.name === codec?.name;
    if (primitives.bytes === undefined || codec === undefined || isLikeFirst) continue;
    checks.push(encodes(name, codec));
  }
  if (journal === undefined) return checks;
  const codec = journalCodecOf(parts) ?? (journal.codec as Codec<V> | undefined);
  if (codec === undefined) {
    if (journal.checkValue !== undefined) checks.push(journal.checkValue.bind(journal));
  } else if (bytes === undefined || own?.name !== codec.name)
    checks.push(encodes('the journal', codec));
  return checks;
}

function encodes<V>(name: string, codec: Codec<V>): ValueCheck<V> {
  return (operation, key, value) => {
    try {
      codec.encode(value);
    } catch (cause) {
      throw failure(
        'invalid-argument',
        operation,
        `${name} cannot hold the value of ${JSON.stringify(key)}: ${cause instanceof Error ? cause.message : String(cause)}`,
        { key, cause },
      );
    }
  };
}

/** How values become bytes in the journal; `undefined`: as its store says. */
export function journalCodecOf<V>({ first, sync, async }: ReplicaParts<V>): Codec<V> | undefined {
  const all = [first, ...sync, ...async];
  return all.find(({ primitives }) => primitives.codec !== undefined)?.primitives.codec;
}

/** What a replica is made of. */
export function shapeOf<V>({ first, sync, async, journal, options }: ReplicaParts<V>): Shape {
  const parts = Object.fromEntries(
    [first, ...sync, ...async].map(({ name, primitives }) => [name, primitives.shape]),
  );
  const { write = 'all', read = 'first' } = options;
  const kept = journal && { journal: journal.shape };
  return { type: 'replica', details: { write, read }, parts: { ...parts, ...kept } };
}

/** About how many bytes a write takes in a queue. */
export function bytesOf<V>(write: Write<V>): number {
  const { key } = write;
  if (write.type === 'delete') return key.length * 2;
  const { value } = write;
  return key.length * 2 + (value instanceof Uint8Array ? value.length : approximateBytes(value));
}
