import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { TestSpecification, Vitest } from 'vitest/node';
import { LongestFirst, SECONDS } from './longest-first.ts';

test('files of a known length come first, the longest before the others', async () => {
  const [longest = '', second = ''] = Object.keys(SECONDS);
  const root = '/root';
  const project = { name: '', config: { isolate: true, sequence: { groupOrder: 0 } } };
  const files = ['src/a.test.ts', second, 'src/b.test.ts', longest].map((path) => ({
    moduleId: `${root}/${path}`,
    project,
  }));
  const cache = { getTestSpecificationResult: () => ({ failed: false, duration: 1 }) };
  const sequencer = new LongestFirst({ config: { root }, cache } as unknown as Vitest);
  const sorted = await sequencer.sort(files as unknown as TestSpecification[]);
  const paths = sorted.map(({ moduleId }) => moduleId.slice(root.length + 1));
  expect(paths).toEqual([longest, second, 'src/a.test.ts', 'src/b.test.ts']);
});

test('every file of a known length is there', () => {
  expect(Object.keys(SECONDS).filter((path) => !existsSync(path))).toEqual([]);
});
