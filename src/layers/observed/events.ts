/** An operation that begins. */
export interface OperationStart {
  /** Names the operation among all that this store has seen; its end has the same. */
  readonly id: number;
  /** The option `name`. */
  readonly store: string;
  /** The method called: `get`, `set`, `batch`, `list`, `watch` … */
  readonly operation: string;
  /** What is done for it: an update reads and commits. */
  readonly step: 'read' | 'scan' | 'commit' | 'feed';
  readonly key?: string;
  /** How many keys are read or written, where that is known. */
  readonly keys?: number;
}

/** An operation that has ended. */
export interface OperationEnd extends OperationStart {
  readonly durationMs: number;
  /** Bytes of the values written. Byte arrays and strings count, other values do not: put the layer beneath `encoded` to count those. */
  readonly inBytes: number;
  /** Bytes of the values read. */
  readonly outBytes: number;
  /** How many of the keys were found, entries scanned or changes given. */
  readonly found?: number;
  /** The commit made. */
  readonly rev?: number;
  /** Why it failed, where it did. */
  readonly error?: unknown;
}

/** Where events go beside the hooks; a channel of `node:diagnostics_channel` is one. */
export interface EventPublisher {
  readonly hasSubscribers: boolean;
  publish(event: unknown): void;
}

/** Name of the diagnostics channel on which every `OperationEnd` is published. */
export const OPERATION_CHANNEL = 'stratakv:operation';

/** The diagnostics channel, on hosts that have one. */
export function hostChannel(): EventPublisher | undefined {
  const { process } = globalThis as {
    process?: { getBuiltinModule?(name: string): unknown };
  };
  const module = process?.getBuiltinModule?.('node:diagnostics_channel') as
    | { channel(name: string): EventPublisher }
    | undefined;
  return module?.channel(OPERATION_CHANNEL);
}

/** Size of a value where it is known without encoding it. */
export function sizeOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.length;
  return typeof value === 'string' ? value.length : 0;
}
