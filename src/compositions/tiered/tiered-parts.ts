import { attempt } from '../../kernel/awaitable.ts';
import type { Awaitable } from '../../store/awaitable.ts';
import { type Call, DEFAULT_TIMEOUT_MS } from '../../store/call.ts';
import type { Entry } from '../../store/entry.ts';
import type { Env } from '../../store/env.ts';
import type { Primitives, Shape } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import type { DeadLetter, Pending, TieredEvent, TieredStatus } from './events.ts';
import type { ReadPolicy, TieredOptions, WritePolicy } from './options.ts';
import { asyncDoor, type BackBounds, blockingDoor, type Door } from './parts.ts';
import type { WarmTarget } from './warming/target.ts';

/** A tiered store's options, complete. */
export interface TieredParts<V> {
  readonly front: Primitives<V>;
  readonly back: Primitives<V>;
  readonly env: Env;
  readonly write: WritePolicy;
  readonly read: ReadPolicy;
  readonly backBounds: BackBounds;
  readonly frontTimeoutMs: number;
  readonly maxFenced: number;
  readonly timeoutMs: number | undefined;
  readonly onFrontError: (error: unknown) => void;
  readonly onEvent: (event: TieredEvent) => void;
  /** As the caller gave them, checked. */
  readonly options: TieredOptions<V>;
  /** The stores that are closed with the tiered one. */
  close(): readonly Store<unknown>[];
}

/** A policy at work: the primitives of the store, and what its controls ask. */
export interface Policy<V> {
  readonly primitives: Primitives<V>;
  status(): TieredStatus;
  /** What the front has of keys, and nothing of those in doubt; never asks the back. */
  copies?(keys: readonly string[], call: Call): Awaitable<readonly (Entry<V> | undefined)[]>;
  /** As `copies` and a fresh read, for who cannot wait; absent where there is no blocking half. */
  readonly now?: {
    copy(key: string): Entry<V> | undefined;
    fresh(key: string): Entry<V> | undefined;
  };
  /**
   * The front's copies of keys are not what the back holds: from now on they are not served any
   * more. Settles when the front is rid of them, as far as it lets itself be; never fails.
   */
  distrust?(keys: readonly string[]): Awaitable<unknown>;
  /** How the front is warmed beside everything else; absent where it cannot be. */
  readonly warming?: WarmTarget<V>;
  /** Absent where nothing is ever pending. */
  readonly behind?: {
    pending(): Pending;
    flush(call: Call): Promise<void>;
    deadLetters(call: Call): Promise<readonly DeadLetter<V>[]>;
    forgetDeadLetters(ids: readonly string[], call: Call): Promise<void>;
    /** Tells, before the primitives are closed, how long the close waits for pending writes. */
    drainWithin(drainMs: number): void;
  };
}

/** Fills in the defaults. */
export function tieredParts<V>(
  options: TieredOptions<V>,
  front: Primitives<V>,
  back: Primitives<V>,
): TieredParts<V> {
  const { onFrontError, onEvent } = options;
  return {
    front,
    back,
    env: options.env ?? back.env,
    write: options.write ?? 'through',
    read: options.read ?? 'front-first',
    backBounds: {
      timeoutMs: options.backTimeoutMs ?? 2_000,
      usualMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    },
    frontTimeoutMs: options.frontTimeoutMs ?? 1_000,
    maxFenced: options.maxFenced ?? 100_000,
    timeoutMs: options.timeoutMs,
    onFrontError: (error) => heard(() => onFrontError?.(error)),
    onEvent: (event) => heard(() => onEvent?.(event)),
    options,
    close: () => (options.closeParts === false ? [] : partsOf(options)),
  };
}

function partsOf<V>({ front, back, journal }: TieredOptions<V>): Store<unknown>[] {
  const stores: unknown[] = [front, back];
  if (typeof journal === 'object') stores.push(journal);
  return stores as Store<unknown>[];
}

/** What a listener throws is its own affair. */
function heard(tell: () => void): void {
  attempt(
    tell,
    () => undefined,
    () => undefined,
  );
}

/** The doors of both halves; the blocking ones where both parts have them. */
export interface Doors<V> {
  readonly front: Door<V>;
  readonly back: Door<V>;
  readonly blocking: { readonly front: Door<V>; readonly back: Door<V> } | undefined;
}

export function openDoors<V>({ front, back }: TieredParts<V>): Doors<V> {
  return {
    front: asyncDoor(front),
    back: asyncDoor(back),
    blocking:
      front.blocking === undefined || back.blocking === undefined
        ? undefined
        : { front: blockingDoor(front.blocking), back: blockingDoor(back.blocking) },
  };
}

/** What both kinds of tiered primitives have in common. */
export function commonOf<V>(
  parts: TieredParts<V>,
): Pick<Primitives<V>, 'shape' | 'env' | 'timeoutMs' | 'codec' | 'guard'> {
  const { front, back, env, read, write, timeoutMs } = parts;
  const codec = back.codec ?? front.codec;
  const shape: Shape = {
    type: 'tiered',
    details: { write, read },
    parts: { front: front.shape, back: back.shape },
  };
  return {
    shape,
    env,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(codec !== undefined && { codec }),
    ...(front.guard !== undefined && { guard: front.guard.bind(front) }),
  };
}

/** Closes stores; the first failure is told when all are closed. */
export async function closeAll(stores: readonly Store<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(stores.map((store) => store.close()));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
