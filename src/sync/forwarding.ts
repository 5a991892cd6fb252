import type { CommitOutcome } from '../store/primitives.ts';
import type { Attempt } from './incoming-writes.ts';
import type { MessageOf } from './protocol.ts';
import type { WireWrite } from './writes.ts';

/** The way from a copy to its source, for writes of others. */
export interface Forwarder {
  /** What the source last said. */
  terms(): Omit<MessageOf<'terms'>, 'type'> | undefined;
  /** Calls back when that may be different; gives the removal. */
  onTerms(fn: () => void): () => void;
  /**
   * Does the writes at the source, under the number that they have; resolves when the copy has them.
   * Errors: those of the source, and what prevents that it is asked or heard.
   */
  forward(writes: readonly WireWrite[], attempt: Attempt | undefined): Promise<CommitOutcome>;
  /** Whether the source itself has said so. */
  isAnswer(error: unknown): boolean;
}

/** By the store `remote` of a subscription. */
export const forwarders: WeakMap<object, Forwarder> = new WeakMap();
