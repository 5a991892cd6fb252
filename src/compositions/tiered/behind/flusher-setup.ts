import type { Call } from '../../../store/call.ts';
import type { Entry } from '../../../store/entry.ts';
import type { Env } from '../../../store/env.ts';
import type { StrataError } from '../../../store/errors.ts';
import type { CommitOutcome, Write } from '../../../store/primitives.ts';
import type { TieredEvent } from '../events.ts';
import type { Base } from './base.ts';
import type { FlushRules } from './flush-plan.ts';
import type { PendingWrite, PendingWrites } from './pending-writes.ts';

/** What brings pending writes to the back. */
export interface FlusherSetup<V> {
  readonly env: Env;
  readonly pending: PendingWrites<V>;
  readonly rules: FlushRules;
  /** The epoch of the journal. */
  readonly epoch: string;
  /** Whether the back takes a window as one commit, on condition. */
  readonly fenced: boolean;
  /** What the fence holds beside its metadata. */
  readonly fenceValue: V;
  readonly retry: { readonly minMs: number; readonly maxMs: number };
  readonly timeoutMs: number;
  /** Calls that ask for more than this are waited for longer. */
  readonly usualMs: number;
  /** Through the machinery of the copies. */
  commit(writes: readonly Write<V>[], call: Call): Promise<CommitOutcome>;
  /** Past all copies. */
  look(keys: readonly string[], call: Call): Promise<readonly (Entry<V> | undefined)[]>;
  onEvent(event: TieredEvent): void;
  /** A write is in the back, or superseded. */
  settle(write: PendingWrite<V>, base: Base): void;
  /** A window is in the back. */
  onFlushed(): void;
  /** Fails when another process may have taken the journal over. */
  checkOwner(): Promise<void>;
  /** A write that can never be in the back: sees to it that it is pending no longer. */
  bury(write: PendingWrite<V>, now: Entry<V> | undefined, cause: StrataError): Promise<void>;
  /** A write that met a change of somebody else: sees to it that it is settled, or to be sent. */
  resolve(write: PendingWrite<V>, now: Entry<V> | undefined): Promise<'send' | 'settled'>;
}
