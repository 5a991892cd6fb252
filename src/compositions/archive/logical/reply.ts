import type { Field, LogicalValue, Scored } from './format.ts';
import type {
  PendingEntry,
  StreamConsumer,
  StreamEntry,
  StreamGroup,
  StreamValue,
} from './stream.ts';

/** What the script read of a key: `GET`, `LRANGE`, `SMEMBERS`, `ZRANGE`, `HGETALL` or `XINFO STREAM`, and the times of fields. */
export interface LogicalReply {
  readonly content: unknown;
  /** Of each field, in ms; negative or 0 for none. Empty where no field has one. */
  readonly fieldTimes: unknown;
}

/** The value that a server's replies stand for; undefined for a type that has no logical form. */
export function toLogical(
  type: string,
  { content, fieldTimes }: LogicalReply,
): LogicalValue | undefined {
  if (type === 'string') return { type, value: content as Uint8Array };
  const items = content as readonly Uint8Array[];
  if (type === 'list' || type === 'set') return { type, members: items };
  if (type === 'zset') return { type, members: pairs(items).map(toScored) };
  if (type === 'stream') return toStream(content as Reply);
  if (type !== 'hash') return undefined;
  const times = fieldTimes as readonly number[];
  const fields = pairs(items).map(
    ([field, value], at): Field => ({ field, value, expiresAt: Math.max(0, times[at] ?? 0) }),
  );
  return { type, fields };
}

type Reply = readonly unknown[];

function pairs<T>(flat: readonly T[]): [T, T][] {
  return Array.from({ length: flat.length / 2 }, (_, at) => [
    flat[2 * at] as T,
    flat[2 * at + 1] as T,
  ]);
}

function toScored([member, score]: [Uint8Array, Uint8Array]): Scored {
  return { member, score: toScore(String(score)) };
}

/** Redis writes enough digits to give the same double. */
function toScore(text: string): number {
  if (text === 'inf') return Number.POSITIVE_INFINITY;
  return text === '-inf' ? Number.NEGATIVE_INFINITY : Number(text);
}

const toMap = (flat: unknown): Map<string, unknown> =>
  new Map(pairs(flat as Reply).map(([name, value]) => [String(name), value]));

/** `XINFO STREAM key FULL COUNT 0`. */
function toStream(reply: Reply): StreamValue {
  const told = toMap(reply);
  const entries = told.get('entries') as [Uint8Array, readonly Uint8Array[]][];
  return {
    type: 'stream',
    lastId: String(told.get('last-generated-id')),
    maxDeletedId: String(told.get('max-deleted-entry-id')),
    entriesAdded: Number(told.get('entries-added')),
    entries: entries.map(([id, words]): StreamEntry => ({ id: String(id), words })),
    groups: (told.get('groups') as Reply).map(toGroup),
  };
}

function toGroup(reply: unknown): StreamGroup {
  const told = toMap(reply);
  const read = told.get('entries-read');
  return {
    name: told.get('name') as Uint8Array,
    lastId: String(told.get('last-delivered-id')),
    entriesRead: read === null || read === undefined ? undefined : Number(read),
    consumers: (told.get('consumers') as Reply).map(toConsumer),
  };
}

function toConsumer(reply: unknown): StreamConsumer {
  const told = toMap(reply);
  const pending = told.get('pending') as [Uint8Array, number, number][];
  return {
    name: told.get('name') as Uint8Array,
    pending: pending.map(
      ([id, deliveredAt, deliveries]): PendingEntry => ({
        id: String(id),
        deliveredAt: Number(deliveredAt),
        deliveries: Number(deliveries),
      }),
    ),
  };
}
