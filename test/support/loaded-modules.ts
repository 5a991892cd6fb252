import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Collects the addresses of modules as they are loaded, and prints them at the end. */
const HOOK = `
import { registerHooks } from 'node:module';
const loaded = [];
registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
process.on('exit', () => process.stdout.write(JSON.stringify(loaded)));`;

/** Runs a program of its own and gives the addresses of all modules that it loaded. */
export async function loadedModules(source: string): Promise<string[]> {
  const asUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--import',
    asUrl(HOOK),
    '--input-type=module',
    '--eval',
    source,
  ]);
  return JSON.parse(stdout) as string[];
}
