import type { Call } from '../store/call.ts';
import type { Entry } from '../store/entry.ts';
import { isStrataError } from '../store/errors.ts';
import type { PageView, Write } from '../store/primitives.ts';
import {
  type Applied,
  copiedRange,
  type Group,
  type GroupOrigin,
  type Intended,
  isCopy,
  isSame,
  lastWrites,
  noteOrigins,
} from './apply-group.ts';
import { type CursorRecord, recordWrite, type StoredRecord } from './cursor-record.ts';
import type { GroupStage } from './group-stage.ts';
import type { AnySide } from './sides.ts';

/**
 * Moves a staged group to where readers look, in one commit together with the cursor, over the
 * cursor known. Values are in memory one block at a time; keys all at once.
 */
export async function commitStaged(
  local: AnySide,
  prefix: string,
  group: Group,
  origin: GroupOrigin,
  over: StoredRecord | undefined,
  stage: GroupStage,
  intended: Intended,
  call: Call,
): Promise<Applied> {
  let flip = new Flip(local, prefix, group, origin, over, stage);
  const done = local.primitives.commitPages?.(async function* (view) {
    // It may be begun again.
    flip = new Flip(local, prefix, group, origin, over, stage);
    yield* flip.pages(view);
    // From here on it may be done, whatever is said of it.
    intended.changedKeys = flip.changedKeys;
  }, call);
  const { outcomes } = (await (done && call.guard(done))) ?? { outcomes: [] };
  const version = outcomes[0]?.entry?.version ?? '';
  return { record: { record: flip.record, version }, changes: [], changedKeys: flip.changedKeys };
}

/**
 * The keys of a staged group that another tab has brought in. Where that one has removed the parts,
 * all that the copy has, for a snapshot; `undefined` for any other, of which nobody can tell any more.
 */
export async function keysOfOther(
  local: AnySide,
  prefix: string,
  { fresh }: Group,
  stage: GroupStage,
  record: CursorRecord,
  call: Call,
): Promise<ReadonlySet<string> | undefined> {
  const keys = new Set<string>();
  const look = async (wanted: readonly string[]) => local.primitives.readMany(wanted, call);
  try {
    for (let block = 0; block < stage.count; block++)
      for (const { key } of await stage.read(block, look)) keys.add(key);
    return keys;
  } catch (error) {
    if (!isStrataError(error, 'data-missing')) throw error;
  }
  if (!fresh) return undefined;
  for await (const page of local.primitives.scan(copiedRange(prefix), call))
    for (const entry of page) if (isCopy(entry, record)) keys.add(entry.key);
  return keys;
}

class Flip {
  readonly changedKeys: Set<string> = new Set();
  readonly #local: AnySide;
  readonly #prefix: string;
  readonly #group: Group;
  readonly #origin: GroupOrigin;
  readonly #over: StoredRecord | undefined;
  readonly #stage: GroupStage;
  readonly #origins: Set<string>;
  /** Keys that a snapshot names. */
  readonly #named: Set<string> = new Set();

  constructor(
    local: AnySide,
    prefix: string,
    group: Group,
    origin: GroupOrigin,
    over: StoredRecord | undefined,
    stage: GroupStage,
  ) {
    this.#local = local;
    this.#prefix = prefix;
    this.#group = group;
    this.#origin = origin;
    this.#over = over;
    this.#stage = stage;
    this.#origins = new Set([origin.sourceId, ...(over?.record.origins ?? [])]);
  }

  get record(): CursorRecord {
    const { sourceId, scope } = this.#origin;
    return { sourceId, scope, at: this.#group.to, origins: [...this.#origins] };
  }

  async *pages(view: PageView<unknown>): AsyncGenerator<readonly Write<unknown>[]> {
    // First, so that whoever has lost the cursor to another tab hears of it at once.
    yield [recordWrite(this.#local, this.#prefix, this.record, this.#over)];
    const isNew = this.#group.fresh && (await this.#isEmpty(view));
    const read = (block: number): Promise<readonly Write<unknown>[]> =>
      this.#stage.read(block, (keys) => view.readMany(keys));
    let next = read(0);
    for (let block = 0; block < this.#stage.count; block++) {
      const writes = lastWrites(await next);
      // Asked for before this one is written, so that neither waits for the other.
      if (block + 1 < this.#stage.count) next = read(block + 1);
      // Whoever gives up in between does not wait for it.
      next.catch(() => undefined);
      noteOrigins(this.#local, writes, this.#origins, this.#origin.ownId);
      yield await this.#changes(writes, view, isNew);
    }
    if (this.#group.fresh && !isNew) yield* this.#removeGone(view);
    // Again, with all origins that came.
    const { if: _, ...record } = recordWrite(this.#local, this.#prefix, this.record, undefined);
    yield [record];
  }

  async #isEmpty(view: PageView<unknown>): Promise<boolean> {
    for await (const page of view.scan({ ...copiedRange(this.#prefix), limit: 1 }))
      if (page.length > 0) return false;
    return true;
  }

  async #changes(
    writes: readonly Write<unknown>[],
    view: PageView<unknown>,
    isNew: boolean,
  ): Promise<Write<unknown>[]> {
    const { fresh } = this.#group;
    const found = new Map<string, Entry<unknown>>();
    if ((fresh && !isNew) || writes.some(({ type }) => type === 'delete'))
      for (const entry of await view.readMany(writes.map(({ key }) => key)))
        if (entry !== undefined) found.set(entry.key, entry);
    const { record } = this;
    const changes = writes.filter((write) => {
      const entry = found.get(write.key);
      if (fresh && !isNew) this.#named.add(write.key);
      if (write.type === 'delete') return isCopy(entry, record);
      return !fresh || entry === undefined || !isSame(write, entry);
    });
    this.#note(changes);
    return changes;
  }

  #note(changes: readonly Write<unknown>[]): void {
    for (const { key } of changes) {
      this.changedKeys.delete(key);
      this.changedKeys.add(key);
    }
  }

  async *#removeGone(view: PageView<unknown>): AsyncGenerator<readonly Write<unknown>[]> {
    const { record } = this;
    for await (const page of view.scan(copiedRange(this.#prefix))) {
      const gone = page
        .filter((entry) => isCopy(entry, record) && !this.#named.has(entry.key))
        .map(({ key }) => ({ type: 'delete' as const, key }));
      this.#note(gone);
      if (gone.length > 0) yield gone;
    }
  }
}
