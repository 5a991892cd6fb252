import { spawn } from 'node:child_process';

/** How a program ended: `output` is what it wrote to stdout and stderr, in the order it came. */
export interface Finished {
  readonly ok: boolean;
  readonly output: string;
  /** What came on stdout alone. */
  readonly stdout: string;
}

/** Runs a program of the PATH to its end, and keeps what it says. */
export function runProgram(program: string, args: readonly string[]): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('error', (error) => resolve({ ok: false, output: String(error), stdout }));
    child.on('close', (code) => resolve({ ok: code === 0, output, stdout }));
  });
}
