import type { Position } from '../../store/primitives.ts';
import { decodeMessage, encodeMessage, type Message, type MessageOf } from '../protocol.ts';
import { CLOSE, ProtocolError } from '../wire.ts';

/** What a relay does to others. */
export interface RelayInit {
  /** What the tab that holds the connection has asked for. */
  readonly hello: MessageOf<'hello'>;
  /** Lets tabs join that show another token. */
  readonly anyToken: boolean;
  monotonicMs(): number;
  toServer(frame: Uint8Array): void;
  toMembers(ids: readonly string[], frame: Uint8Array): void;
  /** The member's connection is over. */
  end(id: string, code: number, reason: string): void;
  /** What it asks for cannot be shared: it needs a connection of its own. */
  refuse(id: string): void;
  /** It stands where it cannot join: by now its copy may be further. */
  postpone(id: string): void;
}

/** Groups kept for those who join, whole ones and the one that is coming in. */
const HISTORY_BYTES: number = 2 * 1024 * 1024;
/** Who has not taken in so much is let go, and resumes from where the copy is then. */
const LAG_BYTES: number = 8 * 1024 * 1024;
/** Most bytes of one batch of writes of a member that are gathered here. */
const WRITE_BYTES: number = 64 * 1024 * 1024;
/** Writes of members at the server at once; the others wait, in order. A member has at most 256. */
const MAX_IN_FLIGHT = 256;
const MAX_MEMBERS = 256;

interface Group {
  fresh: boolean;
  from: number;
  readonly frames: Uint8Array[];
  bytes: number;
  end: Position | undefined;
}

interface Member {
  readonly id: string;
  sentBytes: number;
  takenBytes: number;
  heardMs: number;
  /** Frames of a batch of writes that is not whole. */
  parts: Message[];
  partBytes: number;
}

/** A batch of writes as the one who wrote it knows it; `undefined` is the holder. */
interface Asked {
  readonly member: Member | undefined;
  readonly id: number;
}

interface Batch extends Asked {
  readonly member: Member;
  readonly parts: readonly Message[];
}

/**
 * Lets several tabs live on the connection of one. Every tab gets the groups that the holder gets,
 * as it would from the server; the cursor in the store that they share makes sure that each group
 * is applied once, whoever is first. No I/O of its own.
 */
export class TabRelay {
  readonly #init: RelayInit;
  #ready: MessageOf<'ready'> | undefined;
  /** The frame with which the server has told its terms. */
  #terms: Uint8Array | undefined;
  #readyMs = 0;
  #headRev = 0;
  /** Where what was passed on leads to. */
  #at: Position | undefined;
  #durableRev = 0;
  /** The first whole state that came, where it was one. */
  #snapshotRev: number | undefined;
  #groups: Group[] = [];
  #open: Group | undefined;
  /** The group that is coming in is too large to be kept. */
  #broken = false;
  readonly #members: Map<string, Member> = new Map();
  readonly #waiting: Map<string, MessageOf<'hello'>> = new Map();
  readonly #queue: Batch[] = [];
  /** By the ids that the server knows, which must rise. */
  readonly #asked: Map<number, Asked> = new Map();
  #lastId = 0;
  #inFlight = 0;
  #ownId = 0;

  constructor(init: RelayInit) {
    this.#init = init;
    this.#at = init.hello.cursor;
  }

  get members(): number {
    return this.#members.size;
  }

  /** Takes a frame of the server; gives what of it is for the holder. */
  heard(frame: Uint8Array): Uint8Array | undefined {
    const message = decodeMessage(frame);
    if (message.type === 'result' || (message.type === 'error' && message.id !== 0))
      return this.#answer(message);
    if (message.type === 'ready') this.#opened(message);
    else if (message.type === 'batch' || message.type === 'piece') this.#stream(message, frame);
    else if (message.type === 'live') {
      this.#headRev = message.rev;
      this.#toAll(frame);
    } else if (message.type === 'goaway') this.#toAll(frame);
    else if (message.type === 'terms') {
      this.#terms = frame;
      this.#toAll(frame);
    }
    return frame;
  }

  /** Takes a frame of the holder; gives what is to go to the server. */
  own(frame: Uint8Array): Uint8Array {
    const message = decodeMessage(frame);
    if (message.type === 'ack') {
      this.#durableRev = Math.max(this.#durableRev, message.rev);
      this.#joinWaiting();
    }
    if (message.type !== 'write') return frame;
    // All frames of a batch come in one go.
    if (this.#ownId !== message.id)
      this.#asked.set(++this.#lastId, { member: undefined, id: message.id });
    this.#ownId = message.last ? 0 : message.id;
    return encodeMessage({ ...message, id: this.#lastId });
  }

  join(id: string, frame: Uint8Array): void {
    if (this.#members.has(id) || this.#waiting.has(id)) return;
    const hello = decodeMessage(frame);
    if (hello.type === 'hello' && this.#asksTheSame(hello)) {
      this.#waiting.set(id, hello);
      this.#joinWaiting();
    } else this.#init.refuse(id);
  }

  /** A frame of a member. */
  up(id: string, frame: Uint8Array): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    member.heardMs = this.#init.monotonicMs();
    try {
      this.#message(member, decodeMessage(frame), frame.length);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#drop(member, error.closeCode, error.code);
    }
  }

  leave(id: string): void {
    this.#waiting.delete(id);
    this.#members.delete(id);
  }

  /** The connection is over, for all. */
  close(): void {
    for (const id of [...this.#waiting.keys(), ...this.#members.keys()])
      this.#init.end(id, CLOSE.goingAway, 'the connection of the other tab ended');
    this.#waiting.clear();
    this.#members.clear();
    this.#groups = [];
  }

  #asksTheSame({ storeId, prefix, token, newestVersion }: MessageOf<'hello'>): boolean {
    const own = this.#init.hello;
    // A page of another release.
    if (newestVersion !== own.newestVersion) return false;
    if (storeId !== own.storeId || prefix !== own.prefix) return false;
    return this.#init.anyToken || token === own.token;
  }

  #opened(ready: MessageOf<'ready'>): void {
    this.#ready = ready;
    this.#readyMs = this.#init.monotonicMs();
    this.#headRev = ready.head?.rev ?? 0;
    if (ready.fresh) {
      this.#at = undefined;
      this.#durableRev = 0;
    }
    this.#joinWaiting();
  }

  #stream(message: MessageOf<'batch'> | MessageOf<'piece'>, frame: Uint8Array): void {
    if (!this.#broken) this.#keep(message, frame);
    const all = [...this.#members.values()];
    for (const member of all) {
      member.sentBytes += frame.length;
      if (member.sentBytes - member.takenBytes > LAG_BYTES)
        this.#drop(member, CLOSE.tryLater, 'too far behind');
    }
    this.#toAll(frame);
    if (message.type !== 'batch' || message.end === undefined) return;
    // What mends the holder's copy is nothing for others.
    if (this.#at === undefined && !message.fresh) this.#groups = [];
    this.#at = message.end;
    this.#snapshotRev ??= message.end.rev;
    this.#headRev = Math.max(this.#headRev, message.end.rev);
    this.#open = undefined;
    this.#broken = false;
    this.#joinWaiting();
  }

  #keep(message: MessageOf<'batch'> | MessageOf<'piece'>, frame: Uint8Array): void {
    let open = this.#open;
    if (open === undefined) {
      open = { fresh: false, from: 0, frames: [], bytes: 0, end: undefined };
      this.#open = open;
      this.#groups.push(open);
    }
    open.frames.push(frame);
    open.bytes += frame.length;
    if (message.type === 'batch') {
      open.fresh = message.fresh;
      // One that was begun anew may have begun elsewhere.
      open.from = Math.max(open.from, message.from);
      open.end = message.end;
    }
    let bytes = this.#groups.reduce((sum, group) => sum + group.bytes, 0);
    while (bytes > HISTORY_BYTES) bytes -= this.#groups.shift()?.bytes ?? 0;
    this.#broken = this.#groups.length === 0 && message.type === 'batch' && !message.end;
    if (this.#groups.length === 0 && message.type === 'piece') this.#broken = true;
  }

  #joinWaiting(): void {
    const { monotonicMs, postpone, toMembers } = this.#init;
    const ready = this.#ready;
    // A long group has its end; who came in the midst of it waits for that.
    if (ready === undefined || this.#waiting.size === 0 || this.#broken) return;
    const isFirst = ready.fresh && this.#durableRev < (this.#snapshotRev ?? Infinity);
    for (const [id, hello] of [...this.#waiting]) {
      const start = this.#startFor(hello, ready);
      if (start === undefined) {
        // While the first copy is being made there is nothing to go on from yet.
        if (isFirst) continue;
        this.#waiting.delete(id);
        postpone(id);
        continue;
      }
      this.#waiting.delete(id);
      const groups = this.#groups.slice(start);
      const fresh = groups[0]?.fresh ?? false;
      const member = this.#admit(id);
      toMembers([id], encodeMessage(this.#greeting(ready, fresh, monotonicMs() - this.#readyMs)));
      if (this.#terms !== undefined) toMembers([id], this.#terms);
      for (const { frames, bytes } of groups) {
        member.sentBytes += bytes;
        for (const frame of frames) toMembers([id], frame);
      }
    }
  }

  /** From which of the groups kept a copy can go on, if from any; their number when it needs none. */
  #startFor(hello: MessageOf<'hello'>, ready: MessageOf<'ready'>): number | undefined {
    const { cursor, sourceId, scope } = hello;
    const groups = this.#groups;
    const lastFresh = groups.findLastIndex((group) => group.fresh);
    const isCopy = sourceId === ready.sourceId && scope === ready.scope;
    if (isCopy && cursor !== undefined && this.#at?.epoch === cursor.epoch) {
      const next = groups.findIndex(
        ({ end }, i) => i > lastFresh && (end === undefined || end.rev > cursor.rev),
      );
      if (next < 0 && this.#at.rev <= cursor.rev) return groups.length;
      const group = groups[next];
      if (group !== undefined && group.from <= cursor.rev) return next;
    }
    // A whole state is for who has nothing, or is certainly behind it: no copy goes back in time.
    const { end } = groups[lastFresh] ?? {};
    const isBehind = isCopy && end?.epoch === cursor?.epoch && (end?.rev ?? 0) > (cursor?.rev ?? 0);
    return lastFresh >= 0 && (cursor === undefined || isBehind) ? lastFresh : undefined;
  }

  #admit(id: string): Member {
    const nowMs = this.#init.monotonicMs();
    if (this.#members.size >= MAX_MEMBERS) {
      const [quietest] = [...this.#members.values()].sort((a, b) => a.heardMs - b.heardMs);
      if (quietest !== undefined) this.#drop(quietest, CLOSE.tryLater, 'too many tabs');
    }
    const member = {
      id,
      sentBytes: 0,
      takenBytes: 0,
      heardMs: nowMs,
      parts: [],
      partBytes: 0,
    };
    this.#members.set(id, member);
    return member;
  }

  /** The server's word for who joins later: the newest head known, the clock as it is now. */
  #greeting(ready: MessageOf<'ready'>, fresh: boolean, laterMs: number): MessageOf<'ready'> {
    const known = this.#at ?? ready.head;
    const head = known && { ...known, rev: Math.max(known.rev, this.#headRev) };
    return { ...ready, fresh, head, nowMs: Math.floor(ready.nowMs + laterMs) };
  }

  #message(member: Member, message: Message, bytes: number): void {
    if (message.type === 'ack') member.takenBytes = message.bytes;
    if (message.type !== 'write' && message.type !== 'piece' && message.type !== 'attempt') return;
    member.parts.push(message);
    member.partBytes += bytes;
    if (member.partBytes > WRITE_BYTES)
      throw new ProtocolError(CLOSE.tooBig, `a write has more than ${WRITE_BYTES} bytes`);
    if (message.type !== 'write' || !message.last) return;
    // Whole, so that those of others cannot come in between.
    this.#queue.push({ member, parts: member.parts, id: message.id });
    member.parts = [];
    member.partBytes = 0;
    this.#write();
  }

  #write(): void {
    while (this.#inFlight < MAX_IN_FLIGHT) {
      const batch = this.#queue.shift();
      if (batch === undefined) return;
      const { member, parts } = batch;
      // Who has left has been told that nobody knows; better it is not done.
      if (this.#members.get(member.id) !== member) continue;
      const id = ++this.#lastId;
      this.#asked.set(id, batch);
      this.#inFlight++;
      for (const part of parts)
        this.#init.toServer(encodeMessage(part.type === 'write' ? { ...part, id } : part));
    }
  }

  #answer(message: MessageOf<'result'> | MessageOf<'error'>): Uint8Array | undefined {
    const asked = this.#asked.get(message.id);
    if (asked === undefined) return undefined;
    this.#asked.delete(message.id);
    const answer = encodeMessage({ ...message, id: asked.id });
    const { member } = asked;
    if (member === undefined) return answer;
    this.#inFlight--;
    if (this.#members.get(member.id) === member) this.#init.toMembers([member.id], answer);
    this.#write();
    return undefined;
  }

  #toAll(frame: Uint8Array): void {
    if (this.#members.size > 0) this.#init.toMembers([...this.#members.keys()], frame);
  }

  #drop(member: Member, code: number, reason: string): void {
    this.#members.delete(member.id);
    this.#init.end(member.id, code, reason);
  }
}
