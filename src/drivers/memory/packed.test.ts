import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, words } from '../../../test/support/bytes.ts';
import { Call } from '../../store/call.ts';
import type { Change, Entry } from '../../store/entry.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { KeyRange } from '../../store/keys.ts';
import { packedCommits } from '../../store/packed-commits.ts';
import type { PackedSets, Primitives, SetWrite } from '../../store/primitives.ts';
import { type SimulatedEnv, simulatedEnv } from '../../testing/index.ts';
import { memory } from './index.ts';

type Bytes = Primitives<Uint8Array>;
type SetOf = SetWrite<Uint8Array>;

const CURSOR = '\u0000cursor';
const ALL: KeyRange = { reverse: false, limit: Number.POSITIVE_INFINITY };

function packed(sets: readonly SetOf[]): PackedSets<Uint8Array> {
  return {
    type: 'sets',
    count: sets.length,
    store: 'source',
    bytes: sets.reduce((sum, { key, value }) => sum + key.length + value.length, 0),
    keyAt: (at) => (sets[at] as SetOf).key,
    valueAt: (at) => (sets[at] as SetOf).value.slice(),
    setAt: (at) => sets[at] as SetOf,
  };
}

function copyOf(key: string, rev: number): SetOf {
  const origin = { store: 'source', epoch: 'e', rev, version: `v.${rev}` };
  return { type: 'set', key, value: bytes(`${key} at ${rev}`), origin, modifiedAt: 1_000 + rev };
}

/** What is the same of an entry whatever form it came in: all but the version that this store gave it. */
function seen({ version, ...entry }: Entry<Uint8Array>): object {
  expect(version).toMatch(/\./);
  return { ...entry, value: words(entry.value) };
}

class Side {
  readonly store: ReturnType<typeof memory<Uint8Array>>;
  readonly inside: Bytes;
  readonly env: SimulatedEnv;
  readonly call: Call;
  cursor: string | undefined;

  constructor(env: SimulatedEnv) {
    this.env = env;
    this.store = memory<Uint8Array>({ env, logBytes: 2_000 });
    this.inside = primitivesOf(this.store);
    this.call = Call.background(env, 'test');
  }

  get last(): SetOf {
    const condition = this.cursor === undefined ? 'absent' : { version: this.cursor };
    return { type: 'set', key: CURSOR, value: bytes('cursor'), if: condition };
  }

  async entries(): Promise<object[]> {
    const found: object[] = [];
    for await (const page of this.inside.scan(ALL, this.call)) found.push(...page.map(seen));
    return found;
  }

  /** What a reader of the feed comes to who stood at a revision: of each key the last change. */
  async changes(from: number): Promise<Map<string, object>> {
    const { feed } = this.inside;
    const id = this.ids[from];
    const epoch = feed?.epochOf(from) ?? '';
    let at = from === 0 ? undefined : { epoch, rev: from, id: id ?? '' };
    const found = new Map<string, object>();
    for (let isOver = false; !isOver; ) {
      isOver = true;
      for await (const page of feed?.read(at, this.call) ?? []) {
        for (const change of page.changes) found.set(change.key, told(change));
        if (page.end !== undefined) {
          at = page.end;
          isOver = false;
        }
      }
    }
    return found;
  }

  readonly ids: string[] = [''];

  async noteHead(): Promise<void> {
    const state = await this.inside.feed?.state(this.call);
    if (state !== undefined) this.ids[state.head.rev] = state.head.id;
  }
}

function told(change: Change<Uint8Array>): object {
  return change.type === 'delete' ? change : seen(change);
}

const key = fc.constantFrom('a', 'b', 'c', 'd', 'é', '\u{1f600}', 'some longer key 1');
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ packs: fc.array(fc.array(key, { maxLength: 5 })) }) },
  { weight: 1, arbitrary: fc.record({ remove: fc.array(key, { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ own: key, ttl: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ read: key }) },
  { weight: 1, arbitrary: fc.record({ pass: fc.integer({ min: 1, max: 40_000 }) }) },
);

describe('sets that come packed', () => {
  it('leave what the same sets leave one by one: entries, feed and log', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const env = simulatedEnv(1);
        const [one, other] = [new Side(env), new Side(env)];
        let rev = 0;
        for (const next of steps) {
          if ('packs' in next) {
            const packs = next.packs.map((keys) => keys.map((name) => copyOf(name, ++rev)));
            one.cursor = (await commitPacked(one, packs)) as string;
            const plain = [...packs.flat(), other.last];
            const done = await other.inside.commit(plain, other.call);
            other.cursor = done.outcomes.at(-1)?.entry?.version;
          } else if ('pass' in next) await env.advance(next.pass);
          else
            for (const { store } of [one, other]) {
              if ('remove' in next) await store.deleteMany(next.remove);
              else if ('read' in next) await store.get(next.read);
              else await store.set(next.own, bytes('own'), next.ttl ? { ttlMs: 10_000 } : {});
            }
          await one.noteHead();
          await other.noteHead();
          expect(await one.entries()).toEqual(await other.entries());
        }
        for (let from = 0; from < one.ids.length; from++)
          expect(await one.changes(from)).toEqual(await other.changes(from));
      }),
      { numRuns: 150 },
    );
  });

  it('are all refused with the condition of the last', async () => {
    const side = new Side(simulatedEnv(1));
    await commitPacked(side, [[copyOf('a', 1)]]);
    side.cursor = 'another';
    await expect(commitPacked(side, [[copyOf('a', 2), copyOf('b', 3)]])).rejects.toMatchObject({
      code: 'conflict',
      key: CURSOR,
    });
    expect(words(await side.store.get('a'))).toBe('a at 1');
    expect(await side.store.has('b')).toBe(false);
  });

  it('have values that no caller can change', async () => {
    const side = new Side(simulatedEnv(1));
    await commitPacked(side, [[copyOf('a', 1)]]);
    const given = await side.store.get('a');
    given?.fill(0);
    const listed = await side.store.getEntry('a');
    listed?.value.fill(0);
    expect(words(side.store.blocking.get('a'))).toBe('a at 1');
  });

  it('are not offered by a store whose commit was replaced', () => {
    const { inside } = new Side(simulatedEnv(1));
    expect(packedCommits(inside)).toBeDefined();
    const replaced = { ...inside, commit: () => ({ outcomes: [] }) };
    expect(packedCommits(replaced as Bytes)).toBeUndefined();
  });
});

/** Every second pack, and each of the sets of the others by itself. */
async function commitPacked(
  side: Side,
  packs: readonly (readonly SetOf[])[],
): Promise<string | undefined> {
  const sets = packs.flatMap((pack, i): readonly (PackedSets<Uint8Array> | SetOf)[] =>
    i % 2 === 0 ? [packed(pack)] : pack,
  );
  const done = await packedCommits(side.inside)?.commit(sets, side.last, side.call);
  return done?.outcomes[0]?.entry?.version;
}
