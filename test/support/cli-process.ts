/** Runs the `stratakv` command from its sources, as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface CliOptions {
  /** What the command finds on its standard input; default nothing. */
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** Standard output as text. */
  readonly out: string;
}

/** A command under way. */
export interface CliProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Everything written so far. */
  out(): string;
  err(): string;
  /** Resolves with what `find` gives as soon as it gives something; fails when the process ends before. */
  until<T>(find: (out: string, err: string) => T | undefined | null | false): Promise<T>;
  readonly ended: Promise<CliResult>;
}

/** Starts a command; whoever starts it ends it. */
export function startCli(args: readonly string[], options: CliOptions = {}): CliProcess {
  const { STRATAKV_TOKEN: _, NO_COLOR: __, ...inherited } = process.env;
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...inherited, ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const listeners = new Set<() => void>();
  const told = (): void => {
    for (const listener of listeners) listener();
  };
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk) && told());
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk) && told());
  // A command that does not read its input closes it.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const out = (): string => Buffer.concat(stdout).toString();
  const err = (): string => Buffer.concat(stderr).toString();
  const ended = once(child, 'close').then(([code]): CliResult => {
    process.off('exit', kill);
    return { code, stdout: Buffer.concat(stdout), stderr: err(), out: out() };
  });
  return {
    child,
    pid: child.pid ?? -1,
    out,
    err,
    ended,
    until: (find) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = find(out(), err());
          if (found === undefined || found === null || found === false) return;
          listeners.delete(look);
          resolve(found);
        };
        listeners.add(look);
        look();
        ended.then(({ code }) => reject(new Error(`it ended with ${code}: ${err()}`)), reject);
      }),
  };
}

/** Runs a command to its end. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).ended;
}
