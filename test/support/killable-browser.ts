/** A Chromium in a process group of its own, with a profile that outlives it: it can be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { type Browser, chromium, type Page } from 'playwright';
import { enginePath } from './engines.ts';

const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
];

const running = new Set<KillableBrowser>();
process.once('exit', () => {
  for (const one of running) one.signal();
});

export class KillableBrowser {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #browser: Browser;

  private constructor(child: ChildProcess, ended: Promise<unknown>, browser: Browser) {
    this.#child = child;
    this.#ended = ended;
    this.#browser = browser;
    running.add(this);
  }

  /** Starts a browser on a profile: a folder that it makes where there is none. */
  static async start(profile: string, flags: readonly string[] = []): Promise<KillableBrowser> {
    const args = [...FLAGS, ...flags, `--user-data-dir=${profile}`, 'about:blank'];
    const child = spawn(enginePath('chromium'), args, {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    let told = '';
    for await (const line of createInterface({ input: child.stderr })) {
      const [, address] = /DevTools listening on (\S+)/.exec(line) ?? [];
      told += `${line}\n`;
      if (address === undefined) continue;
      // What it says later is read away, or it would wait for a reader.
      child.stderr.resume();
      return new KillableBrowser(child, ended, await chromium.connectOverCDP(address));
    }
    throw new Error(`chromium did not start: ${told}`);
  }

  /** A new tab of the profile. */
  async open(url: string): Promise<Page> {
    const [context] = this.#browser.contexts();
    if (context === undefined) throw new Error('the browser has no profile open');
    const page = await context.newPage();
    await page.goto(url);
    return page;
  }

  /** Ends all its processes with SIGKILL, and waits until they are gone. */
  async kill(): Promise<void> {
    this.signal();
    await this.#ended;
    running.delete(this);
    await this.#browser.close();
  }

  signal(): void {
    const { pid } = this.#child;
    if (pid !== undefined && this.#child.exitCode === null) process.kill(-pid, 'SIGKILL');
  }
}

/** Serves one page that runs a script of this repository. */
export async function servePage(
  entryPoint: string,
): Promise<{ readonly url: string; close(): void }> {
  const { outputFiles } = await build({
    entryPoints: [entryPoint],
    bundle: true,
    format: 'esm',
    write: false,
    logLevel: 'silent',
  });
  const script = outputFiles[0]?.text ?? '';
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : '<!doctype html><script type=module src=/page.js></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/`, close: () => void server.close() };
}
