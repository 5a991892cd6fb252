/** What only some engines do, over a store in memory: commits in pages, and processes that die. */
import type { Entry } from '../../src/store/entry.ts';
import { compareKeys, inRange } from '../../src/store/keys.ts';
import { packedCommits } from '../../src/store/packed-commits.ts';
import type { PagedWrites, PageView, Primitives, Write } from '../../src/store/primitives.ts';

type CommitPages<V> = NonNullable<Primitives<V>['commitPages']>;

/** Commits in pages: gathered, and committed as one. */
export function pagedCommits<V>(inner: Primitives<V>): CommitPages<V> {
  return async (pages: PagedWrites<V>, call) => {
    const written = new Map<string, Write<V>>();
    const all: Write<V>[] = [];
    let last = 0;
    const view: PageView<V> = {
      readMany: async (keys) => {
        const found = await inner.readMany(keys, call);
        return keys.map((key, i) => {
          const write = written.get(key);
          return write === undefined ? found[i] : entryOf(write);
        });
      },
      async *scan(range) {
        const seen = new Map<string, Entry<V> | undefined>();
        for await (const page of inner.scan({ ...range, limit: Number.POSITIVE_INFINITY }, call))
          for (const entry of page) seen.set(entry.key, entry);
        for (const [key, write] of written) if (inRange(key, range)) seen.set(key, entryOf(write));
        const entries = [...seen.values()].filter((entry) => entry !== undefined);
        yield entries.sort((a, b) => compareKeys(a.key, b.key)).slice(0, range.limit);
      },
    };
    for await (const page of pages(view)) {
      for (const write of page) written.set(write.key, write);
      all.push(...page);
      last = page.length;
    }
    const done = await inner.commit(all, call);
    return { ...done, outcomes: done.outcomes.slice(-last) };
  };
}

function entryOf<V>(write: Write<V>): Entry<V> | undefined {
  if (write.type === 'delete') return undefined;
  const { type: _, if: __, ...rest } = write;
  return { version: 'not yet', modifiedAt: 0, ...rest } as Entry<V>;
}

/** A process that uses a store; dead, it is answered nothing and changes nothing. */
export class Life {
  isOver = false;

  over<V>(inner: Primitives<V>): Primitives<V> {
    const alive = <T>(work: () => T): T | Promise<never> =>
      this.isOver ? new Promise<never>(() => undefined) : work();
    const { blocking: _, peek: __, readValue: ___, ...rest } = inner;
    const packed = packedCommits(inner);
    const commit: Primitives<V>['commit'] = (writes, call) =>
      alive(() => inner.commit(writes, call));
    return {
      ...rest,
      capabilities: Object.freeze({ ...inner.capabilities, blocking: false }),
      readOne: (key, call) => alive(() => inner.readOne(key, call)),
      readMany: (keys, call) => alive(() => inner.readMany(keys, call)),
      commit,
      ...(packed !== undefined && {
        packed: {
          of: commit,
          commit: (sets, last, call) => alive(() => packed.commit(sets, last, call)),
        },
      }),
    };
  }
}
