/**
 * Brings a clone to the state in which its commands run: the packages of the lockfile, and the Node
 * version that the lockfile names. Needs Node 20 and npm, and no package. Installs only what changed.
 * Speaks on stderr, so that a command's stdout stays its own.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const binFolder = join(modules, '.bin');
const stampFile = join(modules, '.setup');
const windows = process.platform === 'win32';

/** A set-up that did not work: the reason, and what to do about it. */
export class SetupError extends Error {
  constructor(reason, mend) {
    super(`${reason}\n  mend: ${mend}`);
    this.name = 'SetupError';
  }
}

/** Installs what is missing or outdated, and returns the path of the Node to run everything with. */
export function setUp() {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const wanted = JSON.parse(lock).packages['node_modules/node'].version;
  const stamp = stampOf(lock);
  const installed = existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : undefined;
  if (installed !== stamp) {
    const why = installed === undefined ? 'nothing is installed yet' : 'the lockfile has changed';
    say(`installing packages (${why}); this takes about half a minute`);
    const failure = npm(['ci', '--ignore-scripts', '--include=dev']);
    if (failure !== undefined) {
      throw new SetupError(
        `npm ci failed: ${failure}`,
        'check that the npm registry is reachable (npm ping), then run the command again',
      );
    }
  }
  const node = findNode(wanted);
  writeFileSync(stampFile, stamp);
  return node;
}

/** `process.env` with the repository's programs first on the PATH, then the given Node. */
export function environment(node) {
  return { ...process.env, PATH: [binFolder, dirname(node), pathWithoutBin()].join(delimiter) };
}

function stampOf(lock) {
  const { platform, arch } = process;
  return createHash('sha256').update(`${platform} ${arch}\n${lock}`).digest('hex');
}

function findNode(wanted) {
  const own = join(modules, 'node', 'bin', windows ? 'node.exe' : 'node');
  if (versionOf(own) === wanted) return own;
  say(`fetching Node ${wanted}`);
  // The one install script that is needed; npm ci ran without any.
  const failure = npm(['rebuild', 'node', '--ignore-scripts=false']);
  if (versionOf(own) === wanted) {
    say(`Node ${wanted} is in place`);
    return own;
  }
  const reason = failure ?? `its program says ${versionOf(own) ?? 'nothing'}`;
  const major = Number.parseInt(wanted, 10);
  for (const other of [process.execPath, ...nodesOnPath()]) {
    const version = versionOf(other);
    if (version !== undefined && Number.parseInt(version, 10) >= major) {
      say(`Node ${wanted} could not be fetched (${reason}); using ${version} at ${other} instead`);
      return other;
    }
  }
  throw new SetupError(
    `Node ${wanted} could not be fetched: ${reason}`,
    `make the npm registry reachable, or install Node ${major} or newer, then run the command again`,
  );
}

function versionOf(program) {
  if (!existsSync(program)) return undefined;
  const asked = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return asked.status === 0 ? asked.stdout.trim().replace(/^v/, '') : undefined;
}

function nodesOnPath() {
  const folders = pathWithoutBin().split(delimiter);
  return folders.map((folder) => join(folder, windows ? 'node.exe' : 'node'));
}

/** npm must not run on the Node inside node_modules, which npm ci deletes. */
function pathWithoutBin() {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.filter((folder) => resolve(folder) !== binFolder).join(delimiter);
}

/** Runs npm; returns undefined when it did its work, else the reason. */
function npm(args) {
  const done = spawnSync('npm', [...args, '--loglevel=error', '--no-fund', '--no-audit'], {
    cwd: root,
    env: { ...process.env, PATH: pathWithoutBin() },
    shell: windows,
    stdio: ['ignore', process.stderr.fd, process.stderr.fd],
  });
  if (done.error !== undefined) return `npm could not be started (${done.error.message})`;
  if (done.status === 0) return undefined;
  return `npm ${args[0]} ended with ${done.signal ?? `exit code ${done.status}`}, see above`;
}

function say(line) {
  process.stderr.write(`setup: ${line}\n`);
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    setUp();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
