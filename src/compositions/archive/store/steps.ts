/** The steps of the protocol in a hot store, each on what a ledger shows. */
import { type ColdObject, DELETED } from '../cold-objects.ts';
import type { Named } from '../hot-key.ts';
import type { FailCause, KeptReason, Mark, Presence, Restored, Taken } from '../hot-side.ts';
import type { StoredMark } from './layout.ts';
import type { Ledger } from './ledger.ts';
import { digestOf, encodePayload, openPayload } from './payload.ts';

export const textOf = ({ bytes }: Named): string => bytes.toString();

/** Marks what exists; gives what does not. */
export function markExisting(ledger: Ledger, keys: readonly Named[]): readonly Named[] {
  return keys.filter((key) => {
    const text = textOf(key);
    if (ledger.entryOf(text) === undefined) return true;
    ledger.mark(text);
    ledger.dropRecord(text);
    return false;
  });
}

/** Takes marks, with what the hot store has; only those that are due where that is asked for. */
export async function take(
  ledger: Ledger,
  keys: readonly Named[],
  options: { readonly leaseMs: number; readonly mostBytes: number; readonly onlyDue: boolean },
): Promise<readonly Taken[]> {
  const taken: Taken[] = [];
  let bytes = 0;
  for (const key of keys) {
    const text = textOf(key);
    const standing = ledger.markOf(text);
    if (standing === undefined || (options.onlyDue && standing.dueAt > ledger.nowMs)) continue;
    if (bytes > options.mostBytes) break;
    const { generation, tries } = lease(ledger, text, options.leaseMs);
    const object = await objectOf(ledger, text, generation);
    bytes += object.payload.length;
    const isValue = object.type !== DELETED;
    const away = ledger.evictedAs(text) === undefined ? 'absent' : 'evicted';
    if (isValue) ledger.dropRecord(text);
    taken.push({ key, generation, tries, state: isValue ? 'value' : away, object });
  }
  return taken;
}

export async function objectOf(
  ledger: Ledger,
  key: string,
  generation: number,
): Promise<ColdObject> {
  const entry = ledger.entryOf(key);
  if (entry === undefined)
    return { type: DELETED, generation, expiresAt: 0, digest: '', payload: new Uint8Array(0) };
  const payload = encodePayload(entry);
  const digest = await digestOf(payload);
  return { type: 'entry', generation, expiresAt: entry.expiresAt ?? 0, digest, payload };
}

/** Marks a key under a lease: whoever took it before is not responsible for it any more. */
function lease(ledger: Ledger, key: string, leaseMs: number): StoredMark {
  const standing = ledger.mark(key);
  const { generation } = standing;
  const taken = { ...standing, takenAs: generation, dueAt: ledger.nowMs + leaseMs };
  ledger.keep(key, taken, standing);
  return taken;
}

/** Changes when a mark is due. */
function defer(ledger: Ledger, key: string, dueAt: number): void {
  const standing = ledger.markOf(key);
  if (standing !== undefined) ledger.keep(key, { ...standing, dueAt }, standing);
}

/** The mark, if nobody took it since; and whether it is still as it was taken. */
function takenAs(
  ledger: Ledger,
  { key, generation }: Mark,
): { readonly standing: StoredMark | undefined; readonly isCurrent: boolean } {
  const standing = ledger.markOf(textOf(key));
  if (standing?.takenAs !== generation) return { standing: undefined, isCurrent: false };
  return { standing, isCurrent: standing.generation === generation };
}

export function settle(ledger: Ledger, mark: Mark, delayMs: number, sinceMs: number): boolean {
  const key = textOf(mark.key);
  const { standing, isCurrent } = takenAs(ledger, mark);
  if (isCurrent) {
    ledger.unmark(key);
    return true;
  }
  if (standing === undefined) return false;
  const markedAt = Math.max(standing.markedAt, ledger.nowMs - sinceMs);
  const dueAt = Math.min(standing.dueAt, ledger.nowMs + delayMs);
  ledger.keep(key, { ...standing, markedAt, dueAt, tries: 0, code: '', message: '' }, standing);
  return false;
}

export function fail(ledger: Ledger, mark: Mark, delayMs: number, cause: FailCause): void {
  const key = textOf(mark.key);
  const { standing, isCurrent } = takenAs(ledger, mark);
  if (standing === undefined) return;
  const laterMs = ledger.nowMs + delayMs;
  // Marked again meanwhile: no later than it would be.
  const dueAt = isCurrent ? laterMs : Math.min(laterMs, standing.dueAt);
  const { code, message } = cause;
  ledger.keep(key, { ...standing, dueAt, tries: standing.tries + 1, code, message }, standing);
}

export function raise(ledger: Ledger, mark: Mark, generation: number): void {
  // Whoever marked the key meanwhile did it by the clock that went back, too.
  ledger.raiseClock(generation);
  if (takenAs(ledger, mark).standing !== undefined) defer(ledger, textOf(mark.key), ledger.nowMs);
}

/** Gives how many of the keys there were. */
export function forget(ledger: Ledger, keys: readonly Named[]): number {
  let known = 0;
  for (const key of keys.map(textOf)) {
    ledger.mark(key);
    const isHot = ledger.entryOf(key) !== undefined;
    if (isHot) ledger.removeUser(key);
    const isEvicted = ledger.dropRecord(key);
    ledger.forgetUse(key);
    if (isHot || isEvicted) known++;
  }
  return known;
}

export function beginEvict(
  ledger: Ledger,
  key: Named,
  idleMs: number,
  leaseMs: number,
): Mark | KeptReason | 'evicted' {
  const text = textOf(key);
  if (ledger.markOf(text) !== undefined) return 'dirty';
  if (ledger.entryOf(text) === undefined)
    return ledger.evictedAs(text) === undefined ? 'absent' : 'evicted';
  if (ledger.idleMs(text) < idleMs) return 'in-use';
  return { key, generation: lease(ledger, text, leaseMs).generation };
}

export async function evict(
  ledger: Ledger,
  mark: Mark,
  idleMs: number,
  object: Pick<ColdObject, 'generation' | 'digest' | 'expiresAt'>,
): Promise<'evicted' | KeptReason> {
  const key = textOf(mark.key);
  const { standing, isCurrent } = takenAs(ledger, mark);
  if (!isCurrent) {
    if (standing !== undefined && standing.dueAt > ledger.nowMs) defer(ledger, key, ledger.nowMs);
    return 'dirty';
  }
  const now = await objectOf(ledger, key, mark.generation);
  if (now.digest === '' || now.digest !== object.digest || now.expiresAt !== object.expiresAt) {
    defer(ledger, key, ledger.nowMs);
    return now.type === DELETED ? 'absent' : 'dirty';
  }
  if (ledger.idleMs(key) < idleMs) {
    ledger.unmark(key);
    return 'in-use';
  }
  ledger.keepRecord(key, object.generation);
  ledger.removeUser(key);
  ledger.forgetUse(key);
  ledger.unmark(key);
  return 'evicted';
}

export async function restore(
  ledger: Ledger,
  key: Named,
  generation: number,
  object: Pick<ColdObject, 'expiresAt' | 'payload' | 'digest'>,
  operation: string,
): Promise<Restored> {
  const { expiresAt } = object;
  const text = textOf(key);
  const recorded = ledger.evictedAs(text);
  if (ledger.entryOf(text) !== undefined) {
    if (recorded !== undefined) ledger.mark(text);
    ledger.dropRecord(text);
    return 'present';
  }
  if (recorded === undefined) return 'deleted';
  if (recorded !== generation) return 'moved';
  if (expiresAt > 0 && expiresAt <= ledger.nowMs) {
    ledger.mark(text);
    ledger.dropRecord(text);
    return 'deleted';
  }
  const entry = await openPayload(operation, text, object);
  ledger.restoreUser(text, expiresAt > 0 ? { ...entry, expiresAt } : entry);
  ledger.use(text);
  ledger.dropRecord(text);
  return 'restored';
}

/** Where keys are; notes that they were used, where the last note is older than so many ms. */
export function presence(
  ledger: Ledger,
  keys: readonly Named[],
  noteEveryMs: number,
): readonly Presence[] {
  return keys.map(textOf).map((key) => {
    const recorded = ledger.evictedAs(key);
    if (ledger.entryOf(key) === undefined) return recorded ?? 'absent';
    if (recorded !== undefined) {
      ledger.mark(key);
      ledger.dropRecord(key);
    }
    if (ledger.idleMs(key) >= noteEveryMs) ledger.use(key);
    return 'hot';
  });
}
