/** A browser tab with the web console, as a user sees it: by its texts and roles. */
import { join } from 'node:path';
import type { BrowserContext, Page, WebSocket } from 'playwright';

/** Bytes that a tab's sockets carried, both ways. */
export interface SocketBytes {
  /** On the socket of the store. */
  readonly main: number;
  /** On all sockets. */
  readonly all: number;
}

const patienceMs = 30_000;

export class ConsoleTab {
  readonly page: Page;
  readonly name: string;
  /** What the page complained of. */
  readonly complaints: string[] = [];
  #main = 0;
  #all = 0;

  private constructor(page: Page, name: string) {
    this.page = page;
    this.name = name;
    page.setDefaultTimeout(patienceMs);
    page.on('websocket', (socket) => this.#count(socket));
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      // A server that is away on purpose.
      if (message.type() === 'error' && !message.text().includes('ERR_CONNECTION_REFUSED'))
        this.complaints.push(message.text());
    });
  }

  static async open(context: BrowserContext, name: string, url: string): Promise<ConsoleTab> {
    const tab = new ConsoleTab(await context.newPage(), name);
    await tab.page.goto(url);
    return tab;
  }

  get bytes(): SocketBytes {
    return { main: this.#main, all: this.#all };
  }

  /** Counts from zero again. */
  resetBytes(): void {
    this.#main = 0;
    this.#all = 0;
  }

  /** Waits for what the lamp says, such as `Connected`. */
  async untilSays(word: string): Promise<void> {
    await this.page
      .locator('.connection [role=status]', { hasText: word })
      .waitFor({ state: 'attached' });
  }

  async show(view: 'overview' | 'keys' | 'live' | 'plots', key?: string): Promise<void> {
    const hash = key === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(key)}`;
    await this.page.evaluate((to) => {
      location.hash = to;
    }, hash);
  }

  /** Waits until the list of keys counts so many. */
  async untilCounts(keys: number): Promise<void> {
    await this.show('keys');
    const text = `${new Intl.NumberFormat('en').format(keys)} keys`;
    await this.page.locator('.key-count', { hasText: text }).waitFor();
  }

  /** Waits until the entry of a key is shown with a text in its value. */
  async untilShows(key: string, text: string): Promise<void> {
    await this.show('keys', key);
    await this.page
      .locator('#detail', { hasText: key })
      .locator('.value', { hasText: text })
      .waitFor();
  }

  async untilMissing(key: string): Promise<void> {
    await this.show('keys', key);
    await this.page.locator('#detail', { hasText: 'This key is not there' }).waitFor();
  }

  /** Makes a key with a text, by the form. */
  async create(key: string, text: string): Promise<void> {
    await this.show('keys');
    await this.page.getByRole('button', { name: 'New key' }).click();
    await this.page.getByLabel('Key', { exact: true }).fill(key);
    await this.page.getByLabel('Value', { exact: true }).fill(text);
    await this.page.getByRole('button', { name: 'Save' }).click();
    await this.page.locator('form.editor').waitFor({ state: 'detached' });
  }

  /** Replaces the value of a key, by the keyboard alone. */
  async edit(key: string, text: string): Promise<void> {
    await this.show('keys', key);
    await this.page.locator('#detail .value').waitFor();
    await this.page.locator('#detail').focus();
    await this.page.keyboard.press('e');
    await this.page.getByLabel('Value', { exact: true }).fill(text);
    await this.page.keyboard.press('Control+Enter');
    await this.page.locator('form.editor').waitFor({ state: 'detached' });
  }

  async remove(key: string): Promise<void> {
    await this.show('keys', key);
    await this.page.locator('#detail').getByRole('button', { name: 'Delete' }).click();
    await this.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await this.untilMissing(key);
  }

  async screenshot(dir: string, what: string): Promise<void> {
    await this.page.screenshot({ path: join(dir, `${this.name}-${what}.png`) });
  }

  #count(socket: WebSocket): void {
    const isMain = new URL(socket.url()).pathname === '/main';
    const add = ({ payload }: { payload: string | Buffer }): void => {
      const bytes = Buffer.byteLength(payload);
      this.#all += bytes;
      if (isMain) this.#main += bytes;
    };
    socket.on('framereceived', add);
    socket.on('framesent', add);
  }
}
