import { tiered } from '../../compositions/tiered/index.ts';
import { indexeddb } from '../../drivers/indexeddb/index.ts';
import { memory } from '../../drivers/memory/index.ts';
import type { Store } from '../../store/store.ts';

/** The page's own copy of the served store. */
export interface LocalCopy {
  readonly store: Store<Uint8Array>;
  /** Closes it and removes what it has kept: it was the copy of another store. */
  discard(): Promise<void>;
}

const NAME = 'stratakv-console';
/** So many tabs have a lasting copy. */
const MAX_SLOTS = 16;
const KEPT_AS = 'stratakv.slot';

/**
 * Opens the copy: memory over IndexedDB. A copy follows one subscription, so each tab has a
 * database of its own, and one that a closed tab has left is taken over by the next. Where the
 * browser keeps nothing, memory alone.
 */
export async function openCopy(): Promise<LocalCopy> {
  const slot = await takeSlot();
  const name = slot === undefined ? undefined : `${NAME}-${slot}`;
  if (name === undefined || !(await works(name))) return inMemory();
  return lasting(name);
}

function lasting(name: string): LocalCopy {
  const store = tiered<Uint8Array>({
    front: memory({ zeroCopy: true }),
    // What a loss of power takes away is fetched again.
    back: indexeddb({ name, durability: 'os' }),
    backTimeoutMs: 30_000,
    timeoutMs: 30_000,
  });
  return {
    store,
    discard: async () => {
      await store.close();
      await deleteDatabase(name);
    },
  };
}

function inMemory(): LocalCopy {
  const store = memory<Uint8Array>({ zeroCopy: true });
  return { store, discard: () => store.close() };
}

/** Private windows and full disks refuse. */
async function works(name: string): Promise<boolean> {
  const probe = indexeddb<Uint8Array>({ name, durability: 'os' });
  try {
    await probe.has('probe');
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  } finally {
    await probe.close();
  }
}

/** The number of a database that no other tab has; held until this page goes. */
async function takeSlot(): Promise<string | undefined> {
  if (!('locks' in navigator) || !('indexedDB' in globalThis)) return undefined;
  const before = sessionStorage.getItem(KEPT_AS);
  const slots = Array.from({ length: MAX_SLOTS }, (_, number) => String(number));
  for (const slot of before === null ? slots : [before, ...slots]) {
    if (!(await hold(`${NAME}-${slot}`))) continue;
    sessionStorage.setItem(KEPT_AS, slot);
    return slot;
  }
  return undefined;
}

/** Takes a lock for as long as the page lives; false when another has it. */
function hold(name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (lock) => {
        resolve(lock !== null);
        return lock === null ? undefined : new Promise<void>(() => undefined);
      })
      .catch(reject);
  });
}

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = () => resolve();
    request.onblocked = () => resolve();
    request.onerror = () => reject(request.error ?? new Error('the database was not deleted'));
  });
}
