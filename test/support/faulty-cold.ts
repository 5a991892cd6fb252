import { memory } from '../../src/drivers/memory/index.ts';
import { defineStore } from '../../src/store/define-store.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { Store } from '../../src/store/store.ts';
import { type FaultPlan, faulty } from '../../src/testing/index.ts';

/** The cold store of an archive, which fails as planned; but not where it says whose it is, which is read once and before anything else. */
export function faultyCold(
  plan: FaultPlan,
  store: Store<Uint8Array> = memory<Uint8Array>(),
): Store<Uint8Array> {
  const good = primitivesOf(store, 'cold');
  const bad = primitivesOf(faulty(store, plan), 'cold');
  const isNote = (key = ''): boolean => /^[^/]+\/id$/.test(key);
  return defineStore({
    shape: bad.shape,
    capabilities: bad.capabilities,
    env: bad.env,
    readOne: (key, call) => (isNote(key) ? good : bad).readOne(key, call),
    readMany: (keys, call) => bad.readMany(keys, call),
    scan: (range, call) => bad.scan(range, call),
    scanKeys: (range, call) => bad.scanKeys(range, call),
    commit: (writes, call) => (isNote(writes[0]?.key) ? good : bad).commit(writes, call),
    close: () => bad.close(),
  });
}
