/**
 * What is asked, in which order, for how long, and what the caller gets: for each operation and policy,
 * while front and back answer, fail and hang. `docs/tiered.md` shows these tables.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Health, OPERATIONS, runCell } from '../../../test/support/tiered-cells.ts';
import type { TieredOptions } from './index.ts';

const THROUGH = `
| get of a copy | answers | front? → old | front? → old | front? → old |
| get of a copy | fails | front? back? front+ → old | front? back? → unavailable | front? back? → unavailable, 2 s |
| get of a copy | hangs | front? back? → old, 1 s | front? back? → unavailable, 1 s | front? back? → unavailable, 3 s |
| get of what has no copy | answers, fails | front? back? front+ → far | front? back? → unavailable | front? back? → unavailable, 2 s |
| get of what has no copy | hangs | front? back? → far, 1 s | front? back? → unavailable, 1 s | front? back? → unavailable, 3 s |
| fresh get | any | back? front+ → old | back? → unavailable | back? → unavailable, 2 s |
| getMany of both | answers, fails | front? back? front+ → old and far | front? back? → unavailable | front? back? → unavailable, 2 s |
| getMany of both | hangs | front? back? → old and far, 1 s | front? back? → unavailable, 1 s | front? back? → unavailable, 3 s |
| list | any | back* → cold and copied | back* → unavailable | back* → unavailable, 2 s |
| set | answers | back+ front+ → done | back+ → unavailable | back+ → unavailable, 2 s |
| set | fails | back+ front+ front- → done | back+ → unavailable | back+ → unavailable, 2 s |
| set | hangs | back+ front+ → done, 1 s | back+ → unavailable | back+ → unavailable, 2 s |
| delete | answers | back- front- → done | back- → unavailable | back- → unavailable, 2 s |
| delete | fails | back- front- front- → done | back- → unavailable | back- → unavailable, 2 s |
| delete | hangs | back- front- → done, 1 s | back- → unavailable | back- → unavailable, 2 s |
| update | answers | back? back+ front+ → older | back? → unavailable | back? → unavailable, 2 s |
| update | fails | back? back+ front+ front- → older | back? → unavailable | back? → unavailable, 2 s |
| update | hangs | back? back+ front+ → older, 1 s | back? → unavailable | back? → unavailable, 2 s |
| batch | answers | back+- front+- → done | back+- → unavailable | back+- → unavailable, 2 s |
| batch | fails | back+- front+- front- → done | back+- → unavailable | back+- → unavailable, 2 s |
| batch | hangs | back+- front+- → done, 1 s | back+- → unavailable | back+- → unavailable, 2 s |
| cursor | any | back@ → a cursor | back@ → unavailable | back@ → unavailable, 2 s |
`;

const THROUGH_ALONE = `
| get of what has no copy | answers | front? → missing | front? → missing | front? → missing |
| get of what has no copy | fails | front? back? front+ → far | front? back? → unavailable | front? back? → unavailable, 2 s |
| get of what has no copy | hangs | front? back? → far, 1 s | front? back? → unavailable, 1 s | front? back? → unavailable, 3 s |
| getMany of both | answers | front? → old | front? → old | front? → old |
| getMany of both | fails | front? back? front+ → old and far | front? back? → unavailable | front? back? → unavailable, 2 s |
| getMany of both | hangs | front? back? → old and far, 1 s | front? back? → unavailable, 1 s | front? back? → unavailable, 3 s |
| list | answers | front* → copied | front* → copied | front* → copied |
| list | fails | front* → unavailable | front* → unavailable | front* → unavailable |
| list | hangs | front* → timeout, 5 s | front* → timeout, 5 s | front* → timeout, 5 s |
| set | answers, fails | back+ front+ → done | back+ → unavailable | back+ → unavailable, 2 s |
| set | hangs | back+ front+ → done, 1 s | back+ → unavailable | back+ → unavailable, 2 s |
| delete | answers, fails | back- front- → done | back- → unavailable | back- → unavailable, 2 s |
| delete | hangs | back- front- → done, 1 s | back- → unavailable | back- → unavailable, 2 s |
| update | answers, fails | back? back+ front+ → older | back? → unavailable | back? → unavailable, 2 s |
| update | hangs | back? back+ front+ → older, 1 s | back? → unavailable | back? → unavailable, 2 s |
| batch | answers, fails | back+- front+- → done | back+- → unavailable | back+- → unavailable, 2 s |
| batch | hangs | back+- front+- → done, 1 s | back+- → unavailable | back+- → unavailable, 2 s |
`;

const AROUND = `
| set | answers | back+ front- → done | back+ → unavailable | back+ → unavailable, 2 s |
| set | fails | back+ front- front- → done | back+ → unavailable | back+ → unavailable, 2 s |
| set | hangs | back+ front- → done, 1 s | back+ → unavailable | back+ → unavailable, 2 s |
| update | answers | back? back+ front- → older | back? → unavailable | back? → unavailable, 2 s |
| update | fails | back? back+ front- front- → older | back? → unavailable | back? → unavailable, 2 s |
| update | hangs | back? back+ front- → older, 1 s | back? → unavailable | back? → unavailable, 2 s |
| batch | answers | back+- front- → done | back+- → unavailable | back+- → unavailable, 2 s |
| batch | fails | back+- front- front- → done | back+- → unavailable | back+- → unavailable, 2 s |
| batch | hangs | back+- front- → done, 1 s | back+- → unavailable | back+- → unavailable, 2 s |
`;

const OVERLAY = `
| get of a copy | answers | front? → old | front? → old | front? → old |
| get of a copy | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| get of a copy | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
| get of what has no copy | answers | front? front? back? front+- → far | front? front? back? → unavailable | front? front? back? → unavailable, 2 s |
| get of what has no copy | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| get of what has no copy | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
| fresh get | answers | front? → old | front? → old | front? → old |
| fresh get | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| fresh get | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
| getMany of both | answers | front? back? front+- → old and far | front? back? → unavailable | front? back? → unavailable, 2 s |
| getMany of both | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| getMany of both | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
| list | answers | front* → copied | front* → copied | front* → copied |
| list | fails | front* → unavailable | front* → unavailable | front* → unavailable |
| list | hangs | front* → timeout, 5 s | front* → timeout, 5 s | front* → timeout, 5 s |
| set | answers | front? front+- → done | front? front+- → done | front? front+- → done |
| set | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| set | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
| delete | answers | front? front+- → done | front? front+- → done | front? front+- → done |
| delete | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| delete | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
| update | answers | front? front? front+- → older | front? front? front+- → older | front? front? front+- → older |
| update | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| update | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
| batch | answers | front? back? front+- → done | front? back? → unavailable | front? back? → unavailable, 2 s |
| batch | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| batch | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
| cursor | answers | front@ → a cursor | front@ → a cursor | front@ → a cursor |
| cursor | fails | front@ → unavailable | front@ → unavailable | front@ → unavailable |
| cursor | hangs | front@ → timeout, 5 s | front@ → timeout, 5 s | front@ → timeout, 5 s |
`;

const OVERLAY_ALONE = `
| get of what has no copy | answers | front? → missing | front? → missing | front? → missing |
| get of what has no copy | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| get of what has no copy | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
| getMany of both | answers | front? → old | front? → old | front? → old |
| getMany of both | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| getMany of both | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
| batch | answers | front? front+- → done | front? front+- → done | front? front+- → done |
| batch | fails | front? → unavailable | front? → unavailable | front? → unavailable |
| batch | hangs | front? → timeout, 5 s | front? → timeout, 5 s | front? → timeout, 5 s |
`;

const BEHIND = `
| get of a copy | answers | old | old | old |
| get of a copy | fails | old | unavailable | unavailable, 2 s |
| get of a copy | hangs | old, 1 s | unavailable, 1 s | unavailable, 3 s |
| get of what has no copy | answers, fails | far | unavailable | unavailable, 2 s |
| get of what has no copy | hangs | far, 1 s | unavailable, 1 s | unavailable, 3 s |
| fresh get | any | old | unavailable | unavailable, 2 s |
| getMany of both | answers, fails | old and far | unavailable | unavailable, 2 s |
| getMany of both | hangs | old and far, 1 s | unavailable, 1 s | unavailable, 3 s |
| list | any | cold and copied | unavailable | unavailable, 2 s |
| set | answers, fails | done | done | done |
| set | hangs | done, 1 s | done, 1 s | done, 1 s |
| delete | answers | done | done | done |
| delete | fails | done | done | done, 2 s |
| delete | hangs | done, 1 s | done, 1 s | done, 3 s |
| update | answers | older | older | older |
| update | fails | older | unavailable | unavailable, 2 s |
| update | hangs | older, 1 s | unavailable, 1 s | unavailable, 3 s |
| batch | answers, fails | done | done | done, 2 s |
| batch | hangs | done, 1 s | done, 1 s | done, 3 s |
| cursor | any | a cursor | a cursor | a cursor |
`;

interface Policy {
  readonly options: Partial<TieredOptions<unknown>>;
  readonly table: string;
  /** Holds for what the table does not name. */
  readonly else?: string;
  /** The journal is emptied in the background: what it asks comes in any order. */
  readonly inBackground?: true;
}

const POLICIES: Readonly<Record<string, Policy>> = {
  'write through, read front-first': { options: {}, table: THROUGH },
  'write through, read front-only': {
    options: { read: 'front-only' },
    table: THROUGH_ALONE,
    else: THROUGH,
  },
  'write around, read front-first': {
    options: { write: 'around' },
    table: AROUND,
    else: THROUGH,
  },
  'write front-only, read front-first': {
    options: { write: 'front-only' },
    table: OVERLAY,
  },
  'write front-only, read front-only': {
    options: { write: 'front-only', read: 'front-only' },
    table: OVERLAY_ALONE,
    else: OVERLAY,
  },
  'write behind, read front-first': {
    options: { write: 'behind', journal: 'volatile' },
    table: BEHIND,
    inBackground: true,
  },
};

const STATES: readonly Health[] = ['answers', 'fails', 'hangs'];

interface Expected {
  readonly operation: string;
  readonly front: Health;
  readonly back: Health;
  /** Such as `front? back? → unavailable, 2 s`. */
  readonly cell: string;
}

function cellsOf(table: string): Expected[] {
  return table
    .trim()
    .split('\n')
    .flatMap((row) => {
      const [operation = '', fronts = '', ...cells] = row.slice(2, -2).split(' | ');
      return STATES.filter(
        (front) => fronts === 'any' || fronts.split(', ').includes(front),
      ).flatMap((front) =>
        STATES.map((back, i) => ({ operation, front, back, cell: cells[i] ?? 'no cell' })),
      );
    });
}

/** What stands there when both are well again: what was written, or nothing of it. */
function afterOf(operation: string, result: string): string | undefined {
  if (result === 'unavailable' || result === 'timeout') return undefined;
  if (operation === 'set' || operation === 'batch') return 'new';
  if (operation === 'delete') return 'missing';
  return operation === 'update' ? 'older' : undefined;
}

for (const [name, { options, table, else: rest = '', inBackground }] of Object.entries(POLICIES))
  describe(name, () => {
    const named = cellsOf(table);
    const others = rest === '' ? [] : cellsOf(rest);
    const covered = new Set(named.map(({ operation }) => operation));
    const cells = [...named, ...others.filter(({ operation }) => !covered.has(operation))];

    it('says something of every operation in every state of both parts', () => {
      const said = cells.map(({ operation, front, back }) => `${operation}, ${front}, ${back}`);
      const due = Object.keys(OPERATIONS).flatMap((operation) =>
        STATES.flatMap((front) => STATES.map((back) => `${operation}, ${front}, ${back}`)),
      );
      expect(said.sort()).toEqual(due.sort());
    });

    for (const { operation, front, back, cell } of cells)
      it(`${operation}: front ${front}, back ${back}: ${cell}`, async () => {
        const { asked, result, tookMs, after } = await runCell(options, operation, front, back);
        const trace = inBackground || asked === '' ? '' : `${asked} → `;
        expect(`${trace}${result}${tookMs > 0 ? `, ${tookMs / 1_000} s` : ''}`).toBe(cell);
        if (operation === 'get of what has no copy') expect(['far', 'missing']).toContain(after);
        else expect(after).toBe(afterOf(operation, result) ?? 'old');
      });
  });

it('is what the documentation shows', () => {
  const shown = readFileSync(new URL('../../../docs/tiered.md', import.meta.url), 'utf8');
  for (const { table } of Object.values(POLICIES)) expect(shown).toContain(table);
});
