/** The main job as a process of its own, started as `npm start` starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface MainJob {
  readonly child: ChildProcess;
  /** Of the console, with the token. */
  readonly url: string;
  readonly address: string;
  readonly token: string;
  readonly port: number;
  /** Ends it with a signal; resolves with its exit code, `null` after a kill. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/** Starts it, and resolves when it serves. */
export async function startMainJob(data: string, port: number): Promise<MainJob> {
  const args = ['scripts/start.ts', '--data', data, '--port', String(port), '--json'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  process.once('exit', () => child.kill('SIGKILL'));
  let out = '';
  for await (const chunk of child.stdout) {
    out += chunk;
    const line = out.split('\n').find((one) => one.startsWith('{'));
    if (line === undefined || !out.endsWith('\n')) continue;
    child.stdout.resume();
    return {
      child,
      ...JSON.parse(line),
      end: async (signal) => {
        child.kill(signal);
        const [code] = await exited;
        return code;
      },
    };
  }
  throw new Error(`the main job ended before it served: ${out}`);
}
