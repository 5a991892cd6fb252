import type { RedisWord } from '../../../drivers/redis/port.ts';
import { type Command, word } from './command.ts';
import {
  compareIds,
  type PendingEntry,
  type StreamEntry,
  type StreamGroup,
  type StreamId,
  type StreamValue,
} from './stream.ts';

const NOTHING = Buffer.alloc(0);
const PASSING_GROUP = 'g';
/** Ids of one `XCLAIM`. */
const CLAIMED = 1_000;

/**
 * The commands that make a stream. What is pending of entries that were deleted or trimmed can be
 * claimed only while they are there: so they are added, and removed in the end.
 */
export function* streamCommands(stream: StreamValue): Generator<Command> {
  const gone = pendingAndGone(stream);
  // A stream without entries, or with a first one that is too wide for a script.
  yield group('CREATE', [PASSING_GROUP, '0', 'MKSTREAM']);
  yield group('DESTROY', [PASSING_GROUP]);
  for (const { id, words } of merged(stream.entries, gone))
    yield { before: ['XADD'], after: [id, ...words.map(word)] };
  const counted = Math.max(stream.entriesAdded, stream.entries.length + gone.length);
  const counts = ['ENTRIESADDED', String(counted), 'MAXDELETEDID', stream.maxDeletedId];
  yield { before: ['XSETID'], after: [stream.lastId, ...counts] };
  for (const one of stream.groups) yield* groupCommands(one);
  yield* removal(stream, gone);
}

function* groupCommands({ name, lastId, entriesRead, consumers }: StreamGroup): Generator<Command> {
  const read = entriesRead === undefined ? [] : ['ENTRIESREAD', String(entriesRead)];
  yield group('CREATE', [word(name), lastId, ...read]);
  for (const consumer of consumers) {
    yield group('CREATECONSUMER', [word(name), word(consumer.name)]);
    for (const { ids, deliveredAt, deliveries } of deliveriesOf(consumer.pending)) {
      const how = ['TIME', String(deliveredAt), 'RETRYCOUNT', String(deliveries)];
      const who = [word(name), word(consumer.name), '0'];
      yield { before: ['XCLAIM'], after: [...who, ...ids, ...how, 'FORCE', 'JUSTID'] };
    }
  }
}

function group(subcommand: string, after: readonly RedisWord[]): Command {
  return { before: ['XGROUP', subcommand], after };
}

interface Delivery {
  readonly ids: StreamId[];
  readonly deliveredAt: number;
  readonly deliveries: number;
}

/** Pending entries that follow one another and were delivered together. */
function* deliveriesOf(pending: readonly PendingEntry[]): Generator<Delivery> {
  let last: Delivery | undefined;
  for (const { id, deliveredAt, deliveries } of pending) {
    const together =
      last?.deliveredAt === deliveredAt &&
      last.deliveries === deliveries &&
      last.ids.length < CLAIMED;
    if (last !== undefined && together) last.ids.push(id);
    else {
      if (last !== undefined) yield last;
      last = { ids: [id], deliveredAt, deliveries };
    }
  }
  if (last !== undefined) yield last;
}

/** Ids that are pending and no more in the stream, each once, in order. */
function pendingAndGone({ entries, groups }: StreamValue): StreamId[] {
  const there = new Set(entries.map(({ id }) => id));
  const gone = new Set<StreamId>();
  for (const { consumers } of groups)
    for (const { pending } of consumers)
      for (const { id } of pending) if (!there.has(id)) gone.add(id);
  return [...gone].sort(compareIds);
}

function* merged(
  entries: readonly StreamEntry[],
  gone: readonly StreamId[],
): Generator<StreamEntry> {
  let at = 0;
  for (const entry of entries) {
    for (; at < gone.length && compareIds(gone[at] as StreamId, entry.id) < 0; at++)
      yield passing(gone[at] as StreamId);
    yield entry;
  }
  for (; at < gone.length; at++) yield passing(gone[at] as StreamId);
}

const passing = (id: StreamId): StreamEntry => ({ id, words: [NOTHING, NOTHING] });

/** Trimming leaves no trace; deleting is told by `max-deleted-entry-id`, and is where that says so. */
function* removal({ entries }: StreamValue, gone: readonly StreamId[]): Generator<Command> {
  if (gone.length === 0) return;
  const [first] = entries;
  if (first === undefined) yield { before: ['XTRIM'], after: ['MAXLEN', '=', '0'] };
  else {
    yield { before: ['XTRIM'], after: ['MINID', '=', first.id] };
    const within = gone.filter((id) => compareIds(id, first.id) > 0);
    for (let at = 0; at < within.length; at += CLAIMED)
      yield { before: ['XDEL'], after: within.slice(at, at + CLAIMED) };
  }
}
