import { type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Session } from './session.ts';
import type { SourceEntry } from './source-entry.ts';

/** A key with its entry; without one it does not exist (any more). */
export interface LookedUp {
  readonly key: string;
  readonly entry?: SourceEntry;
  readonly problem?: string;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/** The entry of a key, read again whenever it changes or ends. */
export function useEntry(session: Session, key: string): Signal<LookedUp | undefined> {
  const found = useSignal<LookedUp | undefined>(undefined);
  useEffect(() => {
    let asked = 0;
    let over = false;
    let expiry: ReturnType<typeof setTimeout> | undefined;
    const read = async (): Promise<void> => {
      const mine = ++asked;
      const looked = await lookUp(session, key);
      if (over || mine !== asked) return;
      found.value = looked;
      clearTimeout(expiry);
      const { expiresAt } = looked.entry ?? {};
      if (expiresAt !== undefined)
        expiry = setTimeout(read, Math.min(MAX_TIMER_MS, Math.max(0, expiresAt - Date.now()) + 1));
    };
    void read();
    const leave = session.onChanges((changed) => {
      if (changed.has(key)) void read();
    });
    return () => {
      over = true;
      clearTimeout(expiry);
      leave();
    };
  }, [session, key]);
  return found;
}

async function lookUp(session: Session, key: string): Promise<LookedUp> {
  try {
    const entry = await session.entry(key);
    return entry === undefined ? { key } : { key, entry };
  } catch (error) {
    return { key, problem: error instanceof Error ? error.message : String(error) };
  }
}
