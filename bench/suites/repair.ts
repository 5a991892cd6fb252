import { joinEntries } from '../../src/compositions/replica/join-entries.ts';
import { memory, type ReplicaStore, replica, type Store } from '../../src/index.ts';
import { Call } from '../../src/store/call.ts';
import { defineStore, primitivesOf } from '../../src/store/index.ts';
import { type Contender, compare } from '../lib/measure.ts';
import { rateRow } from '../lib/rate-row.ts';
import type { Report, Suite } from '../lib/row.ts';

const KEYS = 100_000;
const ALL = { reverse: false, limit: Number.POSITIVE_INFINITY };

const keyAt = (i: number): string => `key:${i.toString().padStart(8, '0')}`;

interface Member {
  readonly store: Store<number>;
  readonly seen: Store<number>;
  readonly read: { entries: number };
}

/** A member that counts the entries that it was asked for. */
function member({ feed = true } = {}): Member {
  const store = memory<number>();
  const { feed: own, ...inner } = primitivesOf(store);
  const read = { entries: 0 };
  const seen = defineStore<number>({
    ...inner,
    ...(feed && own
      ? { feed: own }
      : { capabilities: { ...inner.capabilities, feed: false as const } }),
    readMany: (keys, call) => {
      read.entries += keys.length;
      return inner.readMany(keys, call);
    },
    async *scan(range, call) {
      for await (const page of inner.scan(range, call)) {
        read.entries += page.length;
        yield page;
      }
    },
  });
  return { store, seen, read };
}

async function filled(members: readonly Member[]): Promise<ReplicaStore<number>> {
  const store = replica<number>({ sync: members.map(({ seen }) => seen) });
  for (let at = 0; at < KEYS; at += 1_000)
    await store.setMany(
      Array.from({ length: 1_000 }, (_, i): [string, number] => [keyAt(at + i), at + i]),
    );
  await store.flush();
  return store;
}

/** Entries read of all members by one repair; a join reads the first store once for each of the others. */
async function entriesRead(report: Report): Promise<void> {
  for (const [name, feed, wrong] of [
    ['the first', true, 0],
    ['the next, 100 keys differ', true, 100],
    ['the next, 100 keys differ, members without a feed', false, 100],
  ] as const) {
    const members = [member(), member({ feed }), member({ feed })];
    const store = await filled(members);
    if (wrong > 0) await store.repair();
    for (let i = 0; i < wrong; i++) await members[1]?.store.set(keyAt((i * 7_919) % KEYS), -1);
    for (const { read } of members) read.entries = 0;
    const { copied } = await store.repair();
    if (copied !== wrong) throw new Error(`${copied} keys were repaired, not ${wrong}`);
    const entries = members.reduce((sum, { read }) => sum + read.entries, 0);
    report({
      name: `entries read by a repair of 3 x ${KEYS} keys: ${name}`,
      value: entries,
      unit: 'entries',
      against: 'joining each with the first store',
      reference: 4 * KEYS,
      ratio: (4 * KEYS) / entries,
      goal: { of: 'ratio', least: feed && wrong > 0 ? 100 : 1.25 },
    });
    await store.close();
  }
}

async function times(report: Report): Promise<void> {
  const members = [member(), member(), member()];
  const store = await filled(members);
  const [first, ...others] = members.map(({ store: inner }) => primitivesOf(inner));
  const joined = async (): Promise<void> => {
    for (const other of others) {
      const call = Call.background(other.env, 'join');
      const both = [first as typeof other, other].map((one) => one.scan(ALL, call));
      for await (const part of joinEntries(both))
        for (const { key, found } of part)
          if (found[1]?.origin !== undefined && found[1].origin.version !== found[0]?.version)
            throw new Error(`${key} differs`);
    }
  };
  const contenders: Contender[] = [
    { name: 'joined', operations: 2 * KEYS, run: joined },
    {
      name: 'full',
      operations: 2 * KEYS,
      run: async () => void (await store.repair({ full: true })),
    },
    { name: 'next', operations: 2 * KEYS, run: async () => void (await store.repair()) },
  ];
  const result = await compare(contenders, 5);
  for (const [own, least] of [
    ['full', 0.5],
    ['next', 100],
  ] as const)
    report(
      rateRow(result, {
        name: `repair of 3 x ${KEYS} equal keys in memory, ${own}`,
        unit: 'keys/s',
        own,
        against: 'joined',
        least,
      }),
    );
  await store.close();
}

export const repairSuite: Suite = {
  name: 'repair',
  about: 'what a repair reads and how long it takes, against joining entry by entry',
  async run(report) {
    await entriesRead(report);
    await times(report);
  },
};
