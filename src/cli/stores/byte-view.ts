import type { Codec } from '../../store/codec.ts';
import { defineStore } from '../../store/define-store.ts';
import { StrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Primitives } from '../../store/primitives.ts';
import type { Store } from '../../store/store.ts';
import { withCodec } from '../../store/with-codec.ts';

/**
 * Any store as a store of bytes, which is what the commands show, write and carry. Bytes that the
 * store's codec could not read again are refused with `invalid-argument` before they are written.
 */
export function byteView(store: Store<unknown>): Store<Uint8Array> {
  const primitives = primitivesOf(store);
  const { bytes, codec } = primitives;
  if (bytes !== undefined)
    return defineStore({
      ...bytes,
      shape: primitives.shape,
      checkValue: (operation: string, key: string, value: Uint8Array) => {
        bytes.checkValue?.(operation, key, value);
        if (codec !== undefined) decodeGiven(codec, operation, value);
      },
    });
  return defineStore(
    // The one place where a store of values is seen as if they were bytes: the codec between turns them.
    withCodec(primitives as Primitives<unknown> as Primitives<Uint8Array>, turned(codec)),
  );
}

/** A codec the other way round: what the store calls a value is what we call encoded. */
function turned(codec: Codec<unknown> | undefined): Codec<Uint8Array> {
  return {
    name: codec?.name ?? 'raw',
    encode: (given) =>
      codec === undefined ? given : (decodeGiven(codec, 'set', given) as Uint8Array),
    decode: (held: unknown) => {
      if (codec !== undefined) return codec.encode(held);
      if (held instanceof Uint8Array) return held;
      throw new StrataError(
        'unsupported',
        'it holds values that are no bytes and has no codec; give it one, such as codec: json()',
        { operation: 'read' },
      );
    },
  };
}

function decodeGiven(codec: Codec<unknown>, operation: string, given: Uint8Array): unknown {
  try {
    return codec.decode(given);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StrataError('invalid-argument', `${operation}: not a value of this store: ${why}`, {
      operation,
      cause,
    });
  }
}
