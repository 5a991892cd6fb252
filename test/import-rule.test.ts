/** The import rule itself, on a small tree that breaks it in every way that once escaped a checker. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const tree: Record<string, string> = {
  'store/store.ts': 'export const s: number = 1;',
  'store/ring-a.ts': `import type { B } from './ring-b.ts'; export interface A { b?: B }`,
  'store/ring-b.ts': `import type { A } from './ring-a.ts'; export interface B { a?: A }`,
  'kernel/up.ts': `import type { M } from '../drivers/memory.ts'; export type K = M;`,
  'drivers/memory.ts': 'export interface M { a: string }',
  'drivers/lmdb/index.ts': `
    export type { R } from '../redis/index.ts';
    export { inside } from './inside/own.ts';
    export { open } from 'lmdb';`,
  'drivers/lmdb/inside/own.ts': 'export const inside: number = 1;',
  'drivers/redis/index.ts': `export interface R { b: import('../memory.ts').M }`,
  'layers/readonly.ts': `
    import { s } from '../store/store.ts';
    import { o } from './observed.ts';
    import type { Readable } from 'node:stream';
    export type X = Readable;
    export const r: unknown = [s, o];`,
  'layers/readonly.test.ts': `import '../sync/session.ts'; import 'node:fs';`,
  'layers/observed.ts': 'export const o: number = 1;',
  'compositions/tiered/index.ts': `export { p } from '../../sync/session.ts';`,
  'sync/session.ts': `
    import { type Database } from 'lmdb';
    export const p: Database | undefined = undefined;
    export const later: unknown = () => import('../cli/main.ts');`,
  'cli/main.ts': `import fs from 'node:fs'; import '../console/page.tsx'; export const z: unknown = fs;`,
  'console/page.tsx': `import { gone } from './gone.ts'; export const n: unknown = gone;`,
};

const broken = [
  'apart-drivers: src/drivers/lmdb/index.ts -> src/drivers/redis/index.ts',
  'apart-drivers: src/drivers/redis/index.ts -> src/drivers/memory.ts',
  'apart-layers: src/layers/readonly.ts -> src/layers/observed.ts',
  'level-compositions: src/compositions/tiered/index.ts -> src/sync/session.ts',
  'level-kernel: src/kernel/up.ts -> src/drivers/memory.ts',
  'level-sync: src/sync/session.ts -> src/cli/main.ts',
  'no-cycles: src/store/ring-a.ts -> src/store/ring-b.ts -> src/store/ring-a.ts',
  'node-at-the-edges: src/layers/readonly.ts -> stream',
  'packages-at-the-edges: src/sync/session.ts -> node_modules/lmdb/index.d.ts',
  'resolvable: src/console/page.tsx -> ./gone.ts',
];

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stratakv-imports-'));
  for (const name of ['.dependency-cruiser.mjs', 'tsconfig.json', 'package.json', 'scripts']) {
    cpSync(name, join(folder, name), { recursive: true });
  }
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  for (const [path, text] of Object.entries(tree)) {
    const file = join(folder, 'src', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function checkImports(): { ok: boolean; reason: string } {
  const script = `
    const { checkImports } = await import('./scripts/lib/check-imports.ts');
    console.log(JSON.stringify(await checkImports()));`;
  const options = { cwd: folder, encoding: 'utf8' } as const;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', script], options));
}

test('every planted breach of the import rule is reported, and nothing else', () => {
  const outcome = checkImports();
  expect(outcome.ok).toBe(false);
  // The packages are linked from the repository, so their path begins elsewhere.
  const reported = outcome.reason
    .replaceAll(/\S*(?=node_modules\/)/g, '')
    .split('\n')
    .sort();
  expect(reported).toEqual(broken);
});

test('reading no module at all is a failure', () => {
  rmSync(join(folder, 'src'), { recursive: true });
  mkdirSync(join(folder, 'src'));
  expect(checkImports()).toMatchObject({ ok: false, reason: 'no module was read' });
});
