import { sameValue } from '../../store/clone.ts';
import type { Condition, Entry, EntryHead } from '../../store/entry.ts';
import { StrataError } from '../../store/errors.ts';
import type { CommitOutcome, SetWrite, Write, WriteOutcome } from '../../store/primitives.ts';

/** One key as an overlay stands: the front's entry, else its delete mark, else the back's entry. */
export interface View<V> {
  readonly key: string;
  readonly own: Entry<V> | undefined;
  readonly mark: Entry<V> | undefined;
  /** Asked for where neither of the others is there. */
  readonly beneath: Entry<V> | undefined;
}

export interface OverlayRules<V> {
  readonly nowMs: number;
  markKey(key: string): string;
  markValue(value: V): V;
}

/** What the caller sees of a key. */
interface Seen<V> {
  readonly value: V;
  readonly immutable: boolean;
  /** The entry; absent for one that this batch makes. */
  readonly entry?: EntryHead;
  /** Where in `writes` this batch makes it. */
  readonly at: number;
}

/** A key while its batch is being made. */
interface Touched<V> {
  readonly view: View<V>;
  seen: Seen<V> | undefined;
  /** Whether a write of this batch has reached the front's entry. */
  written: boolean;
  /** Whether a delete mark is to stand after the batch, and what it hides. */
  mark: { readonly hidden: V } | undefined;
}

/**
 * Turns a batch on an overlay into one on its front: conditions on what the caller saw become
 * conditions on the front's own entries and marks, deletes leave marks.
 */
export class OverlayBatch<V> {
  readonly #writes: Write<V>[] = [];
  readonly #operation: string;
  readonly #rules: OverlayRules<V>;
  readonly #keys: Map<string, Touched<V>>;
  /** For each write of the caller: its outcome, or where in `writes` the entry comes from. */
  readonly #outcomes: { readonly outcome: WriteOutcome; readonly at: number }[] = [];

  constructor(operation: string, views: readonly View<V>[], rules: OverlayRules<V>) {
    this.#operation = operation;
    this.#rules = rules;
    this.#keys = new Map(views.map((view) => [view.key, touch(view)]));
  }

  /** Adds the next write. Errors: `conflict` for a condition that fails, or another value for an immutable entry. */
  add(write: Write<V>): void {
    const touched = this.#keys.get(write.key) as Touched<V>;
    const { seen } = touched;
    this.#check(write, seen);
    const outcome: WriteOutcome = { existed: seen !== undefined };
    if (write.type === 'delete') {
      this.#outcomes.push({ outcome, at: -1 });
      if (seen !== undefined) this.#delete(touched, seen);
    } else if (seen?.immutable === true && write.origin === undefined) {
      // The value that stands, again.
      const entry = seen.entry === undefined ? {} : { entry: seen.entry };
      this.#outcomes.push({ outcome: { ...outcome, ...entry }, at: seen.at });
    } else {
      this.#outcomes.push({ outcome, at: this.#writes.length });
      this.#set(write, touched);
    }
  }

  /** What the front is to do: the writes, then the marks, each key's once. */
  finish(): readonly Write<V>[] {
    for (const touched of this.#keys.values()) if (touched.written) this.#pushMark(touched);
    return this.#writes;
  }

  #set(write: SetWrite<V>, touched: Touched<V>): void {
    const { value, expiresAt, immutable } = write;
    const at = this.#writes.length;
    const { if: _checked, ...plain } = write;
    this.#push(plain, touched);
    // Where an own entry ends, the back's must not come to light.
    touched.mark = expiresAt === undefined ? undefined : { hidden: value };
    const ended = expiresAt !== undefined && expiresAt <= this.#rules.nowMs;
    touched.seen = ended ? undefined : { value, immutable: immutable === true, at };
  }

  #delete(touched: Touched<V>, seen: Seen<V>): void {
    const { key, own, mark, beneath } = touched.view;
    this.#push({ type: 'delete', key }, touched);
    // What this batch alone has made leaves nothing to hide: a new mark would be a commit without a change.
    const bare = own === undefined && beneath === undefined && mark === undefined;
    touched.mark = bare ? undefined : { hidden: seen.value };
    touched.seen = undefined;
  }

  /** The outcome of the caller's batch, from that of the front's. */
  outcome(done: CommitOutcome): CommitOutcome {
    const outcomes = this.#outcomes.map(({ outcome, at }) => {
      const entry = done.outcomes[at]?.entry;
      return entry === undefined ? outcome : { ...outcome, entry };
    });
    return { ...(done.rev !== undefined && { rev: done.rev }), outcomes };
  }

  /** The first write of a key holds only if the front is still as it was seen. */
  #push(write: Write<V>, touched: Touched<V>): void {
    const { view, written } = touched;
    this.#writes.push(written ? write : { ...write, if: unchanged(view.own) });
    touched.written = true;
  }

  #pushMark({ mark, view }: Touched<V>): void {
    // A mark that stands goes only with a write of the front's entry, whose condition notices that.
    if (mark !== undefined && view.mark !== undefined) return;
    const key = this.#rules.markKey(view.key);
    this.#writes.push(
      mark === undefined
        ? { type: 'delete', key, if: unchanged(view.mark) }
        : { type: 'set', key, value: this.#rules.markValue(mark.hidden), if: 'absent' },
    );
  }

  #check(write: Write<V>, seen: Seen<V> | undefined): void {
    const { key } = write;
    const version = seen?.entry?.version;
    if (write.if === 'absent' && seen !== undefined)
      throw this.#conflict(key, 'exists, and the write wants it absent', version);
    if (typeof write.if === 'object' && !isVersion(seen?.entry, write.if.version)) {
      const found = seen === undefined ? 'does not exist' : `has the version ${version}`;
      throw this.#conflict(key, `${found}, and the write wants ${write.if.version}`, version);
    }
    if (write.type === 'delete' || seen?.immutable !== true || write.origin !== undefined) return;
    if (write.immutable !== true || !sameValue(seen.value, write.value))
      throw this.#conflict(key, 'is immutable and holds another value', version);
  }

  #conflict(key: string, why: string, version: string | undefined): StrataError {
    const operation = this.#operation;
    return new StrataError('conflict', `${operation}: ${JSON.stringify(key)} ${why}`, {
      operation,
      key,
      details: { version },
    });
  }
}

function touch<V>(view: View<V>): Touched<V> {
  const entry = view.own ?? view.beneath;
  if (entry === undefined) return { view, seen: undefined, written: false, mark: undefined };
  const { value, ...head } = entry;
  const seen = { value, immutable: head.immutable === true, entry: head, at: -1 };
  return { view, seen, written: false, mark: undefined };
}

/** A copy answers to the version of its source too: it may have been read there. */
function isVersion(entry: EntryHead | undefined, version: string): boolean {
  return entry !== undefined && (entry.version === version || entry.origin?.version === version);
}

function unchanged<V>(entry: Entry<V> | undefined): Condition {
  return entry === undefined ? 'absent' : { version: entry.version };
}
