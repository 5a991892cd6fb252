/** Sweeps whose roots are none, at the beginning or later. */
import { describe, expect, it } from 'vitest';
import { graph, keysOf, links, torn } from '../../test/support/old-graph.ts';
import { sweep } from './index.ts';

describe('a sweep', () => {
  it('takes no roots for a mistake, unless told otherwise', async () => {
    const { store } = await graph(torn);
    async function* none(): AsyncGenerator<string> {}
    for (const roots of [[], new Set<string>(), () => [], none(), async () => none()])
      for (const more of [{}, { dryRun: true }, { allowNoRoots: false }, { keep: () => true }])
        await expect(sweep(store, roots, links, { olderThanMs: 0, ...more })).rejects.toMatchObject(
          {
            code: 'invalid-argument',
            message: expect.stringContaining('allowNoRoots'),
          },
        );
    expect(keysOf(store)).toHaveLength(7);
    const options = { olderThanMs: 0, allowNoRoots: true };
    expect(await sweep(store, [], links, options)).toMatchObject({ swept: 7 });
  });

  it('goes on where roots that were there are gone, and keeps what they reached', async () => {
    const { store } = await graph(torn);
    let asked = 0;
    const roots = (): string[] => (asked++ === 0 ? ['root'] : []);
    expect(await sweep(store, roots, links, { olderThanMs: 0 })).toMatchObject({ swept: 3 });
    expect(asked).toBeGreaterThan(1);
  });
});
