import type { Codec } from '../store/codec.ts';
import type { Entry } from '../store/entry.ts';
import { primitivesOf } from '../store/internals.ts';
import type { ReadonlyStore } from '../store/readonly-store.ts';

/**
 * Shows entries of a published store's feed as the application knows them: their values decoded
 * when they are first looked at, and sharing nothing with the store.
 */
export function entryOpener<V>(
  store: ReadonlyStore<V>,
  codec: Codec<V> | undefined,
): (stored: Entry<unknown>) => Entry<V> {
  const primitives = primitivesOf(store, 'publish');
  const { bytes, codec: own } = primitives;
  const guard = primitives.guard?.bind(primitives);
  // As `sourceSide` chooses what the feed is read from.
  const decode = codec === undefined && bytes !== undefined ? own?.decode.bind(own) : undefined;
  const open = (value: unknown): V => {
    if (decode !== undefined) return decode(value as Uint8Array);
    return guard === undefined ? (value as V) : guard(value as V);
  };
  return (stored) => {
    const { type: _, value, ...head } = stored as Entry<unknown> & { readonly type?: string };
    let opened: { readonly value: V } | undefined;
    return {
      ...head,
      get value() {
        opened ??= { value: open(value) };
        return opened.value;
      },
    };
  };
}
