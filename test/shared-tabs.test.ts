/** Real tabs of one browser on one connection: the one that has it is closed, crashes, freezes, hangs. */
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { memory } from '../src/drivers/memory/index.ts';
import { publish } from '../src/sync/index.ts';
import { serveWebSocket } from '../src/sync/node.ts';
import { bytes } from './support/bytes.ts';
import { describeWithEngine, enginePath } from './support/engines.ts';
import { servePage } from './support/killable-browser.ts';
import type { TabHandle } from './support/shared-tab-page.ts';
import { contents } from './support/sync-world.ts';

const HEARTBEAT_MS = 200;
let browser: Browser;
let origin: string;
const stops: (() => unknown)[] = [];
const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

class Tab {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  read<T>(what: (tab: TabHandle) => T): Promise<Awaited<T>> {
    return this.page.evaluate(`(${what.toString()})(globalThis.tab)`);
  }

  set(key: string, text: string): Promise<void> {
    return this.page.evaluate(
      ([k, t]) => globalThis.tab.set(k as string, t as string),
      [key, text],
    );
  }

  hears(what: string): Promise<void> {
    return expect.poll(() => this.read((tab) => tab.heard.at(-1)), { timeout: 15_000 }).toBe(what);
  }

  /**
   * Nothing of the page runs from now on, and it is told of nothing: what a browser does to a tab
   * that nobody has looked at for long, and that has no transaction open. Gives the thaw. (The
   * freeze that a browser itself offers does nothing to pages that count as visible, as all do
   * without a screen.)
   */
  async freeze(): Promise<() => Promise<void>> {
    const session = await this.page.context().newCDPSession(this.page);
    await session.send('Debugger.enable');
    const paused = new Promise((resolve) => session.once('Debugger.paused', resolve));
    // It answers when it is thawed.
    this.read((tab) => tab.pause()).catch(() => undefined);
    await paused;
    return async () => {
      await session.send('Debugger.disable');
      await session.detach();
    };
  }
}

/** A server, and a browser profile with tabs of one origin. */
class World {
  readonly name: string = crypto.randomUUID();
  readonly store: ReturnType<typeof memory<Uint8Array>>;
  readonly publication: ReturnType<typeof publish>;
  readonly context: BrowserContext;
  readonly url: string;

  private constructor(
    { store, publication }: Pick<World, 'store' | 'publication'>,
    context: BrowserContext,
    url: string,
  ) {
    this.store = store;
    this.publication = publication;
    this.context = context;
    this.url = url;
  }

  static async start(): Promise<World> {
    const store = memory<Uint8Array>();
    const publication = publish(store, {
      authorize: ({ token }) => token === 'secret' && { read: true, write: true },
    });
    const service = await serveWebSocket({ publication, port: 0 });
    ends.push(() => service.close());
    const context = await browser.newContext();
    ends.push(() => context.close());
    return new World({ store, publication }, context, service.url);
  }

  get clients(): readonly string[] {
    return this.publication.stats().subscribers.map(({ id }) => id);
  }

  async tab(shares = true): Promise<Tab> {
    const page = await this.context.newPage();
    await page.goto(origin);
    return this.begin(page, shares);
  }

  async begin(page: Page, shares = true): Promise<Tab> {
    page.setDefaultTimeout(10_000);
    const options = { url: this.url, name: this.name, shares, heartbeatMs: HEARTBEAT_MS };
    await page.evaluate((given) => globalThis.startTab(given), options);
    const tab = new Tab(page);
    await tab.read((one) => one.ready);
    return tab;
  }

  /** The one with the connection first. */
  async tabs(count: number): Promise<[Tab, ...Tab[]]> {
    const all: Tab[] = [];
    for (let n = 0; n < count; n++) all.push(await this.tab());
    for (const [n, tab] of all.entries())
      expect(await tab.read(({ connects }) => connects)).toBe(n === 0 ? 1 : 0);
    expect(this.clients).toHaveLength(1);
    return all as [Tab, ...Tab[]];
  }

  async agrees(tab: Tab): Promise<void> {
    const wanted = await contents(this.store);
    await expect.poll(() => tab.read((one) => one.contents())).toEqual(wanted);
  }
}

describeWithEngine('chromium', 'tabs that share a connection', () => {
  beforeAll(async () => {
    const page = await servePage('test/support/shared-tab-page.ts');
    stops.push(() => page.close());
    origin = page.url;
    browser = await chromium.launch({
      executablePath: enginePath('chromium'),
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'],
    });
    stops.push(() => browser.close());
  });

  afterAll(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  test('each sees every change and writes, over one connection', async () => {
    const world = await World.start();
    await world.store.set('a', bytes('1'));
    const tabs = await world.tabs(3);
    await world.store.set('a', bytes('2'));
    for (const tab of tabs) await tab.hears('a=2');
    for (const [n, tab] of tabs.entries()) {
      await tab.set('b', `by ${n}`);
      expect((await tab.read((one) => one.contents())).b).toBe(`by ${n}`);
      for (const other of tabs) await other.hears(`b=by ${n}`);
    }
    expect(world.clients).toHaveLength(1);
    for (const tab of tabs)
      expect(await tab.read((one) => one.status())).toMatchObject({ state: 'live', lag: 0 });
  });

  test('another takes over when the tab is closed, and the next when that one crashes', async () => {
    const world = await World.start();
    const [first, ...others] = await world.tabs(4);
    await first.page.close();
    await world.store.set('a', bytes('after the close'));
    for (const tab of others) await tab.hears('a=after the close');
    await expect.poll(() => world.clients.length).toBe(1);
    const counts = await Promise.all(others.map((tab) => tab.read(({ connects }) => connects)));
    const holder = others[counts.findIndex((count) => count > 0)] as Tab;
    const rest = others.filter((tab) => tab !== holder);
    const session = await world.context.newCDPSession(holder.page);
    session.send('Page.crash').catch(() => undefined);
    await new Promise((resolve) => holder.page.once('crash', resolve));
    await world.store.set('a', bytes('after the crash'));
    for (const tab of rest) await tab.hears('a=after the crash');
    await expect.poll(() => world.clients.length).toBe(1);
    await rest[0]?.set('b', 'goes on');
    for (const tab of rest) await world.agrees(tab);
  });

  test('another takes over from a frozen tab, which follows when it wakes', async () => {
    const world = await World.start();
    const [first, second, third] = (await world.tabs(3)) as [Tab, Tab, Tab];
    const thaw = await first.freeze();
    await world.store.set('a', bytes('while frozen'));
    for (const tab of [second, third]) await tab.hears('a=while frozen');
    await second.set('b', 'written while frozen');
    for (let n = 0; n < 20; n++) await world.store.set('n', bytes(`${n}`));
    for (const tab of [second, third]) await tab.hears('n=19');
    await thaw();
    await first.hears('n=19');
    const told = await first.read(({ errors }) => errors);
    expect(told.join()).toMatch(/another tab has taken over|nothing was heard/);
    await expect.poll(() => world.clients.length).toBe(1);
    await first.set('b', 'by the one that was frozen');
    for (const tab of [second, third]) await tab.hears('b=by the one that was frozen');
    expect(await first.read(({ connects }) => connects)).toBe(1);
    for (const tab of [first, second, third]) await world.agrees(tab);
  });

  test('another takes over from a tab that hangs; nothing is applied twice or backwards', async () => {
    const world = await World.start();
    const [first, second] = (await world.tabs(2)) as [Tab, Tab];
    const hanging = first.page.evaluate(() => globalThis.tab.block(2_500));
    let writing = true;
    const writes = (async () => {
      let n = 0;
      for (; writing; n++) {
        await world.store.set('n', bytes(String(n).padStart(6, '0')));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await world.store.set('n', bytes('end'));
    })();
    await expect.poll(() => second.read(({ connects }) => connects), { timeout: 10_000 }).toBe(1);
    await hanging;
    await new Promise((resolve) => setTimeout(resolve, 300));
    writing = false;
    await writes;
    for (const tab of [first, second]) {
      await tab.hears('n=end');
      const heard = await tab.read((one) => one.heard);
      expect(heard.slice(0, -1)).toEqual([...new Set(heard.slice(0, -1))].sort());
      await world.agrees(tab);
    }
    await expect.poll(() => world.clients.length).toBe(1);
  });

  test('a frozen tab that only followed comes back to where the others are', async () => {
    const world = await World.start();
    const [first, second] = (await world.tabs(2)) as [Tab, Tab];
    const thaw = await second.freeze();
    for (let n = 0; n < 20; n++) await world.store.set('n', bytes(`${n}`));
    await first.hears('n=19');
    await thaw();
    await second.hears('n=19');
    expect(await second.read(({ connects }) => connects)).toBe(0);
    expect(world.clients).toHaveLength(1);
  });

  test('a duplicated tab has an id of its own', async () => {
    const world = await World.start();
    const first = await world.tab(false);
    await first.page.evaluate(() => sessionStorage.setItem('copied', 'yes'));
    const [page] = await Promise.all([
      world.context.waitForEvent('page'),
      first.page.evaluate(() => void window.open(location.href)),
    ]);
    await page.waitForLoadState('load');
    expect(await page.evaluate(() => sessionStorage.getItem('copied'))).toBe('yes');
    await world.begin(page, false);
    expect(new Set(world.clients).size).toBe(2);
    const shared = await world.begin(
      await world.context.newPage().then(async (one) => {
        await one.goto(origin);
        return one;
      }),
    );
    expect(await shared.read(({ connects }) => connects)).toBe(1);
    expect(new Set(world.clients).size).toBe(3);
  });
});
