/** What a journal makes of what it finds: damage, a store that was rewound, another codec. */
import { describe, expect, it } from 'vitest';
import {
  callOf,
  given,
  journalOn,
  Mortal,
  set,
  writesOf,
} from '../../../test/support/journal-world.ts';
import { codeOf } from '../../../test/support/tiered-world.ts';
import { memory } from '../../drivers/memory/index.ts';
import type { Call } from '../../store/call.ts';
import { json, text } from '../../store/codec.ts';
import type { Entry } from '../../store/entry.ts';
import { StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Primitives, Write } from '../../store/primitives.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { checkJournalStore } from './check-journal-store.ts';

const everything = { reverse: false, limit: Number.POSITIVE_INFINITY };

function world(maxValueBytes?: number) {
  const env = simulatedEnv();
  const inner = primitivesOf(memory<unknown>({ env, codec: json() }));
  const capabilities = { ...inner.capabilities, ...(maxValueBytes && { maxValueBytes }) };
  const store: Primitives<unknown> = { ...inner, capabilities };
  const call = callOf(env);
  const keys = async (part: string): Promise<string[]> =>
    (await Array.fromAsync(store.scanKeys(everything, call)))
      .flat()
      .filter((k) => k.includes(part));
  const change = (write: Write<unknown>): unknown => store.commit([write], call);
  const filled = async () => {
    const { journal } = journalOn(store, env);
    await journal.open(call);
    const records = await journal.append(
      [1, 2, 3].map((n) => [set(`k${n}`, 'x'.repeat(200))]),
      [],
      call,
    );
    await journal.close();
    return { records, journal };
  };
  return { env, store, call, keys, change, filled };
}

/** The same store, where some keys cannot be read. */
function unreadable<V>(inner: Primitives<V>, isBad: (key: string) => boolean): Primitives<V> {
  const check = (key: string): void => {
    if (isBad(key)) throw new StrataError('corrupt', 'damaged', { operation: 'read', key });
  };
  return {
    ...inner,
    readOne: (key, call) => {
      check(key);
      return inner.readOne(key, call);
    },
    readMany: async (keys, call) => {
      keys.forEach(check);
      return inner.readMany(keys, call);
    },
  };
}

describe('a damaged record', () => {
  it.each([undefined, 100])('is set aside, told, and the rest is given', async (partBytes) => {
    const { env, store, call, keys, change, filled } = world(partBytes);
    const { records, journal: former } = await filled();
    const damage = await keys('/record/0000000000000002');
    const key = damage.at(-1) as string;
    const entry = (await store.readOne(key, call)) as Entry<Uint8Array>;
    const value = entry.value.slice();
    value[value.length - 1] = 7;
    change({ type: 'set', key, value });

    const { journal, told } = journalOn(store, env);
    expect(await journal.open(call)).toEqual([records[0], records[2]]);
    expect(told.damaged).toMatchObject([{ record: '2', error: { code: 'corrupt' } }]);
    // Somebody may have seen what is gone now.
    expect(journal.epoch).not.toBe(former.epoch);
    expect(journal.storeId).toBe(former.storeId);
    expect(journal.lastSeq).toBe(4);
    expect(journal.lastId).not.toBe('');
    const aside = await keys('/damaged/');
    expect(aside).toHaveLength(damage.length);
    expect((await store.readOne(aside.at(-1) as string, call))?.value).toEqual(value);
    const [next] = await journal.append([[set('k', 1)]], [], call);
    expect(next?.seq).toBe(5);
    await journal.close();

    const again = journalOn(store, env);
    expect(await again.journal.open(call)).toEqual([records[0], records[2], next]);
    expect(again.told.damaged).toEqual([]);
    expect(again.journal.epoch).toBe(journal.epoch);
    await again.journal.close();
  });

  it('of which a part is gone is set aside', async () => {
    for (const which of [0, 1, 2]) {
      const { env, store, call, keys, change, filled } = world(100);
      const { records } = await filled();
      const parts = await keys('/record/0000000000000002');
      change({ type: 'delete', key: parts[which] as string });
      const { journal, told } = journalOn(store, env);
      expect(await journal.open(call)).toEqual([records[0], records[2]]);
      expect(told.damaged.map(({ record }) => record)).toEqual(['2']);
      await journal.close();
      const last = journalOn(store, env);
      expect(await last.journal.open(call)).toEqual([records[0], records[2]]);
      await last.journal.close();
    }
  });

  it('that the store cannot read stays where it is, and is told once', async () => {
    for (const bad of ['1', '2', '3']) {
      const { env, store, call, filled } = world();
      const { records, journal: former } = await filled();
      const broken = unreadable(store, (key) => key.includes('/record/') && key.endsWith(bad));
      const { journal, told } = journalOn(broken, env);
      const rest = records.filter(({ seq }) => String(seq) !== bad);
      expect(await journal.open(call)).toEqual(rest);
      expect(told.damaged.map(({ record }) => record)).toEqual([bad]);
      expect(journal.epoch).not.toBe(former.epoch);
      expect(journal.lastSeq).toBe(4);
      await journal.close();
      const again = journalOn(broken, env);
      expect(await again.journal.open(call)).toEqual(rest);
      expect(again.told.damaged).toEqual([]);
      expect([again.journal.epoch, again.journal.lastId]).toEqual([journal.epoch, journal.lastId]);
      await again.journal.close();
    }
  });

  it('is dealt with wholly also when the process ends in the midst of it', async () => {
    for (const applied of [false, true])
      for (let step = 1; ; step++) {
        const { env, store, call, change, keys, filled } = world();
        const { records } = await filled();
        const [, key] = (await keys('/record/')) as [string, string];
        change({ type: 'set', key, value: Uint8Array.of(1) });
        const mortal = new Mortal();
        mortal.dieAt(step, applied);
        const first = journalOn(mortal.over(store), env).journal;
        const done = first.open(call).then(() => first.close());
        void done;
        await env.advance(50);
        const { journal } = journalOn(store, env);
        expect(await given(env, journal.open(call))).toEqual([records[0], records[2]]);
        expect(await keys('/damaged/')).toHaveLength(1);
        expect(journal.lastSeq).toBeGreaterThan(3);
        await journal.close();
        if (!mortal.dead) break;
      }
  });
});

describe('a journal whose store is not what it was', () => {
  it('has a new epoch when the store has', async () => {
    const { env, store, call, filled } = world();
    const { records, journal: former } = await filled();
    const { feed } = store;
    const rewound: Primitives<unknown> = {
      ...store,
      feed: {
        ...(feed as NonNullable<typeof feed>),
        state: async (one: Call) => {
          const state = await feed?.state(one);
          return { storeId: '', ...state, head: { epoch: 'other', rev: 1, id: 'x' } };
        },
      },
    };
    const { journal } = journalOn(rewound, env);
    expect(await journal.open(call)).toEqual(records);
    expect(journal.storeId).toBe(former.storeId);
    expect(journal.epoch).not.toBe(former.epoch);
    const [next] = await journal.append([[set('k', 1)]], [], call);
    expect(next).toMatchObject({ seq: 5, epoch: journal.epoch });
    await journal.close();
    const again = journalOn(rewound, env).journal;
    expect((await again.open(call)).map(({ epoch }) => epoch)).toEqual([
      ...records.map(() => former.epoch),
      journal.epoch,
    ]);
    expect(again.epoch).toBe(journal.epoch);
    await again.close();
  });

  it.each(['gone', 'damaged'])('has a new epoch when its own note is %s', async (how) => {
    const { env, store, call, keys, change, filled } = world();
    const { records, journal: former } = await filled();
    const [key] = (await keys('/state')) as [string];
    change(
      how === 'gone'
        ? { type: 'delete', key }
        : { type: 'set', key, value: Uint8Array.of(1, 2, 3) },
    );
    const { journal } = journalOn(store, env);
    expect(await journal.open(call)).toEqual(records);
    expect(journal.epoch).not.toBe(former.epoch);
    expect(journal.lastSeq).toBe(4);
    await journal.close();
  });

  it('is not opened when nobody can tell whose it is', async () => {
    const { env, store, call, change, filled } = world();
    await filled();
    change({ type: 'set', key: '\u0000journal/main/owner', value: Uint8Array.of(1) });
    const { journal } = journalOn(store, env);
    expect(await codeOf(journal.open(call))).toBe('corrupt');
    change({ type: 'delete', key: '\u0000journal/main/owner' });
    expect(await journal.open(call)).toHaveLength(3);
    await journal.close();
  });

  it('refuses another codec, and changes nothing', async () => {
    const { env, store, call, filled } = world();
    const { records } = await filled();
    const other = journalOn(store, env, { codec: text() });
    expect(await codeOf(other.journal.open(call))).toBe('invalid-argument');
    expect(other.told.damaged).toEqual([]);
    const { journal } = journalOn(store, env);
    expect(await journal.open(call)).toEqual(records);
    await journal.close();
  });
});

it('passes over dead letters that are damaged, and tells of them', async () => {
  const { env, store, call, keys, change } = world();
  const { journal, told } = journalOn(store, env);
  await journal.open(call);
  const refused = new StrataError('denied', 'not allowed', { operation: 'set' });
  for (const n of [1, 2]) await journal.bury(set(`k${n}`, n), refused, call);
  const [key] = (await keys('/dead/')) as [string];
  change({ type: 'set', key, value: Uint8Array.of(1) });
  expect(await journal.deadLetters(call)).toHaveLength(1);
  expect(told.damaged).toHaveLength(1);
  expect(journal.deadLetterCount).toBe(2);
  await journal.close();
});

describe('a value that the store cannot keep', () => {
  it('is refused before anything is written', async () => {
    const env = simulatedEnv();
    const inner = primitivesOf(memory<Uint8Array>({ env }));
    const store: Primitives<Uint8Array> = {
      ...inner,
      checkValue: (operation, _key, value) => {
        if (!(value instanceof Uint8Array))
          throw new StrataError('invalid-argument', 'no bytes', { operation });
      },
    };
    const call = callOf(env);
    const { journal } = journalOn(store, env);
    await journal.open(call);
    const commits = [[set('a', Uint8Array.of(1))], [set('b', { no: 'bytes' })]];
    const failed = async () => journal.append(commits, [], call);
    await expect(failed()).rejects.toMatchObject({
      code: 'invalid-argument',
      key: 'b',
      message: expect.stringContaining('codec'),
    });
    expect(() => journal.blocking?.append(commits, [], 'set')).toThrow(/codec/);
    const [record] = await journal.append([commits[0] as never], [], call);
    expect(record?.seq).toBe(1);
    await journal.close();
    const again = journalOn(store, env).journal;
    expect(writesOf(await again.open(call))).toEqual([commits[0]]);
    await again.close();
  });

  it('is kept where a codec is given', async () => {
    const env = simulatedEnv();
    const call = callOf(env);
    const store = primitivesOf(memory<Uint8Array>({ env })) as unknown as Primitives<unknown>;
    const codec = json();
    const writes = [set('b', { no: 'bytes' })];
    const { journal } = journalOn(store, env, { codec });
    await journal.open(call);
    await journal.append([writes], [], call);
    await journal.close();
    const again = journalOn(store, env, { codec }).journal;
    expect(writesOf(await again.open(call))).toEqual([writes]);
    await again.close();
  });
});

it('says what a store lacks to keep a journal', () => {
  const sound = {
    ...primitivesOf(memory()),
    capabilities: { ...memory().capabilities, durability: 'os' as const },
  };
  const check = (more: object): unknown =>
    checkJournalStore('tiered', 'the option journal', {
      ...sound,
      capabilities: { ...sound.capabilities, ...more },
    });
  expect(check({})).toBeUndefined();
  const lacks = [
    { durability: 'memory' },
    { atomic: 'key' },
    { conditional: 'set' },
    { evicts: true },
  ];
  for (const one of lacks) {
    const word = Object.keys(one)[0] === 'evicts' ? 'evict' : (Object.keys(one)[0] as string);
    expect(() => check(one)).toThrow(new RegExp(`the option journal.*${word}`));
  }
});

it('tells what is not open', async () => {
  const env = simulatedEnv();
  const { journal } = journalOn(primitivesOf(memory({ env })), env);
  const call = callOf(env);
  const write = set('a', 1);
  expect(await codeOf((async () => journal.append([[write]], [], call))())).toBe('unavailable');
  expect(() => journal.blocking?.drop([1], 'set')).toThrow(/not open/);
  await journal.close();
  expect(await codeOf((async () => journal.drop([1], call))())).toBe('closed');
  expect(await codeOf(journal.open(call))).toBe('closed');
});
