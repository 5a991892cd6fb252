import type { Env } from '../../../store/env.ts';
import type { ColdObject } from '../cold-objects.ts';
import type { HotAudit } from '../hot-audit.ts';
import { type KeyBounds, type Named, namedBytes } from '../hot-key.ts';
import type {
  FailCause,
  FailedKey,
  HotSide,
  HotStats,
  KeptReason,
  Mark,
  Presence,
  Restored,
  Taken,
  TakeOptions,
} from '../hot-side.ts';
import type { ValueForm } from '../logical/taken.ts';
import { RedisIdentity } from '../redis-identity.ts';
import { RedisSteps, scanned } from '../redis-side.ts';
import { ClusterAudit } from './cluster-audit.ts';
import type { ClusterConnection } from './cluster-connection.ts';
import { SLOTS, slotOf } from './hash-slots.ts';
import { SlotList } from './slot-list.ts';
import { SlotRounds, WAVE_SLOTS } from './slot-rounds.ts';
import { SlotScripts } from './slot-scripts.ts';

/**
 * The keys of a Redis Cluster. What the archive keeps of a key is in the slot of that key, and moves
 * along with it: each step is a script on keys of one slot.
 */
export class ClusterSide implements HotSide {
  readonly title = 'Redis';
  readonly env: Env;
  readonly namespace: string;
  readonly prefix: string;
  readonly #connection: ClusterConnection;
  readonly #form: ValueForm;
  readonly #list: SlotList;
  readonly #rounds: SlotRounds;
  readonly #identity: RedisIdentity;
  readonly #identitySlot: number;
  readonly audit: HotAudit;

  constructor(connection: ClusterConnection, { namespace, prefix }: KeyBounds, form: ValueForm) {
    this.env = connection.env;
    this.namespace = namespace;
    this.prefix = prefix;
    this.#connection = connection;
    this.#form = form;
    // A name with a tag, by which other archives of the cluster tell it.
    const key = `${namespace}:{id}:id`;
    this.#identity = new RedisIdentity(this.env, [key]);
    this.#identitySlot = slotOf(Buffer.from(key));
    this.#list = new SlotList(connection, namespace);
    this.#rounds = new SlotRounds(this.env, this.#list, (slot) => this.#scripts(slot));
    this.audit = new ClusterAudit(
      (slot) => this.#scripts(slot),
      (operation) => this.#scanned(operation),
    );
  }

  identity(operation: string, names: boolean): Promise<string | undefined> {
    const slot = this.#identitySlot;
    return this.#identity.ask(names, (words) =>
      this.#connection.send(operation, slot, () => words),
    );
  }

  async mark(operation: string, keys: readonly Named[]): Promise<readonly Named[]> {
    const parts = await this.#inSlots(keys, (steps, part) => steps.mark(operation, part));
    const missing = new Set(parts.flat());
    return keys.filter((key) => missing.has(key));
  }

  async take(operation: string, options: TakeOptions): Promise<readonly Taken[]> {
    const { only, mostKeys, mostBytes } = options;
    if (only !== undefined) {
      const parts = await this.#inSlots(only, (steps, part) =>
        steps.take(operation, { ...options, only: part }),
      );
      return parts.flat();
    }
    for (;;) {
      const due = await this.#rounds.next(operation, mostKeys);
      if (due.length === 0) return [];
      const shared = { ...options, mostBytes: mostBytes / due.length };
      const parts = await all(
        due.map(({ slot, keys }) =>
          this.#steps(slot).takeDue(operation, { ...shared, only: keys.map(namedBytes) }),
        ),
      );
      const taken = parts.flat();
      // Others may have taken what was found.
      if (taken.length > 0) return taken;
    }
  }

  settle(operation: string, mark: Mark, delayMs: number, sinceMs: number): Promise<boolean> {
    return this.#of(mark.key).settle(operation, mark, delayMs, sinceMs);
  }

  fail(operation: string, mark: Mark, delayMs: number, cause: FailCause): Promise<void> {
    return this.#of(mark.key).fail(operation, mark, delayMs, cause);
  }

  async failed(operation: string, most: number): Promise<readonly FailedKey[]> {
    let failed: FailedKey[] = [];
    for await (const parts of this.#waves(await this.#list.all(operation), (steps) =>
      steps.failed(operation, most),
    ))
      failed = [...failed, ...parts.flat()]
        .sort((a, b) => a.nextTryAt - b.nextTryAt)
        .slice(0, most);
    return failed;
  }

  async turn(operation: string, name: string, ms: number): Promise<boolean> {
    const key = Buffer.from(`${this.namespace}:turn:${name}`);
    const words = ['SET', key, '1', 'NX', 'PX', String(Math.ceil(ms))];
    return (await this.#connection.send(operation, slotOf(key), () => words)) !== null;
  }

  raise(operation: string, mark: Mark, generation: number): Promise<void> {
    return this.#of(mark.key).raise(operation, mark, generation);
  }

  async forget(operation: string, keys: readonly Named[]): Promise<number> {
    const known = await this.#inSlots(keys, (steps, part) => steps.forget(operation, part));
    return sum(known);
  }

  beginEvict(
    operation: string,
    key: Named,
    idleMs: number,
    leaseMs: number,
  ): Promise<Mark | KeptReason | 'evicted'> {
    return this.#of(key).beginEvict(operation, key, idleMs, leaseMs);
  }

  evict(
    operation: string,
    mark: Mark,
    idleMs: number,
    object: Pick<ColdObject, 'generation' | 'digest' | 'expiresAt'>,
  ): Promise<'evicted' | KeptReason> {
    return this.#of(mark.key).evict(operation, mark, idleMs, object);
  }

  restore(
    operation: string,
    key: Named,
    generation: number,
    object: Pick<ColdObject, 'expiresAt' | 'payload' | 'logical'>,
  ): Promise<Restored> {
    return this.#of(key).restore(operation, key, generation, object);
  }

  async presence(operation: string, keys: readonly Named[]): Promise<readonly Presence[]> {
    const found = new Map<Named, Presence>();
    await this.#inSlots(keys, async (steps, part) => {
      const places = await steps.presence(operation, part);
      part.forEach((key, at) => {
        found.set(key, places[at] as Presence);
      });
    });
    return keys.map((key) => found.get(key) as Presence);
  }

  async *idleKeys(operation: string, idleMs: number): AsyncGenerator<readonly Named[]> {
    for await (const keys of this.#scanned(operation)) {
      const idle = await this.#inSlots(keys.map(namedBytes), (steps, part) =>
        steps.idle(
          operation,
          part.map(({ bytes }) => bytes),
          idleMs,
        ),
      );
      yield idle.flat();
    }
  }

  /** The keys of all nodes, in parts. */
  async *#scanned(operation: string): AsyncGenerator<readonly Buffer[]> {
    for (const address of await this.#connection.masters(operation)) {
      const read = (words: readonly (string | Buffer)[]): Promise<unknown> =>
        this.#connection.read(operation, address, words);
      yield* scanned(this, read);
    }
  }

  /** Asks every slot. */
  async stats(operation: string): Promise<HotStats> {
    let dirty = 0;
    let failing = 0;
    let oldestMarkMs = 0;
    let evicted = 0;
    const slots = Array.from({ length: SLOTS }, (_, slot) => slot);
    for await (const parts of this.#waves(slots, (steps) => steps.stats(operation)))
      for (const part of parts) {
        dirty += part.dirty;
        failing += part.failing;
        evicted += part.evicted;
        oldestMarkMs = Math.max(oldestMarkMs, part.oldestMarkMs);
      }
    return { dirty, failing, oldestMarkMs, evicted };
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  #scripts(slot: number): SlotScripts {
    return new SlotScripts(this.#connection, this.#list, this.namespace, slot);
  }

  #steps(slot: number): RedisSteps {
    return new RedisSteps(this.#scripts(slot), this, this.#form);
  }

  #of(key: Named): RedisSteps {
    return this.#steps(slotOf(key.bytes));
  }

  /** Each step on the keys of one slot; all of them, before any failure is told. */
  #inSlots<R>(
    keys: readonly Named[],
    step: (steps: RedisSteps, part: readonly Named[]) => Promise<R>,
  ): Promise<R[]> {
    const parts = Map.groupBy(keys, ({ bytes }) => slotOf(bytes));
    return all([...parts].map(([slot, part]) => step(this.#steps(slot), part)));
  }

  async *#waves<R>(
    slots: readonly number[],
    step: (steps: RedisSteps) => Promise<R>,
  ): AsyncGenerator<R[]> {
    for (let at = 0; at < slots.length; at += WAVE_SLOTS)
      yield await all(slots.slice(at, at + WAVE_SLOTS).map((slot) => step(this.#steps(slot))));
  }
}

/** As `Promise.all`, but nothing is under way any more when it rejects. */
async function all<R>(steps: readonly Promise<R>[]): Promise<R[]> {
  await Promise.allSettled(steps);
  return Promise.all(steps);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
