import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemCode } from '../system-errors.ts';

/** A file of the console, ready to send. */
export interface StaticFile {
  readonly type: string;
  readonly bytes: Uint8Array;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.map': 'application/json',
};

/** Where the build puts the console: the same place seen from `src/cli/serve` and from `dist/cli/serve`. */
export const CONSOLE_DIR: string = fileURLToPath(
  new URL('../../../dist/console/', import.meta.url),
);

/**
 * Reads the console's files into memory, by the path of their address. An address is looked up
 * here and never joined to a path of the file system. Empty where the console is not built.
 */
export function loadStaticFiles(dir: string = CONSOLE_DIR): ReadonlyMap<string, StaticFile> {
  const files = new Map<string, StaticFile>();
  let entries: ReturnType<typeof listFiles>;
  try {
    entries = listFiles(dir);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return files;
    throw error;
  }
  for (const path of entries) {
    const address = `/${relative(dir, path).split(sep).join('/')}`;
    const type = TYPES[extname(path)] ?? 'application/octet-stream';
    files.set(address, { type, bytes: readFileSync(path) });
  }
  const index = files.get('/index.html');
  if (index !== undefined) files.set('/', index);
  return files;
}

function listFiles(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
