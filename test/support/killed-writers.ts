/**
 * Processes that write to a store until they are killed, and what the store may hold afterwards:
 * of each key what was acknowledged last, or what was under way.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';

/** How often a writer is killed, unless `STRATAKV_KILLS` says otherwise. */
export const killCycles = (usual: number): number => Number(process.env.STRATAKV_KILLS ?? usual);

const KEYS_OF_ONE = 5;

/** What became of the keys of a store: a value, or `null` for none. */
export type Held = Map<string, string | null>;

/** How a writer opens its store. */
export interface WriterSource {
  /** Names to import, by module as seen from the folder `src`. */
  readonly imports: Readonly<Record<string, string>>;
  /** The statements that make `store`. */
  readonly open: string;
}

/** Module of `src` as text of a program. */
const moduleAt = (path: string): string =>
  JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

/** Values of every length up to some pages, none twice: half of one is none of them. */
const VALUE = "(n) => n + ':' + String(n % 10).repeat((n * 97) % 9000)";

function start({ imports, open }: WriterSource, from: number): ChildProcess {
  const lines = Object.entries(imports).map(
    ([names, path]) => `import { ${names} } from ${moduleAt(path)};`,
  );
  const script = `
    import { writeSync } from 'node:fs';
    ${lines.join('\n')}
    const say = (...words) => writeSync(1, JSON.stringify(words) + '\\n');
    const valueOf = ${VALUE};
    ${open}
    let n = ${from};
    const write = async (name) => {
      for (let i = 0; ; i++) {
        const key = name + (i % ${KEYS_OF_ONE});
        const number = ++n;
        const value = i % 4 === 3 ? null : valueOf(number);
        say('try', number, key, value);
        if (value === null) await store.delete(key);
        else await store.set(key, value);
        say('ack', number, key, value);
      }
    };
    await Promise.all(['a', 'b', 'c'].map(write));
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** One store that is written to by one process after another, each of which is killed. */
export class KilledWriters {
  readonly #source: WriterSource;
  readonly #certain: Held = new Map();
  readonly #tried: Held = new Map();
  #last = 0;

  constructor(source: WriterSource) {
    this.#source = source;
  }

  /** How many keys were ever acknowledged. */
  get keys(): number {
    return this.#certain.size;
  }

  /** Runs a writer, and kills it after so many acknowledgements. */
  async run(acks: number): Promise<void> {
    const child = start(this.#source, this.#last);
    const ended = new Promise<NodeJS.Signals | null>((resolve) =>
      child.on('close', (_, signal) => resolve(signal)),
    );
    let heard = 0;
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      const [word, number, key, value] = JSON.parse(line) as [
        string,
        number,
        string,
        string | null,
      ];
      this.#last = Math.max(this.#last, number);
      if (word === 'try') this.#tried.set(key, value);
      else {
        this.#certain.set(key, value);
        this.#tried.delete(key);
        if (++heard === acks) child.kill('SIGKILL');
      }
    }
    expect(await ended, 'what ended the writer').toBe('SIGKILL');
  }

  /** Holds what the store has against what was acknowledged, and takes it as certain from here on. */
  check(held: ReadonlyMap<string, string>): void {
    for (const key of new Set([...this.#certain.keys(), ...this.#tried.keys()])) {
      const value = held.get(key) ?? null;
      const allowed = [this.#certain.get(key) ?? null];
      if (this.#tried.has(key)) allowed.push(this.#tried.get(key) ?? null);
      expect(allowed, `the value of ${key}`).toContain(value);
      this.#certain.set(key, value);
    }
    for (const key of held.keys()) expect(this.#certain.has(key), `${key} was written`).toBe(true);
    this.#tried.clear();
  }
}
