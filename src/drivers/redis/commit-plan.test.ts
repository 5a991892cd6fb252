import fc from 'fast-check';
import { createClient } from 'redis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine, redisUrl } from '../../../test/support/engines.ts';
import { flawsOf } from '../../../test/support/redis-integrity.ts';
import { Call } from '../../store/call.ts';
import type { Entry, Origin } from '../../store/entry.ts';
import { isStrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { CommitOutcome, Feed, Position, Primitives, Write } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import { memory } from '../memory/index.ts';
import { redis } from './index.ts';
import { layoutOf } from './layout.ts';

/** A write as generated: versions and times are named, because each store has its own versions. */
interface Draft {
  readonly key: string;
  readonly value?: string | undefined;
  readonly if?: 'absent' | 'current' | 'stale' | 'alien' | undefined;
  readonly expiresInMs?: number | undefined;
  readonly immutable?: true | undefined;
  readonly origin?: true | undefined;
  readonly meta?: true | undefined;
}

const draft: fc.Arbitrary<Draft> = fc.record(
  {
    key: fc.constantFrom('a', 'b', 'c', 'é', '\u{10000}', '\uffee'),
    value: fc.constantFrom('', 'x', 'y', 'y'.repeat(300), undefined),
    if: fc.constantFrom('absent', 'current', 'current', 'stale', 'alien', undefined, undefined),
    expiresInMs: fc.constantFrom(-5, 20, 60, undefined, undefined),
    immutable: fc.constantFrom<(true | undefined)[]>(true, undefined, undefined),
    origin: fc.constantFrom<(true | undefined)[]>(true, undefined, undefined),
    meta: fc.constantFrom<(true | undefined)[]>(true, undefined),
  },
  { requiredKeys: ['key'] },
);
/** Commits of one phase are made at the same moment; then time passes. */
const phase = fc.record({
  commits: fc.array(fc.array(draft, { minLength: 1, maxLength: 6 }), {
    minLength: 1,
    maxLength: 8,
  }),
  passMs: fc.constantFrom(0, 0, 30),
});

const ORIGIN: Origin = { store: 'source', epoch: 'e', rev: 7, version: 'v' };

/** One of the two stores under comparison. */
class Side {
  readonly store: Store<Uint8Array>;
  readonly primitives: Primitives<Uint8Array>;
  readonly feed: Feed<Uint8Array>;
  readonly env: SimulatedEnv;
  /** The last two versions seen of each key. */
  readonly versions = new Map<string, string[]>();
  position: Position | undefined;

  constructor(store: Store<Uint8Array>, env: SimulatedEnv) {
    this.store = store;
    this.primitives = primitivesOf(store);
    this.feed = this.primitives.feed as Feed<Uint8Array>;
    this.env = env;
  }

  call(): Call {
    return Call.background(this.env, 'test');
  }

  toWrite(one: Draft): Write<Uint8Array> {
    const [current = 'none', stale = 'none'] = this.versions.get(one.key) ?? [];
    const version = { current, stale, alien: 'AAAAAAAAAAAAAA.1', absent: '' }[one.if ?? 'absent'];
    const condition = one.if === 'absent' ? ('absent' as const) : { version };
    const guarded = { key: one.key, ...(one.if !== undefined && { if: condition }) };
    if (one.value === undefined) return { type: 'delete', ...guarded };
    return {
      type: 'set',
      ...guarded,
      value: new TextEncoder().encode(one.value),
      ...(one.expiresInMs !== undefined && { expiresAt: this.env.now() + one.expiresInMs }),
      ...(one.immutable && { immutable: true as const }),
      ...(one.origin && { origin: ORIGIN }),
      ...(one.meta && { meta: { m: 1 } }),
    };
  }

  /** What became of the commits of a phase, in the form in which both sides must agree. */
  async commit(commits: readonly (readonly Draft[])[]): Promise<unknown[]> {
    const made = commits.map(async (drafts) => {
      const writes = drafts.map((one) => this.toWrite(one));
      return this.primitives.commit(writes, this.call());
    });
    const settled = await Promise.allSettled(made);
    return settled.map((one) => {
      if (one.status === 'fulfilled') return showOutcome(one.value);
      if (!isStrataError(one.reason, 'conflict')) throw one.reason;
      const { message, key } = one.reason;
      return { conflict: key, message: message.replace(/[\w-]{14}\.\w+/g, 'VERSION') };
    });
  }

  /** All entries, the change index, and what the feed says of the last phase. */
  async state(withNews: boolean): Promise<unknown> {
    const entries: unknown[] = [];
    for await (const entry of this.store.list()) {
      entries.push(showEntry(entry));
      const [current] = this.versions.get(entry.key) ?? [];
      if (current !== entry.version)
        this.versions.set(entry.key, [entry.version, ...(current ? [current] : [])]);
    }
    const news = [];
    while (this.position !== undefined) {
      const commit = await readOne(this.feed, this.position, this.call());
      if (commit === undefined) break;
      news.push(commit.shown);
      this.position = commit.end;
    }
    const whole = await readOne(this.feed, undefined, this.call());
    this.position = (await this.feed.state(this.call())).head;
    return { entries, ...(withNews && { news }), whole: whole?.shown, head: this.position.rev };
  }
}

async function readOne(
  feed: Feed<Uint8Array>,
  after: Position | undefined,
  call: Call,
): Promise<{ readonly shown: unknown; readonly end: Position } | undefined> {
  const changes: unknown[] = [];
  let end: Position | undefined;
  for await (const page of feed.read(after, call)) {
    for (const change of page.changes)
      changes.push(change.type === 'set' ? showEntry(change) : change);
    end = page.end;
  }
  return end && { shown: { rev: end.rev, changes }, end };
}

function showEntry(entry: Entry<Uint8Array>): unknown {
  return { ...entry, version: typeof entry.version, value: new TextDecoder().decode(entry.value) };
}

function showOutcome({ rev, outcomes }: CommitOutcome): unknown {
  return {
    rev,
    outcomes: outcomes.map(({ existed, entry }) => ({
      existed,
      entry: entry && { ...entry, version: typeof entry.version },
    })),
  };
}

describeWithEngine('redis', 'the commit script', () => {
  const client = createClient({ url: redisUrl() });
  beforeAll(async () => {
    await client.connect();
  });
  afterAll(() => client.destroy());

  it('decides as the plan that all other stores use, also for commits that share a call', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(phase, { minLength: 1, maxLength: 6 }), async (phases) => {
        const prefix = `plan-${crypto.randomUUID()}`;
        // A short log gives several commits as one: then only what they come to is compared.
        const logBytes = [600, 4_000_000][phases.length % 2] as number;
        const whole = logBytes > 600;
        const envs = [simulatedEnv(1), simulatedEnv(2)] as const;
        const ours = new Side(redis({ client, prefix, env: envs[0], logBytes }), envs[0]);
        const theirs = new Side(memory<Uint8Array>({ env: envs[1] }), envs[1]);
        for (const { commits, passMs } of phases) {
          expect(await ours.commit(commits)).toEqual(await theirs.commit(commits));
          expect(await ours.state(whole)).toEqual(await theirs.state(whole));
          expect(await flawsOf(client, prefix)).toEqual([]);
          for (const env of envs) env.stepClock(passMs);
        }
        await ours.store.close();
        await theirs.store.close();
        await client.unlink([...layoutOf(prefix).keys]);
      }),
      { numRuns: 150 },
    );
  });
});
