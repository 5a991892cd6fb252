import { Call } from '../../store/call.ts';
import type { Json, Meta } from '../../store/entry.ts';
import { RESERVED_PREFIX } from '../../store/keys.ts';
import type { FeedState, Primitives } from '../../store/primitives.ts';

const KEY = `${RESERVED_PREFIX}tiered/followed`;
const NOTHING = new Uint8Array(0);

/**
 * How far the copies of a front follow which store: kept in the front, for one that outlives the
 * process. Everything up to there is in the copies; they may hold newer entries.
 */
export class KeptPosition<V> {
  readonly #front: Primitives<V>;
  readonly #timeoutMs: number;

  constructor(front: Primitives<V>, timeoutMs: number) {
    this.#front = front;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether a front has a place for it: one with a codec but no bytes holds nothing but values of its kind. */
  static fits<V>(front: Primitives<V>): boolean {
    return front.bytes !== undefined || front.codec === undefined;
  }

  /** `undefined` where there is none, or it cannot be read. Errors: those of the front. */
  async read(): Promise<FeedState | undefined> {
    const call = this.#call();
    const entry = await call.guard(Promise.resolve(this.#place.readOne(KEY, call)));
    return entry?.meta === undefined ? undefined : stateOf(entry.meta);
  }

  /** Errors: those of the front. */
  async write({ storeId, head }: FeedState): Promise<void> {
    const call = this.#call();
    const { epoch, rev, id } = head;
    const meta: Meta = { storeId, epoch, rev, id };
    const written = this.#place.commit([{ type: 'set', key: KEY, value: NOTHING, meta }], call);
    await call.guard(Promise.resolve(written));
  }

  get #place(): Primitives<Uint8Array> {
    const { bytes } = this.#front;
    // Without a codec a store holds bytes, or any value.
    return bytes ?? (this.#front as unknown as Primitives<Uint8Array>);
  }

  #call(): Call {
    const { env } = this.#front;
    return new Call(env, 'follow', undefined, { timeoutMs: this.#timeoutMs });
  }
}

function stateOf({ storeId, epoch, rev, id }: Meta): FeedState | undefined {
  const valid = [storeId, epoch, id].every(isText) && Number.isSafeInteger(rev);
  if (!valid) return undefined;
  return {
    storeId: storeId as string,
    head: { epoch: epoch as string, rev: rev as number, id: id as string },
  };
}

function isText(value: Json | undefined): boolean {
  return typeof value === 'string';
}
