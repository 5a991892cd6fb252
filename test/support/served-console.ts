/** The console in a real browser, served by the real command. `npm test` builds what is served. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { memory } from '../../src/drivers/memory/index.ts';
import { type Subscription, subscribe, webSocket } from '../../src/sync/index.ts';
import { type CliProcess, startCli } from './cli-process.ts';
import { enginePath } from './engines.ts';

export const TOKEN = 'console-test-token';

export interface Served {
  readonly server: CliProcess;
  readonly port: number;
  /** The console, with the token. */
  readonly url: string;
}

/** What a page says where a server ends, also while it loads something small such as its icon. */
const AWAY = /WebSocket connection|net::ERR_CONNECTION_(RESET|REFUSED)/;

export interface Tab {
  readonly page: Page;
  readonly context: BrowserContext;
}

/** A browser and a folder for all tests of a file; what a test starts ends with it. To be made within `describe`. */
export class ServedConsole {
  readonly #ends: (() => Promise<unknown>)[] = [];
  /** Tabs end before servers: what one still loads then would be a complaint. */
  readonly #tabs: (() => Promise<unknown>)[] = [];
  #browser: Browser | undefined;
  #dir = '';

  constructor() {
    beforeAll(async () => {
      this.#dir = mkdtempSync(join(tmpdir(), 'stratakv-console-'));
      this.#browser = await chromium.launch({
        executablePath: enginePath('chromium'),
        args: [
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--disable-background-networking',
        ],
      });
    });
    afterEach(async () => {
      const ends = [...this.#ends.splice(0), ...this.#tabs.splice(0)];
      for (const end of ends.reverse()) await end();
    });
    afterAll(async () => {
      await this.#browser?.close();
      rmSync(this.#dir, { recursive: true, force: true });
    });
  }

  /** Where the servers run. */
  get dir(): string {
    return this.#dir;
  }

  async serve(...args: string[]): Promise<Served> {
    const server = startCli(['serve', '--json', ...args], {
      cwd: this.#dir,
      env: { STRATAKV_TOKEN: TOKEN },
    });
    this.#ends.push(() => {
      server.child.kill('SIGTERM');
      return server.ended;
    });
    const { url, port } = await server.until((out) => out.includes('\n') && JSON.parse(out));
    return { server, port, url };
  }

  /** A program beside the browser: a subscriber in this process. */
  async program(port: number): Promise<Subscription<Uint8Array>> {
    const address = webSocket(`ws://127.0.0.1:${port}/main`);
    const one = subscribe(address, memory<Uint8Array>(), { token: TOKEN });
    this.#ends.push(() => one.close());
    await one.ready;
    return one;
  }

  /** Opens the console and fails the test for anything that the page complains of. */
  async openTab(url: string, wait: string = '.connection.live'): Promise<Tab> {
    const context = await (this.#browser as Browser).newContext({
      viewport: { width: 1200, height: 800 },
    });
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      // A server that is away is what some cases are about.
      if (message.type() === 'error' && !AWAY.test(message.text())) complaints.push(message.text());
    });
    this.#tabs.push(async () => {
      await context.close();
      expect(complaints).toEqual([]);
    });
    await page.goto(url);
    // The first copy of a large store takes its time.
    await page.waitForSelector(wait, { timeout: 40_000 });
    return { page, context };
  }
}
