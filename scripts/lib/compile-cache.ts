/**
 * Where Node keeps what it has compiled, types stripped, for the hundreds of processes that tests start
 * from sources: such a start takes less than half of the processor's time then.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What a process needs to use it. */
export const compileCache: Readonly<Record<string, string>> = {
  NODE_COMPILE_CACHE: resolve('node_modules/.cache/compiled'),
};

/** Modules that processes of tests begin with. */
const ENTRIES = ['src/{store,drivers/*,compositions/*,testing}/index.ts', 'src/sync/node.ts'];

/** Fills it by a process that ends well: those that are killed, as many are, leave nothing in it. */
export async function fillCompileCache(): Promise<void> {
  const urls = globSync(ENTRIES).map((path) => pathToFileURL(path).href);
  const script = `await Promise.all(${JSON.stringify(urls)}.map((url) => import(url)));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, ...compileCache },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await once(child, 'exit');
}
