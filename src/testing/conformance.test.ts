import * as fc from 'fast-check';
import * as msgpackr from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import type { Entry } from '../store/entry.ts';
import { StrataError } from '../store/errors.ts';
import {
  type Capabilities,
  type Codec,
  type CommitOutcome,
  defineStore,
  type Feed,
  json,
  messagePack,
  type Primitives,
  primitivesOf,
  raw,
  type Store,
  text,
  type Write,
} from '../store/index.ts';
import { withCodec } from '../store/with-codec.ts';
import { type CaseFunction, conformance, modelTest, simulatedEnv } from './index.ts';

const env = simulatedEnv(7);

type Bug = (good: Primitives<unknown>) => Partial<Primitives<unknown>>;

/** A store in memory with a fault built in. The fast ways of reading are left out, so that a fault in `readOne` shows everywhere. */
function broken(bug: Bug): Store<unknown> {
  const { readValue: _, peek: __, blocking: ___, ...good } = primitivesOf(memory({ env }));
  const capabilities = Object.freeze({ ...good.capabilities, blocking: false });
  return defineStore({ ...good, capabilities, ...bug(good) });
}

const hide =
  (hidden: (entry: Entry<unknown>) => boolean): Bug =>
  (good) => ({
    readOne: async (key, call) => {
      const entry = await good.readOne(key, call);
      return entry !== undefined && hidden(entry) ? undefined : entry;
    },
  });

const rewrite =
  (change: (write: Write<unknown>) => Write<unknown>): Bug =>
  (good) => ({ commit: (writes, call) => good.commit(writes.map(change), call) });

/** Alters what the feed gives of each commit. */
const refeed =
  (alter: Partial<Feed<unknown>> | ((feed: Feed<unknown>) => Partial<Feed<unknown>>)): Bug =>
  ({ feed }) => {
    if (feed === undefined) throw new Error('memory has a feed');
    return {
      feed: {
        state: (call) => feed.state(call),
        read: (after, call) => feed.read(after, call),
        wait: (after, call) => feed.wait(after, call),
        epochOf: (rev) => feed.epochOf(rev),
        ...(typeof alter === 'function' ? alter(feed) : alter),
      },
    };
  };

const BUGS: Readonly<Record<string, Bug>> = {
  'reads null as missing': hide(({ value }) => value === null),
  'forgets metadata': rewrite((write) => {
    if (write.type === 'delete') return write;
    const { meta: _, ...rest } = write;
    return rest;
  }),
  'forgets metadata, and says that it is bare': (good) => ({
    capabilities: Object.freeze({ ...good.capabilities, blocking: false, bare: true }),
    commit: (writes, call) =>
      good.commit(
        writes.map((write) => {
          if (write.type === 'delete') return write;
          const { meta: _, immutable: __, ...rest } = write;
          return rest;
        }),
        call,
      ),
  }),
  'ignores conditions': rewrite(({ if: _, ...rest }) => rest as Write<unknown>),
  'ignores immutability': rewrite((write) => {
    if (write.type === 'delete') return write;
    const { immutable: _, ...rest } = write;
    return rest;
  }),
  'lets entries live for ever': rewrite((write) => {
    if (write.type === 'delete') return write;
    const { expiresAt: _, ...rest } = write;
    return rest;
  }),
  'applies a batch write by write': (good) => ({
    commit: async (writes, call) => {
      const outcomes: CommitOutcome['outcomes'][number][] = [];
      let rev: number | undefined;
      for (const write of writes) {
        const done = await good.commit([write], call);
        outcomes.push(...done.outcomes);
        rev = done.rev ?? rev;
      }
      return { ...(rev !== undefined && { rev }), outcomes };
    },
  }),
  'uses a version twice': (good) => ({
    commit: async (writes, call) => {
      const done = await good.commit(writes, call);
      return {
        ...done,
        outcomes: done.outcomes.map(({ existed, entry }) => ({
          existed,
          ...(entry && { entry: { ...entry, version: `v${entry.key}` } }),
        })),
      };
    },
  }),
  'takes keys without regard to case': (good) => ({
    readOne: (key, call) => good.readOne(key.toLowerCase(), call),
    commit: (writes, call) =>
      good.commit(
        writes.map((write) => ({ ...write, key: write.key.toLowerCase() })),
        call,
      ),
  }),
  'orders keys as JavaScript does': (good) => ({
    scanKeys: async function* (range, call) {
      const all: string[] = [];
      for await (const page of good.scanKeys(range, call)) all.push(...page);
      all.sort();
      yield range.reverse ? all.reverse() : all;
    },
  }),
  'forgets the limit after the first page': (good) => ({
    scanKeys: (range, call) => good.scanKeys({ ...range, limit: Math.max(range.limit, 2) }, call),
  }),
  'shows an inclusive bound as an exclusive one': (good) => ({
    scan: (range, call) =>
      good.scan(
        { ...range, ...(range.upper && { upper: { ...range.upper, inclusive: false } }) },
        call,
      ),
  }),
  'hands out what it keeps': () => ({ guard: (value) => value }),
  'loses deletes in the feed': refeed((feed) => ({
    async *read(after, call) {
      for await (const page of feed.read(after, call))
        yield { ...page, changes: page.changes.filter(({ type }) => type === 'set') };
    },
  })),
  'loses the last change of a large commit': refeed((feed) => ({
    async *read(after, call) {
      for await (const page of feed.read(after, call))
        yield page.changes.length > 2 ? { ...page, changes: page.changes.slice(0, -1) } : page;
    },
  })),
  'goes on from any cursor': refeed((feed) => ({
    async *read(after, call) {
      const { head } = await feed.state(call);
      const known = after === undefined || (after.epoch === head.epoch && after.rev <= head.rev);
      yield* feed.read(known ? after : head, call);
    },
  })),
  'wakes no watcher': refeed({ wait: () => new Promise(() => {}) }),
  'leaves watchers hanging when it closes': () => ({ close: () => new Promise(() => {}) }),
  'makes a commit of nothing': (good) => ({
    commit: async (writes, call) => {
      const done = await good.commit(writes, call);
      if (done.rev === undefined)
        await good.commit([{ type: 'set', key: '\u0000nothing', value: null }], call);
      return done;
    },
  }),
  'applies a write whose caller is told that it failed': (good) => ({
    commit: async (writes, call) => {
      const done = await good.commit(writes, call);
      if (writes.length > 1 && writes.some((write) => write.type === 'delete'))
        throw new StrataError('conflict', 'a lie', { operation: call.operation });
      return done;
    },
  }),
};

/** Bugs that sequential commands cannot show: only the cases do. */
const ONLY_CASES = new Set([
  'forgets metadata, and says that it is bare',
  'reads null as missing',
  'hands out what it keeps',
  'goes on from any cursor',
  'leaves watchers hanging when it closes',
  'takes keys without regard to case',
  'makes a commit of nothing',
  'wakes no watcher',
]);

/** Bugs that show as a case that does not end. */
const HANGS = new Set([
  'goes on from any cursor',
  'wakes no watcher',
  'leaves watchers hanging when it closes',
]);

/** Runs all cases; gives the names of those that failed. A case that hangs has failed too. */
async function failures(
  create: () => Store<unknown>,
  stopAtFirst: boolean,
  hangMs = 10_000,
): Promise<string[]> {
  const cases: [string, CaseFunction][] = [];
  conformance({ test: (name, run) => cases.push([name, run]), factory: { env, create } });
  const failed: string[] = [];
  for (const [name, run] of cases) {
    const hung = new Promise<string>((resolve) => setTimeout(() => resolve('hung'), hangMs));
    const outcome = await Promise.race([run().catch((error: unknown) => String(error)), hung]);
    if (outcome !== undefined) failed.push(`${name}: ${outcome}`);
    if (stopAtFirst && failed.length > 0) break;
  }
  return failed;
}

describe('the conformance suite', () => {
  it('finds nothing wrong in a store that is right', async () => {
    expect(await failures(() => broken(() => ({})), false)).toEqual([]);
  });

  it.each(Object.keys(BUGS))('finds a store that %s', async (name) => {
    const found = await failures(
      () => broken(BUGS[name] as Bug),
      true,
      HANGS.has(name) ? 1_000 : 10_000,
    );
    expect(found).not.toEqual([]);
  });

  it('tells the runner of the cases that do not apply', async () => {
    const skipped: string[] = [];
    const cases: CaseFunction[] = [];
    const create = (): Store<unknown> => {
      const { feed: _, blocking: __, ...good } = primitivesOf(memory({ env }));
      const capabilities = { ...good.capabilities, feed: false, blocking: false };
      return defineStore({ ...good, capabilities: Object.freeze(capabilities) });
    };
    conformance({ test: { it: (_, run) => cases.push(run) }, factory: { env, create } });
    for (const run of cases) await run({ skip: (reason: string) => skipped.push(reason) });
    expect(new Set(skipped)).toEqual(
      new Set(['the store offers no feed', 'the store offers no blocking']),
    );
  });

  it.each<Partial<Capabilities>>([
    { conditional: 'none', ttl: false, feed: false, atomic: 'key' },
    { conditional: 'absent', feed: false },
    { conditional: 'set', ttl: false },
  ])('finds nothing wrong in a store that is right and offers less: %j', async (less) => {
    const create = (): Store<unknown> => {
      const { feed, blocking: _, peek: __, ...good } = primitivesOf(memory({ env }));
      const capabilities = { ...good.capabilities, blocking: false, ...less };
      return defineStore({
        ...good,
        ...(less.feed !== false && feed && { feed }),
        capabilities: Object.freeze(capabilities),
      });
    };
    expect(await failures(create, false)).toEqual([]);
  });

  it('refuses a store that is capable of less than is required', async () => {
    const cases: CaseFunction[] = [];
    conformance({
      test: (_, run) => cases.push(run),
      factory: { create: () => memory(), required: { durability: 'disk' } },
    });
    await expect(cases[0]?.()).rejects.toThrow('the capability durability: got "memory"');
  });
});

describe('sample values', () => {
  it.each([
    ['json', json()],
    ['text', text() as Codec<unknown>],
    ['bytes', raw() as Codec<unknown>],
    ['json', messagePack(msgpackr)],
  ])('%s are found to fit a codec, and every case holds with them', async (_, codec) => {
    const create = (): Store<unknown> => {
      const { blocking: __, peek: ___, ...primitives } = primitivesOf(memory<Uint8Array>({ env }));
      const capabilities = Object.freeze({ ...primitives.capabilities, blocking: false });
      return defineStore(withCodec({ ...primitives, capabilities }, codec));
    };
    expect(await failures(create, false)).toEqual([]);
  });
});

describe('options', () => {
  it.each<[string, object]>([
    ['unknown option "tests"', { tests: it, factory: memory }],
    ['the option factory is missing', { test: it }],
    ['the option test is an object', { test: { describe }, factory: memory }],
    ['unknown option "reopens"', { test: it, factory: { create: memory, reopens: memory } }],
    ['the option create is missing', { test: it, factory: {} }],
  ])('are refused: %s', (why, options) => {
    expect(() => conformance(options as never)).toThrow(why);
    expect(() => modelTest({ fc, ...options } as never)).toThrow(why);
  });
});

describe('the model test', () => {
  const run = (create: () => Store<unknown>): Promise<unknown> => {
    let property: CaseFunction = async () => {};
    modelTest({
      fc,
      test: (_, given) => {
        property = given;
      },
      factory: { env, create },
      runs: 300,
      seed: 5,
      timeLimitMs: 1_000,
    });
    return property();
  };

  it.each(Object.keys(BUGS).filter((name) => !ONLY_CASES.has(name)))(
    'finds a store that %s, and says after which commands',
    async (name) => {
      await expect(run(() => broken(BUGS[name] as Bug))).rejects.toThrow(/Counterexample: \[\[\w/);
    },
  );
});
