import type { Entry } from '../../../store/entry.ts';
import { RESERVED_PREFIX } from '../../../store/keys.ts';
import type { SetWrite } from '../../../store/primitives.ts';

const FENCES = `${RESERVED_PREFIX}tiered/behind/`;

/** How far the back has taken what a journal holds; an entry of the back, moved with every window. */
export interface Fence {
  /** Everything up to this commit of this epoch is in the back. */
  readonly epoch: string;
  readonly seq: number;
  /** Names the window that moved it. */
  readonly window: string;
  /** That of the entry, for the condition of the next window. */
  readonly version: string;
}

export function fenceKey(storeId: string): string {
  return FENCES + storeId;
}

/** Reads a fence; one that is damaged says nothing but its version. */
export function readFence<V>({ meta = {}, version }: Entry<V>): Fence {
  const { epoch, seq, window } = meta;
  return {
    epoch: typeof epoch === 'string' ? epoch : '',
    seq: typeof seq === 'number' ? seq : 0,
    window: typeof window === 'string' ? window : '',
    version,
  };
}

/** The write that moves a fence, only over the one known (`null`: there is none). */
export function fenceWrite<V>(
  key: string,
  value: V,
  to: Omit<Fence, 'version'>,
  over: Fence | null,
): SetWrite<V> {
  const { epoch, seq, window } = to;
  return {
    type: 'set',
    key,
    value,
    meta: { epoch, seq, window },
    if: over === null ? 'absent' : { version: over.version },
  };
}
