import type { Env, Timer } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions, type OptionRules } from '../../store/options.ts';
import { systemEnv } from '../../store/system-env.ts';
import { randomId } from '../../store/version.ts';
import { decodeMessage, type MessageOf } from '../protocol.ts';
import { CLOSE } from '../wire.ts';
import { PostponedJoins } from './postponed-joins.ts';
import { TabRelay } from './tab-relay.ts';
import type { Connector, Transport, TransportClose, TransportHandlers } from './transport.ts';

/** What tabs share, and how. */
export interface SharedTabsOptions {
  /** Tabs of one origin that give the same name share a connection. Name the user in it: who shares sees the same. */
  readonly name: string;
  /** Makes the connection, in the tab whose turn it is. */
  readonly transport: Connector;
  /** How often a tab asks whether the one with the connection still answers; after three times without an answer another takes over. Default 2,000. */
  readonly heartbeatMs?: number;
  /** Shares also with tabs that show another token, such as a newer one of the same user; default false: they get a connection of their own. */
  readonly anyToken?: boolean;
  /** Clock, timers and randomness; default the host's. */
  readonly env?: Env;
}

const RULES: OptionRules = {
  name: is.text,
  transport: {
    expected: 'a connector such as webSocket(url)',
    accepts: (v) => typeof (v as Partial<Connector> | null)?.connect === 'function',
  },
  heartbeatMs: is.durationMs,
  anyToken: is.boolean,
  env: is.object,
};

/** So often the holder may leave a question unanswered. */
const MISSED = 3;

/**
 * Lets all tabs of an origin live on one connection. Each tab subscribes as ever, over the same
 * IndexedDB database; one of them, which holds a Web Lock, has the connection and passes on what
 * comes, and what the others write. When it closes, crashes or freezes, the next one takes over,
 * and each tab resumes from the cursor in the database. Every group is applied once, by whoever is
 * first: the commit that moves the cursor fails for all others, a frozen tab that wakes up
 * included.
 *
 * A tab whose request cannot be shared (another store, prefix or token, or a store of its own)
 * gets a connection of its own, and so does every tab where there are no Web Locks or no
 * BroadcastChannel. Messages between tabs are seen by every page of the origin, like the database.
 *
 * Errors: `invalid-argument`.
 *
 * ```ts
 * const local = indexeddb<Uint8Array>({ name: 'notes' });
 * const transport = sharedTabs({ name: `notes of ${user}`, transport: webSocket(url) });
 * const subscription = subscribe(transport, local, { token });
 * ```
 */
export function sharedTabs(options: SharedTabsOptions): Connector {
  checkOptions('sharedTabs', options, RULES, ['name', 'transport']);
  const { heartbeatMs = 2_000, env = systemEnv } = options;
  const shared: Shared = {
    name: `stratakv/sync/${options.name}`,
    transport: options.transport,
    heartbeatMs,
    anyToken: options.anyToken === true,
    env,
    postponed: new PostponedJoins(env, heartbeatMs),
  };
  return { connect: () => (canShare() ? new TabTransport(shared) : shared.transport.connect()) };
}

function canShare(): boolean {
  return typeof BroadcastChannel === 'function' && globalThis.navigator?.locks !== undefined;
}

interface Shared {
  readonly name: string;
  readonly transport: Connector;
  readonly heartbeatMs: number;
  readonly anyToken: boolean;
  readonly env: Env;
  /** Since this tab could join last. */
  readonly postponed: PostponedJoins;
}

/**
 * What tabs tell each other. Frames are numbered and the numbers compared: a page that is frozen or
 * put aside may miss some.
 */
type Word =
  | { readonly type: 'hold'; readonly holder: string }
  | { readonly type: 'join'; readonly from: string; readonly frame: Uint8Array }
  | { readonly type: 'up'; readonly from: string; readonly frame: Uint8Array; readonly at: number }
  | { readonly type: 'ping'; readonly from: string; readonly count: number }
  | { readonly type: 'bye'; readonly from: string }
  | FromHolder;

type FromHolder = { readonly holder: string } & (
  | { readonly type: 'alone' | 'later'; readonly to: string }
  | { readonly type: 'pong'; readonly to: string; readonly count: number }
  | {
      readonly type: 'frame';
      /** For whom, with its number for each. */
      readonly to: ReadonlyMap<string, number>;
      readonly frame: Uint8Array;
    }
  | { readonly type: 'end'; readonly to: string; readonly how: TransportClose }
);

/** Frames that went each way between the holder and another tab. */
interface Counts {
  down: number;
  up: number;
}

const MISSING: TransportClose = {
  code: CLOSE.tryLater,
  reason: 'messages between tabs were lost',
};

/** One connection of a tab: its own that others share, that of another tab, or one for itself alone. */
class TabTransport implements Transport {
  readonly #shared: Shared;
  readonly #id: string;
  #handlers: TransportHandlers | undefined;
  #hello: Uint8Array | undefined;
  #waiting: Uint8Array[] = [];
  #channel: BroadcastChannel | undefined;
  #upstream: Transport | undefined;
  #relay: TabRelay | undefined;
  /** Of every tab that is heard of, where this one holds the connection. */
  readonly #members: Map<string, Counts> = new Map();
  readonly #counts: Counts = { down: 0, up: 0 };
  /** Of whom this tab has joined. */
  #holder: string | undefined;
  #unanswered = 0;
  #timer: Timer | undefined;
  readonly #queued = new AbortController();
  #release: (() => void) | undefined;
  #how: TransportClose | undefined;

  constructor(shared: Shared) {
    this.#shared = shared;
    this.#id = randomId(shared.env);
  }

  get bufferedBytes(): number {
    const waiting = this.#waiting.reduce((sum, { length }) => sum + length, 0);
    return waiting + (this.#how === undefined ? (this.#upstream?.bufferedBytes ?? 0) : 0);
  }

  start(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    const how = this.#how;
    if (how !== undefined) queueMicrotask(() => handlers.close(how));
  }

  send(bytes: Uint8Array): void {
    if (this.#how !== undefined) return;
    if (this.#hello === undefined) {
      this.#hello = bytes;
      this.#seek();
    } else if (this.#upstream !== undefined) {
      this.#upstream.send(this.#relay?.own(bytes) ?? bytes);
    } else if (this.#holder !== undefined) {
      const at = ++this.#counts.up;
      this.#say({ type: 'up', from: this.#id, frame: alone(bytes), at });
    } else this.#waiting.push(bytes);
  }

  close(code: number, reason: string): void {
    this.#end({ code, reason });
  }

  /** Takes the lock where it is free, else joins whoever has it. */
  #seek(): void {
    if (this.#shared.postponed.areTooMany) {
      this.#connect();
      return;
    }
    const channel = new BroadcastChannel(this.#shared.name);
    channel.onmessage = ({ data }: MessageEvent<Word>) => this.#hear(data);
    this.#channel = channel;
    this.#locks({ ifAvailable: true }, (lock) => {
      if (this.#how !== undefined) return;
      if (lock === null) return this.#follow();
      this.#hold();
      return new Promise<void>((release) => {
        this.#release = release;
      });
    });
  }

  /** Asks for the lock. A holder from whom it is taken ends; where there are no locks after all, each tab is alone. */
  #locks(options: LockOptions, granted: (lock: Lock | null) => Promise<void> | void): void {
    navigator.locks
      .request(this.#shared.name, options, async (lock) => granted(lock))
      .then(
        () => undefined,
        () => {
          if (this.#relay !== undefined)
            this.#end({ code: CLOSE.goingAway, reason: 'another tab has taken over' });
          else if (!this.#queued.signal.aborted && this.#how === undefined) this.#leaveOthers();
        },
      );
  }

  /** This tab has the connection. */
  #hold(): void {
    const { anyToken, env } = this.#shared;
    const holder = this.#id;
    this.#relay = new TabRelay({
      hello: decodeMessage(this.#hello as Uint8Array) as MessageOf<'hello'>,
      anyToken,
      monotonicMs: () => env.monotonicMs(),
      toServer: (frame) => this.#upstream?.send(frame),
      toMembers: (ids, frame) => {
        const to = new Map(ids.map((id) => [id, ++this.#countsOf(id).down]));
        this.#say({ type: 'frame', holder, to, frame: alone(frame) });
      },
      end: (to, code, reason) => this.#endMember(to, { code, reason }),
      refuse: (to) => this.#say({ type: 'alone', holder, to }),
      postpone: (to) => this.#say({ type: 'later', holder, to }),
    });
    this.#connect();
    this.#say({ type: 'hold', holder });
  }

  #connect(): void {
    const upstream = this.#shared.transport.connect();
    this.#upstream = upstream;
    upstream.start({
      message: (frame) => {
        const own = this.#how === undefined ? this.#share(frame) : undefined;
        if (own !== undefined) this.#handlers?.message(own);
      },
      drain: () => {
        if (this.#how === undefined) this.#handlers?.drain();
      },
      close: (how) => this.#end(how),
    });
    upstream.send(this.#hello as Uint8Array);
    for (const bytes of this.#waiting.splice(0)) upstream.send(bytes);
  }

  /** Passes on what others are to have; gives what is for this tab. */
  #share(frame: Uint8Array): Uint8Array | undefined {
    if (this.#relay === undefined) return frame;
    try {
      return this.#relay.heard(frame);
    } catch (error) {
      if (!(error instanceof StrataError)) throw error;
      // The subscriber finds the same fault, and ends the connection for it.
      return frame;
    }
  }

  /** Another tab has the connection. */
  #follow(): void {
    const gone = { code: CLOSE.goingAway, reason: 'the tab that held the connection is gone' };
    this.#locks({ signal: this.#queued.signal }, () => this.#end(gone));
    this.#join();
    this.#ping();
  }

  #join(): void {
    if (this.#holder === undefined)
      this.#say({ type: 'join', from: this.#id, frame: this.#hello as Uint8Array });
  }

  /** Counts questions, not time: a tab that was frozen itself must not take over for that. */
  #ping(): void {
    const { env, heartbeatMs } = this.#shared;
    this.#timer = env.setTimer(() => {
      if (this.#how !== undefined || this.#upstream !== undefined) return;
      if (this.#unanswered >= MISSED) return this.#takeOver();
      this.#unanswered++;
      this.#say({ type: 'ping', from: this.#id, count: this.#counts.up });
      this.#join();
      this.#ping();
    }, heartbeatMs);
  }

  /** Takes the lock from who does not answer, and leaves it to whoever connects first. */
  #takeOver(): void {
    this.#locks({ steal: true }, () =>
      this.#end({ code: CLOSE.goingAway, reason: 'the tab that held the connection is frozen' }),
    );
  }

  #hear(word: Word): void {
    if (this.#how !== undefined) return;
    if (this.#relay !== undefined) this.#serve(word, this.#relay);
    else if (this.#upstream !== undefined) return;
    else if (word.type === 'hold') {
      this.#unanswered = 0;
      this.#join();
    } else if ('holder' in word) this.#obey(word);
  }

  #serve(word: Word, relay: TabRelay): void {
    if (word.type === 'join') relay.join(word.from, word.frame);
    else if (word.type === 'bye') {
      relay.leave(word.from);
      this.#members.delete(word.from);
    } else if (word.type === 'up') {
      if (++this.#countsOf(word.from).up === word.at) relay.up(word.from, word.frame);
      else this.#endMember(word.from, MISSING);
    } else if (word.type === 'ping') {
      const { down: count = 0, up = 0 } = this.#members.get(word.from) ?? {};
      if (up !== word.count) this.#endMember(word.from, MISSING);
      this.#say({ type: 'pong', holder: this.#id, to: word.from, count });
    }
  }

  #countsOf(id: string): Counts {
    const known = this.#members.get(id);
    if (known !== undefined) return known;
    const made = { down: 0, up: 0 };
    this.#members.set(id, made);
    return made;
  }

  #endMember(to: string, how: TransportClose): void {
    this.#relay?.leave(to);
    this.#members.delete(to);
    this.#say({ type: 'end', holder: this.#id, to, how });
  }

  #obey(word: FromHolder): void {
    const at = word.type === 'frame' ? word.to.get(this.#id) : undefined;
    const isForThis = word.type === 'frame' ? at !== undefined : word.to === this.#id;
    // One that was frozen may still think that it holds the connection.
    if (!isForThis || (this.#holder !== undefined && this.#holder !== word.holder)) return;
    this.#unanswered = 0;
    if (word.type === 'alone') this.#leaveOthers();
    else if (word.type === 'end') this.#end(word.how);
    else if (word.type === 'later') {
      this.#shared.postponed.add();
      this.#end({ code: CLOSE.tryLater, reason: 'the copy is behind what the other tab keeps' });
    } else if (word.type === 'pong') {
      if (word.count !== this.#counts.down) this.#end(MISSING);
    } else if (word.type === 'frame') {
      if (++this.#counts.down === at) this.#receive(word.holder, word.frame);
      else this.#end(MISSING);
    }
  }

  #receive(holder: string, frame: Uint8Array): void {
    if (this.#holder === undefined) {
      this.#holder = holder;
      this.#shared.postponed.clear();
      for (const bytes of this.#waiting.splice(0)) this.send(bytes);
    }
    this.#handlers?.message(frame);
  }

  #leaveOthers(): void {
    this.#stopFollowing();
    this.#channel?.close();
    this.#channel = undefined;
    this.#connect();
  }

  #stopFollowing(): void {
    this.#timer?.cancel();
    this.#queued.abort();
  }

  #say(word: Word): void {
    this.#channel?.postMessage(word);
  }

  #end(how: TransportClose): void {
    if (this.#how !== undefined) return;
    this.#how = how;
    this.#stopFollowing();
    if (this.#relay !== undefined) this.#relay.close();
    else if (this.#upstream !== undefined) this.#shared.postponed.clear();
    else this.#say({ type: 'bye', from: this.#id });
    this.#upstream?.close(how.code, how.reason);
    this.#channel?.close();
    this.#release?.();
    this.#waiting = [];
    const handlers = this.#handlers;
    if (handlers !== undefined) queueMicrotask(() => handlers.close(how));
  }
}

/** Posting a view would copy all that it is a view of. */
function alone(frame: Uint8Array): Uint8Array {
  return frame.byteLength === frame.buffer.byteLength ? frame : frame.slice();
}
