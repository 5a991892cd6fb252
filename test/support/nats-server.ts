/** Starts NATS servers with JetStream, on free loopback ports, with their files in a temporary folder. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findEngine } from './find-engine.ts';
import { freePort } from './redis-server.ts';

const startTimeoutMs = 10_000;

export interface NatsServer {
  /** `host:port` for a client's `servers`. */
  readonly address: string;
  readonly pid: number;
  /** Ends the server and removes its temporary folder. */
  stop(): Promise<void>;
}

/** Starts a nats-server and resolves when it greets connections. */
export async function startNats(): Promise<NatsServer> {
  const program = findEngine('nats-server');
  if ('missing' in program) throw new Error(`cannot start NATS: ${program.missing}`);
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'stratakv-nats-'));
  const child = spawn(program.at, ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', dir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const output: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  const endWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', endWithUs);
  const stop = async (): Promise<void> => {
    process.off('exit', endWithUs);
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(dir, { recursive: true, force: true });
  };
  const deadline = performance.now() + startTimeoutMs;
  while (!(await greets(port))) {
    if (child.exitCode === null && performance.now() < deadline) {
      await sleep(10);
      continue;
    }
    await stop();
    throw new Error(`nats-server did not start; it said:\n${output.join('')}`);
  }
  return { address: `127.0.0.1:${port}`, pid: child.pid ?? -1, stop };
}

async function greets(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    const [greeting] = (await once(socket, 'data', { signal: AbortSignal.timeout(1_000) })) as [
      Buffer,
    ];
    return greeting.toString().startsWith('INFO');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
