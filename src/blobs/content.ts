import { Call } from '../store/call.ts';
import { toSetWrite } from '../store/checks.ts';
import type { EntryHead } from '../store/entry.ts';
import type { Env } from '../store/env.ts';
import { failure, isStrataError } from '../store/errors.ts';
import { primitivesOf } from '../store/internals.ts';
import type { CallOptions } from '../store/operations.ts';
import type { CommitOutcome, Primitives } from '../store/primitives.ts';
import type { Store } from '../store/store.ts';
import { touch } from '../walk/touch.ts';
import { keyOf, missing, type RefKind, refOf } from './refs.ts';

/** What a put did: the ref of the bytes, and whether the store had them not. */
export interface PutResult {
  readonly ref: string;
  readonly added: boolean;
}

/** Bytes under their own hash, as immutable entries of a store; what is read is held against its ref. */
export class Content {
  readonly #store: Store<Uint8Array>;
  readonly #env: Env;
  readonly #graceMs: number;
  /** The store as it is written to: what is handed over is no longer anybody else's, and need not be copied. */
  readonly #primitives: Omit<Primitives<Uint8Array>, 'guard'>;

  constructor(store: Store<Uint8Array>, env: Env, graceMs: number) {
    const { guard: _, ...primitives } = primitivesOf(store, 'blobs');
    this.#primitives = primitives;
    this.#store = store;
    this.#env = env;
    this.#graceMs = graceMs;
  }

  /** Stores bytes that the caller may change afterwards. */
  async put(kind: RefKind, bytes: Uint8Array, options: CallOptions): Promise<PutResult> {
    return this.give(kind, bytes.slice(), options);
  }

  /** Stores bytes that nobody else has. */
  async give(kind: RefKind, bytes: Uint8Array, options: CallOptions): Promise<PutResult> {
    const ref = await refOf(bytes);
    const key = keyOf(kind, ref);
    for (;;) {
      try {
        const [outcome] = (await this.#commit(key, bytes, options)).outcomes;
        if (outcome?.existed !== true) return { ref, added: true };
        if (await this.#renewed(key, outcome.entry, options)) return { ref, added: false };
      } catch (error) {
        if (!isStrataError(error, 'conflict') || !(await this.#removeWrong(kind, ref, options)))
          throw error;
      }
    }
  }

  async #commit(key: string, bytes: Uint8Array, options: CallOptions): Promise<CommitOutcome> {
    // Writes nothing: fails where the store is closed or the call has ended.
    await this.#store.batch([], options);
    const primitives = this.#primitives;
    const write = toSetWrite(primitives, 'put', key, bytes, { immutable: true });
    const call = new Call(this.#env, 'put', key, options, primitives.timeoutMs);
    const done = primitives.commit([write], call);
    return done instanceof Promise ? call.guard(done) : done;
  }

  /** The bytes of a ref. Errors: `corrupt` for what has another hash. */
  async get(
    operation: string,
    kind: RefKind,
    ref: string,
    options: CallOptions,
  ): Promise<Uint8Array | undefined> {
    const key = keyOf(kind, ref);
    const bytes = await this.#store.get(key, options);
    if (bytes === undefined || (await refOf(bytes)) === ref) return bytes;
    // A copy may be damaged and the store behind it not.
    const again = await this.#store.get(key, { ...options, fresh: true });
    if (again === undefined || (await refOf(again)) === ref) return again;
    throw failure('corrupt', operation, `what is stored as ${ref} has another hash`, {
      key,
      details: { ref },
    });
  }

  /** As `get`; what is not there fails with `data-missing`. */
  async need(
    operation: string,
    kind: RefKind,
    ref: string,
    options: CallOptions,
  ): Promise<Uint8Array> {
    const bytes = await this.get(operation, kind, ref, options);
    if (bytes === undefined) throw missing(operation, kind, ref);
    return bytes;
  }

  /** Makes what was already there young, so that a sweep lets its new user go on; false where it is gone meanwhile. */
  async #renewed(
    key: string,
    entry: EntryHead | undefined,
    options: CallOptions,
  ): Promise<boolean> {
    if (this.#store.capabilities.conditional !== 'all') return true;
    const ageMs = this.#env.now() - (entry?.modifiedAt ?? 0);
    if (ageMs >= 0 && ageMs < this.#graceMs / 2) return true;
    return (await touch(this.#store, [key], options)).has(key);
  }

  /** Removes what stands under a ref and is not its content; false where it is. */
  async #removeWrong(kind: RefKind, ref: string, options: CallOptions): Promise<boolean> {
    const key = keyOf(kind, ref);
    const entry = await this.#store.getEntry(key, { ...options, fresh: true });
    if (entry === undefined) return true;
    if ((await refOf(entry.value)) === ref && entry.immutable === true) return false;
    await this.#store.delete(key, { ...options, if: { version: entry.version } });
    return true;
  }
}
