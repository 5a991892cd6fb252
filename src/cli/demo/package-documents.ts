import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { IncomingEntry } from '../ndjson/entry-writer.ts';
import { systemCode } from '../system-errors.ts';

/** An installed package: its folder, and its name as the keys carry it. */
export interface InstalledPackage {
  readonly name: string;
  readonly dir: string;
}

const README = /^readme(\.(md|markdown|mdx|txt|rst))?$/i;

/**
 * The packages under a `node_modules`, in the order of their names. One that is installed inside
 * another is named by its place there: `outer/node_modules/inner`.
 */
export async function installedPackages(nodeModules: string): Promise<InstalledPackage[]> {
  const found: InstalledPackage[] = [];
  await collect(nodeModules, '', found);
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function collect(dir: string, within: string, found: InstalledPackage[]): Promise<void> {
  for (const entry of await listDir(dir)) {
    if (entry.startsWith('.')) continue;
    const path = join(dir, entry);
    if (entry.startsWith('@')) await collect(path, `${within}${entry}/`, found);
    else if (await isFile(join(path, 'package.json'))) {
      found.push({ name: within + entry, dir: path });
      await collect(join(path, 'node_modules'), `${within}${entry}/node_modules/`, found);
    }
  }
}

/** A package's `package.json` and README as entries: `package/NAME/package.json`, `package/NAME/README.md`. */
export async function packageDocuments({ name, dir }: InstalledPackage): Promise<IncomingEntry[]> {
  const readme = (await listDir(dir)).find((file) => README.test(file));
  const files = [
    { as: 'package.json', file: 'package.json', type: 'application/json' },
    ...(readme === undefined ? [] : [{ as: 'README.md', file: readme, type: 'text/markdown' }]),
  ];
  const entries: IncomingEntry[] = [];
  for (const { as, file, type } of files) {
    const path = join(dir, file);
    if (!(await isFile(path))) continue;
    const value = await readFile(path);
    entries.push({ key: `package/${name}/${as}`, value, meta: { type, size: value.length } });
  }
  return entries;
}

async function listDir(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return [];
    throw error;
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}
