/** Starts Redis servers of the tests' own, on free loopback ports, with their files in a temporary folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findEngine } from './find-engine.ts';

const startTimeoutMs = 10_000;

export interface StartRedisOptions {
  /** Further command-line arguments of redis-server; they override the defaults (nothing saved). */
  readonly args?: readonly string[];
  /** Port to listen on, to come back where an earlier server was. Default: a free one. */
  readonly port?: number;
  /** Folder for the server's files, kept afterwards. Default: a temporary one, removed at `stop`. */
  readonly dir?: string;
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends the server at once with the given signal (default SIGKILL) and waits until it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends the server in good order and removes its temporary folder. Calling it again does nothing. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A port of 127.0.0.1 that was free a moment ago, below those that systems give to outgoing
 * connections: one of theirs may be taken when a server comes back to it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(11_000, 32_000);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  const outcome = new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false));
    probe.once('listening', () => probe.close(() => resolve(true)));
  });
  probe.listen(port, '127.0.0.1');
  return outcome;
}

/** Starts a redis-server and resolves when it accepts connections. */
export async function startRedis(options: StartRedisOptions = {}): Promise<RedisServer> {
  const program = findEngine('redis-server');
  if ('missing' in program) throw new Error(`cannot start Redis: ${program.missing}`);
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'stratakv-redis-'));
  const place = ['--bind', '127.0.0.1', '--port', String(port), '--dir', dir];
  const volatile = ['--save', '', '--appendonly', 'no'];
  const child = spawn(program.at, [...place, ...volatile, ...(options.args ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const endWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', endWithUs);
  const output: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()));

  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    process.off('exit', endWithUs);
    await end(child, signal);
  };
  const stop = async (): Promise<void> => {
    await kill('SIGTERM');
    if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
  };
  try {
    await untilListening(child, port);
  } catch (cause) {
    await stop();
    throw new Error(`redis-server did not start; it said:\n${output.join('')}`, { cause });
  }
  const url = `redis://127.0.0.1:${port}`;
  return { url, port, pid: child.pid ?? -1, kill, stop, [Symbol.asyncDispose]: stop };
}

async function untilListening(child: ChildProcess, port: number): Promise<void> {
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline) {
    if (failure !== undefined) throw failure;
    if (child.exitCode !== null) throw new Error(`it ended with exit code ${child.exitCode}`);
    if (await answers(port)) return;
    await sleep(10);
  }
  throw new Error(`no answer on port ${port} within ${startTimeoutMs} ms`);
}

/** Whether a Redis on this port answers a PING: a socket alone accepts before the data is loaded. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    socket.write('PING\r\n');
    const [reply] = (await once(socket, 'data', { signal: AbortSignal.timeout(1_000) })) as [
      Buffer,
    ];
    return reply.toString().startsWith('+PONG') || reply.toString().startsWith('-NOAUTH');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  const patience = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(patience);
}
