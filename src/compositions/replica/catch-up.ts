import { approximateBytes } from '../../kernel/journal/approximate-bytes.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import type { Call } from '../../store/call.ts';
import type { Change } from '../../store/entry.ts';
import { isStrataError, StrataError } from '../../store/errors.ts';
import type { FeedPage, Position, Write } from '../../store/primitives.ts';
import { compareMember, type WasDeleted } from './compare.ts';
import type { RefusedWrite, RepairCounts } from './events.ts';
import type { FirstStore } from './first-store.ts';
import { applyIntendedDeletes, sweepIntents } from './intent-cleanup.ts';
import type { Intents } from './intents.ts';
import { asStrataError, type Mark, type Member } from './member.ts';
import { copyOf, toCopy } from './stamps.ts';

/** So many changes are written to a member at once. */
const APPLIED_AT_ONCE = 512;
/** About so many bytes of changes are held meanwhile. */
const GATHERED_BYTES = 4 * 1024 * 1024;

/** The first store does not answer: nothing is said of the member. */
export class SourceAway extends StrataError {}

/** A member as it is brought up to date. */
export interface CatchUpMember<V> {
  readonly first: FirstStore<V>;
  readonly member: Member<V>;
  readonly life: Call;
  alone<T>(step: () => Promise<T>): Promise<T>;
  apply(writes: readonly Write<V>[]): Awaitable<unknown>;
  /** Where it has intents. */
  readonly intents?: Intents<V>;
  /** For what was not known before it. */
  moment(): number;
  marked(mark: Mark): void;
  /** It has everything up to what was a head after the moment; true when it goes on by its queue. */
  atHead(at: Position, moment: number): boolean;
  /** Goes on without a write that the member refuses. */
  refuse?(refused: RefusedWrite): void;
  readonly wasDeleted?: WasDeleted<V>;
  onCompared(counts: RepairCounts): void;
  onRewound(): void;
}

/**
 * Brings a member to the head of the first store: from its mark on by the feed, or, where that cannot
 * be continued, by a comparison of everything and then the feed.
 * Errors: those of the member; `SourceAway` for those of the first store.
 */
export async function catchUp<V>(target: CatchUpMember<V>): Promise<void> {
  const { first, member } = target;
  const mark = await member.readMark();
  let at = mark?.storeId === first.storeId ? mark.at : undefined;
  if (mark !== undefined) target.marked(mark);
  // Its epoch is another one, or it was forgotten: the feed would refuse to go on.
  if (at !== undefined && !(await goesOn(target, at))) at = undefined;
  let stand: Position = at ?? (await compareAll(target, mark));
  // From here on the journal counts for the member.
  if (at !== undefined && mark?.journal !== member.journalId) await moveMark(target, at);
  for (;;) {
    const moment = target.moment();
    const end: Position | undefined = await follow(target, stand);
    if (stand.epoch !== first.epoch) throw lostData();
    if (end !== undefined) stand = end;
    await sweepIntents(target, stand);
    // What came into doubt meanwhile may be in the first store since.
    if (target.moment() !== moment) continue;
    if (target.atHead(stand, moment)) return;
    if (end === undefined) await headBeyond(target, stand);
  }
}

function lostData(): SourceAway {
  const what = 'replicate: the first store has lost data';
  return new SourceAway('unavailable', what, { operation: 'replicate' });
}

/** What the first store fails with is not held against the member. */
async function ofSource<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message, operation } = asStrataError(error, 'replicate');
    throw new SourceAway(code, message, { operation, cause: error });
  }
}

async function goesOn<V>({ first, life }: CatchUpMember<V>, at: Position): Promise<boolean> {
  try {
    for await (const _ of first.member.pages(life, (call) => first.feed.read(at, call))) break;
    return true;
  } catch (error) {
    if (isStrataError(error, 'cursor-expired')) return false;
    return ofSource(() => Promise.reject(error));
  }
}

async function compareAll<V>(target: CatchUpMember<V>, mark: Mark | undefined): Promise<Position> {
  const { first, member, life, wasDeleted } = target;
  const { head, storeId } = await ofSource(() => first.state());
  if (head.epoch !== first.epoch || storeId !== first.storeId) {
    target.onRewound();
    throw lostData();
  }
  await applyIntendedDeletes(target, mark);
  const counts = await compareMember({
    first,
    member,
    mark,
    life,
    ...(wasDeleted && { wasDeleted }),
    alone: (step) => target.alone(step),
    apply: (writes) => target.apply(writes),
  });
  target.onCompared(counts);
  await moveMark(target, head);
  return head;
}

async function moveMark<V>(target: CatchUpMember<V>, at: Position): Promise<void> {
  await sweepIntents(target, at);
  target.marked(await target.member.writeMark({ storeId: target.first.storeId, at }));
}

/** Applies what comes after a position; gives where that ends, or `undefined` when nothing comes. */
async function follow<V>(target: CatchUpMember<V>, from: Position): Promise<Position | undefined> {
  const { first } = target;
  const gathered = new Gathered<V>(target.member.notePrefix);
  let at = from;
  for (;;) {
    let end: Position | undefined;
    let isApplied = false;
    for await (const page of pagesAfter(target, at)) {
      gathered.add(page.changes);
      end = page.end;
      if (!gathered.isFull) continue;
      await applyKeys(target, gathered.take());
      isApplied = true;
    }
    if (end === undefined) break;
    at = end;
    if (at.epoch !== first.epoch) throw lostData();
    if (isApplied && gathered.size === 0) await moveMark(target, at);
  }
  if (at === from) return undefined;
  const changes = gathered.take().map((change) => toCopy(change, first.history));
  await applyAll(target, changes);
  await moveMark(target, at);
  return at;
}

/** One commit after a position. */
async function* pagesAfter<V>(
  { first, life }: CatchUpMember<V>,
  at: Position,
): AsyncGenerator<FeedPage<V>> {
  const pages = first.member
    .pages(life, (call) => first.feed.read(at, call))
    [Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await ofSource(() => pages.next());
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    await pages.return?.(undefined);
  }
}

/**
 * The newest change of each key up to the head of the first store. The member may have any of them
 * already, so that one commit after the other would take it back in time.
 */
class Gathered<V> {
  readonly #notePrefix: string;
  readonly #changes = new Map<string, Change<V>>();
  #bytes = 0;

  constructor(notePrefix: string) {
    this.#notePrefix = notePrefix;
  }

  get size(): number {
    return this.#changes.size;
  }

  get isFull(): boolean {
    return this.#changes.size >= APPLIED_AT_ONCE || this.#bytes >= GATHERED_BYTES;
  }

  add(changes: readonly Change<V>[]): void {
    for (const change of changes) {
      const { key } = change;
      if (key.startsWith(this.#notePrefix)) continue;
      if (change.type === 'set') this.#bytes += approximateBytes(change.value);
      this.#changes.delete(key);
      this.#changes.set(key, change);
    }
  }

  take(): Change<V>[] {
    const taken = [...this.#changes.values()];
    this.#changes.clear();
    this.#bytes = 0;
    return taken;
  }
}

async function applyAll<V>(target: CatchUpMember<V>, writes: readonly Write<V>[]): Promise<void> {
  for (let at = 0; at < writes.length; at += APPLIED_AT_ONCE) {
    const part = writes.slice(at, at + APPLIED_AT_ONCE);
    await target.alone(() => applyPart(target, part));
  }
}

/** The same before the head was reached: what the first store holds now is not older than what the member has. */
async function applyKeys<V>(
  target: CatchUpMember<V>,
  changes: readonly Change<V>[],
): Promise<void> {
  const keys = changes.map(({ key }) => key);
  for (let at = 0; at < keys.length; at += APPLIED_AT_ONCE) {
    const part = keys.slice(at, at + APPLIED_AT_ONCE);
    await target.alone(async () => applyPart(target, await standing(target, part)));
  }
}

/** The writes that make a member what the first store is now. */
async function standing<V>(
  { first }: CatchUpMember<V>,
  keys: readonly string[],
): Promise<Write<V>[]> {
  return ofSource(async () => {
    const entries = await first.member.ask('replicate', (call) =>
      first.member.primitives.readMany(keys, call),
    );
    // What a store that has just lost its data does not hold was not deleted.
    const { head } = await first.state();
    if (head.epoch !== first.epoch) throw lostData();
    return keys.map((key, at): Write<V> => {
      const entry = entries[at];
      return entry === undefined
        ? { type: 'delete', key }
        : copyOf(entry, entry.value, first.history);
    });
  });
}

const REFUSED = ['invalid-argument', 'unsupported', 'denied'] as const;

async function applyPart<V>(target: CatchUpMember<V>, writes: readonly Write<V>[]): Promise<void> {
  try {
    await target.apply(writes);
  } catch (error) {
    if (target.refuse === undefined || !isStrataError(error, ...REFUSED)) throw error;
    const [only] = writes;
    if (writes.length === 1 && only !== undefined)
      return target.refuse({ key: only.key, cause: error });
    for (const write of writes) await applyPart(target, [write]);
  }
}

/** The first store has made a commit that its feed did not tell yet. */
async function headBeyond<V>({ first, life }: CatchUpMember<V>, at: Position): Promise<void> {
  await ofSource(async () => {
    const call = first.member.call('replicate');
    await call.guard(life.untilEnd(first.feed.wait(at, call)));
  });
}
