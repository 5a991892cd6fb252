import { Call } from '../../store/call.ts';
import { failure } from '../../store/errors.ts';
import { FIRST_USER_KEY } from '../../store/keys.ts';
import type { Primitives } from '../../store/primitives.ts';
import { randomId } from '../../store/version.ts';

const KEY = '\u0000watchable';
/** How often it is looked whether the store is still this opening's. */
const CHECK_EVERY_MS = 1_000;

interface Note {
  readonly storeId: string;
  /** The opening to which the store belongs. */
  readonly opening: string;
}

/** A store as one opening's own: what others would write here, it would not hear of. */
export interface Owner {
  readonly storeId: string;
  /** Whether the store held nothing when it was taken over. */
  readonly empty: boolean;
  /** Fails with `conflict` once another opening has taken the store over; looks about once a second. */
  check(operation: string): Promise<void>;
}

/** Makes the store this opening's; a former one ends. The id stays for ever. */
export async function takeOver<V>(inner: Primitives<V>): Promise<Owner> {
  const { env } = inner;
  const bytes = (inner.bytes ?? inner) as Primitives<unknown>;
  const opening = randomId(env);
  const read = async (): Promise<Note | undefined> => {
    const call = new Call(env, 'watch', undefined, undefined, inner.timeoutMs);
    const entry = await call.guard(Promise.resolve(bytes.readOne(KEY, call)));
    return entry === undefined ? undefined : parse(entry.value);
  };
  const storeId = (await read())?.storeId ?? randomId(env);
  const value = new TextEncoder().encode(JSON.stringify({ storeId, opening } satisfies Note));
  const call = new Call(env, 'watch', undefined, undefined, inner.timeoutMs);
  await call.guard(Promise.resolve(bytes.commit([{ type: 'set', key: KEY, value }], call)));
  const empty = await isEmpty(inner, call);
  let checkedMs = env.monotonicMs();
  return {
    storeId,
    empty,
    check: async (operation) => {
      if (env.monotonicMs() - checkedMs < CHECK_EVERY_MS) return;
      if ((await read())?.opening !== opening)
        throw failure(
          'conflict',
          operation,
          'the store was made watchable elsewhere, and what is written there would not be heard of here',
        );
      checkedMs = env.monotonicMs();
    },
  };
}

async function isEmpty<V>(inner: Primitives<V>, call: Call): Promise<boolean> {
  const lower = { key: FIRST_USER_KEY, inclusive: true };
  for await (const page of inner.scanKeys({ lower, reverse: false, limit: 1 }, call))
    if (page.length > 0) return false;
  return true;
}

function parse(value: unknown): Note {
  try {
    return JSON.parse(new TextDecoder().decode(value as Uint8Array)) as Note;
  } catch (cause) {
    throw failure('corrupt', 'watch', 'the note of who watches the store is damaged', { cause });
  }
}
