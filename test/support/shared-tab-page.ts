/** What runs in each tab of the shared-tabs tests: a subscription over IndexedDB, told what to do by the test. */
import { indexeddb } from '../../src/drivers/indexeddb/index.ts';
import {
  type Connector,
  type SubscriptionStatus,
  sharedTabs,
  subscribe,
  webSocket,
} from '../../src/sync/index.ts';
import { bytes, words } from './bytes.ts';

/** How a tab is opened. */
export interface TabOptions {
  readonly url: string;
  readonly name: string;
  /** Several tabs on one connection, or one each. */
  readonly shares: boolean;
  readonly heartbeatMs: number;
}

/** A tab as the test speaks to it. */
export interface TabHandle {
  readonly heard: string[];
  readonly errors: string[];
  /** Connections to the server that this tab has made. */
  connects: number;
  readonly ready: Promise<void>;
  status(): SubscriptionStatus;
  set(key: string, text: string): Promise<void>;
  contents(): Promise<Record<string, string>>;
  close(): Promise<void>;
  /** Keeps the thread busy, as a long computation does. */
  block(ms: number): void;
  /** Stops in the debugger, where no transaction of this tab is open: others would wait for it. */
  pause(): void;
}

declare global {
  var startTab: (options: TabOptions) => void;
  var tab: TabHandle;
}

/** Transactions of this tab that have not ended. */
let transactions = 0;
const { transaction } = IDBDatabase.prototype;
IDBDatabase.prototype.transaction = function (...given) {
  const begun = transaction.apply(this, given);
  transactions++;
  for (const end of ['complete', 'abort']) begun.addEventListener(end, () => transactions--);
  return begun;
};

globalThis.startTab = ({ url, name, shares, heartbeatMs }) => {
  const local = indexeddb<Uint8Array>({ name });
  const direct = webSocket(url);
  const counted: Connector = {
    connect: () => {
      tab.connects++;
      return direct.connect();
    },
  };
  const subscription = subscribe(
    shares ? sharedTabs({ name, transport: counted, heartbeatMs }) : counted,
    local,
    {
      token: 'secret',
      timeoutMs: 15_000,
      reconnect: { baseMs: 10, capMs: 100 },
      onChange: ({ key, value }) => void tab.heard.push(`${key}=${words(value)}`),
      onError: (error) => void tab.errors.push(error.message),
    },
  );
  globalThis.tab = {
    heard: [],
    errors: [],
    connects: 0,
    ready: subscription.ready,
    status: () => subscription.status(),
    set: async (key, text) => void (await subscription.remote.set(key, bytes(text))),
    contents: async () => {
      const found: Record<string, string> = {};
      for await (const { key, value } of local.list()) found[key] = words(value) ?? '';
      return found;
    },
    close: () => subscription.close(),
    block: (ms) => {
      const endMs = performance.now() + ms;
      while (performance.now() < endMs);
    },
    pause: () => {
      // biome-ignore lint/suspicious/noDebugger: it is what this is for.
      if (transactions === 0) debugger;
      else setTimeout(() => tab.pause(), 1);
    },
  };
};
