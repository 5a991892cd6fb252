/** Programs of the benchmarks that run in processes of their own, and are called like functions. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a program answers to. Arguments and results travel as JSON. */
export type Calls = Readonly<Record<string, (...args: never[]) => unknown>>;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

type Answer = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string });

/** In the program: answers calls until whoever started it is gone. */
export function answerCalls(calls: Calls): void {
  process.on('message', async ({ id, name, args }: Question) => {
    const send = (answer: Answer): void => void process.send?.(answer);
    try {
      const call = calls[name] as (...args: readonly unknown[]) => unknown;
      send({ id, result: await call(...args) });
    } catch (error) {
      send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
  process.once('disconnect', () => process.exit());
}

/** A program that runs. */
export class Child<C extends Calls> implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #name: string;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  /** `program`: the name of a file in `bench/programs`. */
  constructor(program: string) {
    this.#name = program;
    this.#process = fork(fileURLToPath(new URL(`../programs/${program}.ts`, import.meta.url)), {
      execArgv: ['--expose-gc', ...profiling()],
    });
    this.#process.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    this.#process.once('exit', (code, signal) => {
      for (const [id, answer] of this.#waiting)
        answer({ id, error: `${program} ended with ${signal ?? code}` });
      this.#waiting.clear();
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  call<N extends keyof C & string>(
    name: N,
    ...args: Parameters<C[N]>
  ): Promise<Awaited<ReturnType<C[N]>>> {
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<C[N]>>>();
    this.#waiting.set(id, (answer) => {
      if ('error' in answer) reject(new Error(`${this.#name}, ${name}: ${answer.error}`));
      else resolve(answer.result as Awaited<ReturnType<C[N]>>);
    });
    this.#process.send({ id, name, args });
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#process.once('exit', () => resolve());
    this.#process.disconnect();
    await promise;
  }
}

/** `--cpu-prof` given to a benchmark is passed on to its programs. */
function profiling(): string[] {
  return process.execArgv.filter((arg) => arg.startsWith('--cpu-prof'));
}
