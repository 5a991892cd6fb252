import { describe, expect, it } from 'vitest';
import { words } from '../../test/support/bytes.ts';
import type { Tamper } from '../../test/support/simulated-line.ts';
import { kindOf, runSeed } from '../../test/support/simulated-runs.ts';
import type { Planted } from '../../test/support/sync-simulation.ts';
import { COPY_RECORDS } from '../store/copy-records.ts';
import { isStrataError, StrataError } from '../store/errors.ts';
import { FIRST_USER_KEY } from '../store/keys.ts';
import type { Feed, Position, Primitives, Write } from '../store/primitives.ts';
import type { SimulatedEnv } from '../testing/index.ts';
import type { Message } from './protocol.ts';
import { decodeRangeMessage, encodeWanted } from './range-messages.ts';

type Bytes = Primitives<Uint8Array>;

const WRITERS = '\u0000sync-writes/';

/** Alters what the source's feed gives. */
const refeed =
  (alter: (feed: Feed<Uint8Array>, env: SimulatedEnv) => Partial<Feed<Uint8Array>>) =>
  ({ feed }: Bytes, env: SimulatedEnv): Partial<Bytes> => {
    if (feed === undefined) throw new Error('memory has a feed');
    return {
      feed: {
        state: (call) => feed.state(call),
        read: (after, call) => feed.read(after, call),
        wait: (after, call) => feed.wait(after, call),
        epochOf: (rev) => feed.epochOf(rev),
        ...alter(feed, env),
      },
    };
  };

/** A commit in two, in an order. */
const halved =
  (isFirst: (write: Write<Uint8Array>) => boolean) =>
  (good: Bytes): Partial<Bytes> => ({
    commit: async (writes, call) => {
      const first = writes.filter(isFirst);
      const rest = writes.filter((write) => !isFirst(write));
      if (first.length === 0 || rest.length === 0) return good.commit(writes, call);
      const outcomes = new Map<Write<Uint8Array>, Outcome>();
      let rev: number | undefined;
      for (const half of [first, rest]) {
        const done = await good.commit(half, call);
        rev = done.rev ?? rev;
        for (const [i, write] of half.entries()) outcomes.set(write, done.outcomes[i] as Outcome);
      }
      return {
        ...(rev !== undefined && { rev }),
        outcomes: writes.map((write) => outcomes.get(write) as Outcome),
      };
    },
  });
type Outcome = Awaited<ReturnType<Bytes['commit']>>['outcomes'][number];

const isCursor = ({ key }: Write<Uint8Array>): boolean => key.startsWith(COPY_RECORDS);

/** Writes under some reserved keys whatever stands there. */
const careless =
  (prefix: string) =>
  (good: Bytes): Partial<Bytes> => ({
    commit: (writes, call) =>
      good.commit(
        writes.map(({ if: condition, ...rest }) =>
          condition === undefined || rest.key.startsWith(prefix)
            ? (rest as Write<Uint8Array>)
            : ({ ...rest, if: condition } as Write<Uint8Array>),
        ),
        call,
      ),
  });

/** Passes on an altered message in one direction. */
const rewriting =
  (wanted: 'up' | 'down', alter: () => (message: Message) => Message): (() => Tamper) =>
  () => {
    const altered = alter();
    return (message, direction) => [direction === wanted ? altered(message) : message];
  };

/** Each with what shows it. */
const BUGS: Readonly<Record<string, Planted & { readonly shows: RegExp }>> = {
  'applies a group without a check of the revision': {
    shows: /goes back|holds/,
    local: careless(COPY_RECORDS),
  },
  'acknowledges what is not yet durable': {
    shows: /acknowledges/,
    tamper: () => {
      let rev = 0;
      return (message, direction) => {
        if (message.type === 'batch') rev = Math.max(rev, message.end?.rev ?? 0);
        return [
          direction === 'up' && message.type === 'ack'
            ? { ...message, rev: Math.max(rev, message.rev) }
            : message,
        ];
      };
    },
  },
  'moves the cursor before the rest of a group': { shows: /holds/, local: halved(isCursor) },
  'moves the cursor after the rest of a group': {
    shows: /holds/,
    local: halved((write) => !isCursor(write)),
  },
  'shows a large group page by page': {
    shows: /holds/,
    local: (good) => ({
      commitPages: async (pages, call) => {
        let done: Awaited<ReturnType<Bytes['commit']>> = { outcomes: [] };
        const view = {
          readMany: async (keys: readonly string[]) => good.readMany(keys, call),
          scan: (range: Parameters<Bytes['scan']>[0]) => good.scan(range, call),
        };
        for await (const page of pages(view)) done = await good.commit(page, call);
        return done;
      },
    }),
  },
  'notes the head after the scan': {
    shows: /holds/,
    source: refeed((feed, env) => ({
      async *read(after, call) {
        const pages = await Array.fromAsync(feed.read(after, call));
        if (after === undefined)
          await new Promise<void>((resolve) => env.setTimer(resolve, 5, { background: true }));
        const { head } = await feed.state(call);
        for (const { end, ...page } of pages)
          yield end === undefined ? page : { ...page, end: after === undefined ? head : end };
      },
    })),
  },
  'goes on from below the floor': {
    shows: /holds/,
    source: refeed((feed) => ({
      async *read(after, call) {
        const { head } = await feed.state(call);
        try {
          yield* feed.read(after, call);
        } catch (error) {
          if (!isStrataError(error, 'cursor-expired')) throw error;
          yield { changes: [], end: head };
        }
      },
    })),
  },
  'drops retractions': {
    shows: /holds/,
    source: refeed((feed) => ({
      async *read(after, call) {
        for await (const page of feed.read(after, call))
          yield { ...page, changes: page.changes.filter((change) => !leaves(change)) };
      },
    })),
  },
  'drops deletes': {
    shows: /holds/,
    source: refeed((feed) => ({
      async *read(after, call) {
        for await (const page of feed.read(after, call))
          yield { ...page, changes: page.changes.filter(({ type }) => type === 'set') };
      },
    })),
  },
  'loses every third wake-up': {
    shows: /ends/,
    source: refeed((feed) => {
      let waits = 0;
      return {
        wait: (after: Position | undefined, call) =>
          ++waits % 3 === 0 ? new Promise<void>(() => undefined) : feed.wait(after, call),
      };
    }),
  },
  'applies a write through a subscriber again': {
    shows: /applied 2 times/,
    source: (good) => ({
      ...careless(WRITERS)(good),
      readOne: (key, call) => (key.startsWith(WRITERS) ? undefined : good.readOne(key, call)),
    }),
  },
  'tells a writer of a failure after it has applied': {
    shows: /refused, and applied|were counted/,
    source: (good) => ({
      commit: async (writes, call) => {
        const done = await good.commit(writes, call);
        if (writes.length > 1 && (done.rev ?? 0) % 5 === 0)
          throw new StrataError('unavailable', 'a lie', { operation: 'write' });
        return done;
      },
    }),
  },
  'asks for one key too few after a comparison': {
    shows: /holds/,
    tamper: rewriting('up', () => (message) => {
      if (message.type !== 'range') return message;
      const body = decodeRangeMessage(message.body);
      if (body.kind !== 'want') return message;
      const [fewer] = encodeWanted(body.keys.slice(0, -1));
      return { ...message, body: fewer ?? message.body };
    }),
  },
  'forgets the last of the sets that came packed': {
    shows: /holds/,
    local: ({ packed, commit }) => ({
      ...(packed !== undefined && {
        packed: {
          of: commit,
          commit: (sets, last, call) => packed.commit(sets.slice(0, -1), last, call),
        },
      }),
    }),
  },
  'forgets the last operation of every second batch': {
    shows: /holds/,
    local: (good) => {
      let commits = 0;
      return {
        commit: (writes, call) => {
          const at = writes.findLastIndex((write) => write.key >= FIRST_USER_KEY);
          if (at < 0 || ++commits % 2 === 0) return good.commit(writes, call);
          return lacking(good, writes, at, call);
        },
      };
    },
  },
};

function leaves(change: { readonly type: string; readonly value?: Uint8Array }): boolean {
  return change.type === 'set' && Number.parseInt(words(change.value) ?? '', 10) % 2 !== 0;
}

/** Commits all but one of the writes, and says that it was all. */
async function lacking(
  good: Bytes,
  writes: readonly Write<Uint8Array>[],
  at: number,
  call: Parameters<Bytes['commit']>[1],
): ReturnType<AsyncCommit> {
  const done = await good.commit(writes.toSpliced(at, 1), call);
  return { ...done, outcomes: done.outcomes.toSpliced(at, 0, { existed: false }) };
}
type AsyncCommit = (...args: Parameters<Bytes['commit']>) => Promise<{
  readonly rev?: number;
  readonly outcomes: readonly Outcome[];
}>;

/** Worlds in which a bug is looked for. */
const WORLDS = 150;

describe('the simulation of replication', () => {
  it.each(Object.keys(BUGS))(
    'finds a part that %s',
    async (name) => {
      let found: readonly string[] = [];
      for (let seed = 0; seed < WORLDS && found.length === 0; seed++)
        if (name !== 'drops retractions' || kindOf(seed) === 'where')
          found = await runSeed(seed, BUGS[name]);
      expect(found[0]).toMatch(BUGS[name]?.shows as RegExp);
    },
    60_000,
  );
});
