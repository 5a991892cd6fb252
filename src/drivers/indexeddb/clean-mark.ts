import type { Env } from '../../store/env.ts';
import { randomId } from '../../store/version.ts';
import { abandon, completion, resultOf } from './requests.ts';
import { EPOCHS_KEY, type EpochStart, META, readState, STATE_KEY, type State } from './schema.ts';

/*
 * With relaxed durability a loss of power may undo the last commits, and with them history. So the
 * first commit after a quiet time is made strictly and sets the mark `unsettled`; once it is quiet
 * again, a strict transaction, which makes everything before it durable as well, takes the mark
 * off. Who opens a store that is marked, while no tab that could have left the mark is alive, finds
 * a history that may have been rewound, and begins a new epoch.
 *
 * Tabs that write so hold a shared lock as long as they are open: browsers release it when a tab
 * ends in whatever way. Without locks (an insecure page) a marked store always counts as rewound.
 */

type Release = () => void;

const nothing: Release = () => {};

/** Runs `work` while holding a lock; passes `undefined` when it is taken and `ifAvailable` was asked. */
async function withLock<T>(
  name: string,
  options: LockOptions,
  work: (lock: Lock | null) => Promise<T>,
): Promise<T> {
  return navigator.locks.request(name, options, work) as Promise<T>;
}

/** Takes a shared lock, held until the result is called. */
function hold(name: string): Promise<Release> {
  return new Promise((resolve, reject) => {
    withLock(
      name,
      { mode: 'shared' },
      () => new Promise<void>((release) => resolve(release)),
    ).catch(reject);
  });
}

/**
 * Opens a store safely: begins a new epoch when the last one may have been rewound. With `relaxed`
 * it also enters the circle of those who may leave the mark, and gives what leaves it again.
 */
export async function enter(db: IDBDatabase, env: Env, relaxed: boolean): Promise<Release> {
  const marked = (await readState(db.transaction(META))).unsettled === true;
  if (!marked && !relaxed) return nothing;
  if (typeof navigator === 'undefined' || navigator.locks === undefined) {
    if (marked) await renewEpoch(db, env);
    return nothing;
  }
  const using = `stratakv:${db.name}:using`;
  // One at a time, so that nobody sees a mark that another is still judging.
  return withLock(`stratakv:${db.name}:entering`, {}, async () => {
    await withLock(using, { ifAvailable: true }, async (alone) => {
      if (alone !== null) await renewEpoch(db, env);
    });
    return relaxed ? hold(using) : nothing;
  });
}

/** Begins a new epoch after the head, if the store is still marked. */
async function renewEpoch(db: IDBDatabase, env: Env): Promise<void> {
  await changeState(db, async (state, tx) => {
    if (state.unsettled !== true) return undefined;
    const { unsettled: _, ...settled } = state;
    const epoch = randomId(env);
    const meta = tx.objectStore(META);
    const epochs = await resultOf(meta.get(EPOCHS_KEY) as IDBRequest<EpochStart[]>);
    meta.put([...epochs, { rev: state.rev + 1, epoch }], EPOCHS_KEY);
    return { ...settled, epoch };
  });
}

/** Makes every commit so far durable and takes the mark off. */
export async function settle(db: IDBDatabase): Promise<void> {
  await changeState(db, async ({ unsettled, ...state }) => (unsettled ? state : undefined));
}

async function changeState(
  db: IDBDatabase,
  change: (state: State, tx: IDBTransaction) => Promise<State | undefined>,
): Promise<void> {
  const tx = db.transaction(META, 'readwrite', { durability: 'strict' });
  const over = completion(tx);
  try {
    const changed = await change(await readState(tx), tx);
    if (changed !== undefined) tx.objectStore(META).put(changed, STATE_KEY);
    tx.commit();
  } catch (error) {
    await abandon(tx, over);
    throw error;
  }
  await over;
}
