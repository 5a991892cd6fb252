import type { ColdObject } from '../cold-objects.ts';
import type { Claimed, Compared, Confirmed, HotAudit, Inspected } from '../hot-audit.ts';
import type { Named } from '../hot-key.ts';
import type { Ledger } from './ledger.ts';
import { isSound } from './payload.ts';
import { objectOf, textOf } from './steps.ts';

/** How a hot store takes steps on keys, and gives all of them. */
export interface StoreAccess {
  take<R>(
    operation: string,
    keys: readonly Named[],
    act: (ledger: Ledger) => R | Promise<R>,
  ): Promise<R>;
  keys(operation: string): AsyncIterable<readonly Named[]>;
}

/** The steps of an audit for the keys of a store. */
export class StoreAudit implements HotAudit {
  readonly #store: StoreAccess;

  constructor(store: StoreAccess) {
    this.#store = store;
  }

  inspect(operation: string, keys: readonly Named[]): Promise<readonly Inspected[]> {
    return this.#store.take(operation, keys, (ledger) =>
      Promise.all(keys.map((key) => inspected(ledger, key))),
    );
  }

  async compare(operation: string, key: Named, object: ColdObject): Promise<Compared> {
    const [now] = await this.inspect(operation, [key]);
    if (now?.digest === undefined) return 'away';
    const isSame = now.digest === object.digest && now.expiresAt === object.expiresAt;
    return isSame ? 'same' : 'different';
  }

  isSound(object: ColdObject): Promise<boolean> {
    return isSound(object);
  }

  keys(operation: string): AsyncIterable<readonly Named[]> {
    return this.#store.keys(operation);
  }

  claim(operation: string, keys: readonly Named[]): Promise<readonly Claimed[]> {
    return this.#store.take(operation, keys, (ledger) =>
      keys.map(textOf).map((key): Claimed => {
        if (ledger.entryOf(key) !== undefined) return 'hot';
        if (ledger.markOf(key) !== undefined) return 'marked';
        if ((ledger.evictedAs(key) ?? 0) > 0) return 'evicted';
        ledger.keepRecord(key, 0);
        return 'claimed';
      }),
    );
  }

  confirm(
    operation: string,
    key: Named,
    { generation, expiresAt }: Pick<ColdObject, 'generation' | 'expiresAt'>,
  ): Promise<Confirmed> {
    return this.#store.take(operation, [key], (ledger) => {
      const text = textOf(key);
      ledger.raiseClock(generation);
      if (ledger.evictedAs(text) !== 0) return 'moved';
      if (ledger.entryOf(text) !== undefined) {
        // Written since, which must not leave the record of what was before.
        ledger.mark(text);
        ledger.dropRecord(text);
        return 'moved';
      }
      if (expiresAt > 0 && expiresAt <= ledger.nowMs) {
        ledger.dropRecord(text);
        return 'gone';
      }
      ledger.keepRecord(text, generation);
      return 'recorded';
    });
  }
}

async function inspected(ledger: Ledger, key: Named): Promise<Inspected> {
  const text = textOf(key);
  const evictedAs = ledger.evictedAs(text);
  const isHot = ledger.entryOf(text) !== undefined;
  const isMarked = ledger.markOf(text) !== undefined;
  const state = { key, isHot, isMarked, ...(evictedAs !== undefined && { evictedAs }) };
  if (!isHot || isMarked) return state;
  const { digest, expiresAt } = await objectOf(ledger, text, 0);
  return { ...state, digest, expiresAt };
}
