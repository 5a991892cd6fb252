import { sideBySide } from '../../../kernel/side-by-side.ts';
import type { ColdObject } from '../cold-objects.ts';
import type { Claimed, Compared, Confirmed, HotAudit, Inspected } from '../hot-audit.ts';
import { type Named, namedBytes } from '../hot-key.ts';
import { RedisAudit, type Scan } from '../redis-audit.ts';
import type { ScriptRunner } from '../redis-connection.ts';
import { slotOf } from './hash-slots.ts';

/** The steps of an audit for the keys of a Redis Cluster: each on keys of one slot. */
export class ClusterAudit implements HotAudit {
  readonly #scripts: (slot: number) => ScriptRunner;
  readonly #scan: Scan;

  constructor(scripts: (slot: number) => ScriptRunner, scan: Scan) {
    this.#scripts = scripts;
    this.#scan = scan;
  }

  inspect(operation: string, keys: readonly Named[]): Promise<readonly Inspected[]> {
    return this.#inSlots(keys, (audit, part) => audit.inspect(operation, part));
  }

  compare(operation: string, key: Named, object: ColdObject): Promise<Compared> {
    return this.#of(slotOf(key.bytes)).compare(operation, key, object);
  }

  isSound(object: ColdObject): Promise<boolean> {
    return this.#of(0).isSound(object);
  }

  async *keys(operation: string): AsyncGenerator<readonly Named[]> {
    for await (const keys of this.#scan(operation)) yield keys.map(namedBytes);
  }

  claim(operation: string, keys: readonly Named[]): Promise<readonly Claimed[]> {
    return this.#inSlots(keys, (audit, part) => audit.claim(operation, part));
  }

  confirm(
    operation: string,
    key: Named,
    object: Pick<ColdObject, 'generation' | 'expiresAt'>,
  ): Promise<Confirmed> {
    return this.#of(slotOf(key.bytes)).confirm(operation, key, object);
  }

  /** A result for each key, in their order. */
  async #inSlots<R>(
    keys: readonly Named[],
    step: (audit: RedisAudit, part: readonly Named[]) => Promise<readonly R[]>,
  ): Promise<R[]> {
    const results = new Map<Named, R>();
    const parts = Map.groupBy(keys, ({ bytes }) => slotOf(bytes));
    await sideBySide([...parts], async ([slot, part]) => {
      const found = await step(this.#of(slot), part);
      for (const [at, key] of part.entries()) results.set(key, found[at] as R);
    });
    return keys.map((key) => results.get(key) as R);
  }

  #of(slot: number): RedisAudit {
    return new RedisAudit(this.#scripts(slot), this.#scan);
  }
}
