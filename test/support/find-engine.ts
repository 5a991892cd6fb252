/**
 * Finds the programs that some tests and benchmarks need beside Node: a Redis server, a Chromium …
 * Looked for by environment variable, then on the PATH, then (only when asked) installed with
 * apt-get. A program that cannot be had is reported with the reason, never silently left out.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export type EngineName =
  | 'redis'
  | 'redis-server'
  | 'nats-server'
  | 'radosgw'
  | 'chromium'
  | 'strace';

/** Where an engine is (a program's path, or the address of a running server), or why it is not there. */
export type FoundEngine = { readonly at: string } | { readonly missing: string };

interface EngineSource {
  /** Environment variable that names the engine outright. */
  readonly variable: string;
  /** Program names to look for on the PATH, best first. */
  readonly programs: readonly string[];
  /** Programs that must be there too. */
  readonly beside?: readonly string[];
  /** Debian packages that bring the programs. */
  readonly debianPackages: readonly string[];
}

const sources: Readonly<Record<EngineName, EngineSource>> = {
  redis: {
    variable: 'STRATAKV_REDIS_URL',
    programs: ['redis-server', 'valkey-server'],
    debianPackages: ['redis-server'],
  },
  'redis-server': {
    variable: 'STRATAKV_REDIS_SERVER',
    programs: ['redis-server', 'valkey-server'],
    debianPackages: ['redis-server'],
  },
  'nats-server': {
    variable: 'STRATAKV_NATS_SERVER',
    programs: ['nats-server'],
    debianPackages: ['nats-server'],
  },
  radosgw: {
    variable: 'STRATAKV_S3_URL',
    programs: ['radosgw'],
    beside: ['radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd', 'monmaptool', 'uuidgen', 'curl'],
    debianPackages: ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-common', 'uuid-runtime', 'curl'],
  },
  chromium: {
    variable: 'STRATAKV_CHROMIUM',
    programs: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'],
    debianPackages: ['chromium'],
  },
  strace: { variable: 'STRATAKV_STRACE', programs: ['strace'], debianPackages: ['strace'] },
};

/** Engines that the environment variable STRATAKV_REQUIRE (comma-separated) makes compulsory. */
export function requiredEngines(): ReadonlySet<string> {
  const names = (process.env.STRATAKV_REQUIRE ?? '').split(',').map((name) => name.trim());
  return new Set(names.filter((name) => name !== ''));
}

/** Looks an engine up by its environment variable, then on the PATH. Installs nothing. */
export function findEngine(name: EngineName): FoundEngine {
  const { variable, programs, beside = [] } = sources[name];
  const named = process.env[variable];
  if (named !== undefined && named !== '') return { at: named };
  const path = programs.map(onPath).find((found) => found !== undefined);
  const lacking = beside.filter((program) => onPath(program) === undefined);
  if (path !== undefined && lacking.length === 0) return { at: path };
  if (path !== undefined) return { missing: `the PATH has no ${lacking.join(', ')}` };
  return { missing: `${variable} is not set and the PATH has no ${programs.join(', ')}` };
}

/** As {@link findEngine}, and where that fails installs the Debian package when run by root. */
export function ensureEngine(name: EngineName, say: (line: string) => void): FoundEngine {
  const found = findEngine(name);
  if ('at' in found) return found;
  const packages = sources[name].debianPackages.join(' ');
  if (onPath('apt-get') === undefined) return { missing: `${found.missing}; there is no apt-get` };
  if (process.getuid?.() !== 0) {
    return { missing: `${found.missing}; apt-get install ${packages} needs root` };
  }
  say(`installing ${packages} with apt-get, because ${found.missing}`);
  const failure = aptGet(['update']) ?? aptGet(['install', '-y', ...sources[name].debianPackages]);
  if (failure !== undefined) return { missing: `${found.missing}; ${failure}` };
  return findEngine(name);
}

/** The reason why apt-get failed, or undefined when it did its work. */
function aptGet(args: readonly string[]): string | undefined {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const done = spawnSync('apt-get', args, { env, encoding: 'utf8', timeout: 600_000 });
  if (done.status === 0) return undefined;
  const lastWords = (done.stderr ?? '').trim().split('\n').at(-1) ?? '';
  return `apt-get ${args.join(' ')} failed: ${done.error?.message ?? lastWords}`;
}

function onPath(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
