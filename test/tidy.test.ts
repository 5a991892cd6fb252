import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { deadLinks, deadPackedLinks } from '../scripts/lib/dead-links.ts';
import {
  declaredEntryPoints,
  existingEntryPoints,
  undocumentedExports,
} from './support/public-api.ts';
import * as style from './support/style-rules.ts';

/** This file and its rules spell out what they forbid. */
const spellsItOut = new Set(['test/tidy.test.ts', 'test/support/style-rules.ts']);

const paths = globSync('{src,test,bench,scripts,examples}/**/*.{ts,tsx}').filter(
  (path) => !spellsItOut.has(path),
);
const sources = paths.map((path) => style.parse(path, readFileSync(path, 'utf8')));
const documents = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md']);

/** Every rule with a file that breaks it once and must be seen to. */
const rules: Record<string, { rule: style.Rule; path: string; planted: string }> = {
  'files are at most 400 lines long': {
    rule: style.shortFiles,
    path: 'src/a.ts',
    planted: 'export {};\n'.repeat(401),
  },
  'functions are at most 70 lines long': {
    rule: style.shortFunctions,
    path: 'src/a.ts',
    planted: `const f = () => {${'\n'.repeat(70)}};`,
  },
  'nothing is of type any': { rule: style.noAny, path: 'src/a.ts', planted: 'let a: any[];' },
  'no type error is silenced and nothing is left to do': {
    rule: style.noSilencing,
    path: 'src/a.ts',
    planted: '// @ts-expect-error later',
  },
  'no error is swallowed': {
    rule: style.noSwallowedErrors,
    path: 'src/a.ts',
    planted: 'try { f(); } catch { /* never mind */ }',
  },
  'a skipped test says why, and none runs alone': {
    rule: style.noUnexplainedSkips,
    path: 'test/a.test.ts',
    planted: `test.skip('a case', () => {});`,
  },
  'clock, timers and randomness come from the Env': {
    rule: style.worldThroughEnv,
    path: 'src/kernel/a.ts',
    planted: 'globalThis.setTimeout(f, 1);',
  },
  'the library writes nothing to the console': {
    rule: style.noConsole,
    path: 'src/kernel/a.ts',
    planted: 'console.log(1);',
  },
  'imports name source files': {
    rule: style.extensionsWritten,
    path: 'src/a.ts',
    planted: `import './b.js';`,
  },
};

describe('style', () => {
  test('there are sources to look at', () => {
    expect(sources.length).toBeGreaterThan(20);
  });

  test.each(Object.entries(rules))('%s', (_, { rule, path, planted }) => {
    expect(rule(style.parse(path, planted))).toHaveLength(1);
    expect(sources.flatMap(rule)).toEqual([]);
  });

  test('no file names a place of one machine', () => {
    expect(style.placesOfOneMachine('a.md', 'see /tmp/a\nand registry.example.org')).toHaveLength(
      2,
    );
    const settings = globSync(['*.{json,mjs,ts}', '.npmrc', '.ci/*', 'scripts/**/*.mjs']);
    const all = [...paths, ...documents, ...settings];
    expect(
      all.flatMap((path) => style.placesOfOneMachine(path, readFileSync(path, 'utf8'))),
    ).toEqual([]);
  });
});

describe('the package', () => {
  test('has the entry points that package.json names, and no others', () => {
    const declared = declaredEntryPoints();
    expect(declared.map(({ source }) => source).sort()).toEqual(existingEntryPoints().sort());
    for (const { subpath, source } of declared) {
      const place = source
        .replace(/^src\/((drivers|kernel|compositions)\/)?/, './')
        .replace(/(\/index)?\.ts$/, '');
      expect(subpath).toBe(place === './index' ? '.' : place);
    }
  });

  test('documents everything it exports', () => {
    expect(undocumentedExports(declaredEntryPoints())).toEqual([]);
  });

  test('pins every development dependency, and depends on nothing', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(manifest.dependencies).toBeUndefined();
    const loose = Object.values<string>(manifest.devDependencies).filter(
      (range) => !/^(npm:.*@)?\d/.test(range),
    );
    expect(loose).toEqual([]);
    expect(Object.keys(manifest.peerDependenciesMeta)).toEqual(
      Object.keys(manifest.peerDependencies),
    );
  });

  test('has a lockfile with a digest for every package and the address of none', () => {
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
    const packages = Object.entries<{ resolved?: string; integrity?: string }>(lock.packages);
    const wrong = packages.filter(([path, { resolved, integrity }]) => {
      return path !== '' && (resolved !== undefined || integrity === undefined);
    });
    expect(wrong.map(([path]) => path)).toEqual([]);
  });
});

test('links between documents lead somewhere', () => {
  expect(deadLinks(documents, existsSync)).toEqual([]);
  const planted = '[a](b.md#part) [c](../c.md) [web](https://example.org) [here](#here)';
  const there = ['docs/a.md', 'docs/b.md'];
  const dead = deadLinks(
    ['docs/a.md'],
    (path) => there.includes(path),
    () => planted,
  );
  expect(dead).toEqual(['docs/a.md: c.md']);
});

test('links of the packed documents lead to what is packed', () => {
  expect(deadPackedLinks(['README.md', 'docs/archive.md'])).toContain('README.md: docs/blobs.md');
});
