import { MAX_META_BYTES } from '../store/checks.ts';
import type { Json, Meta } from '../store/entry.ts';
import { malformed } from './wire.ts';

/**
 * Metadata off the wire, frozen, because it is handed out with every reading of its entry. JSON.parse
 * makes `__proto__` an ordinary property, so a hostile name changes nothing but its own object.
 */
export function readMeta(text: string): Meta {
  if (text.length > MAX_META_BYTES) throw malformed('metadata is too long');
  let meta: unknown;
  try {
    meta = JSON.parse(text, (_, part: Json) =>
      typeof part === 'object' ? Object.freeze(part) : part,
    );
  } catch {
    throw malformed('metadata is no JSON');
  }
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta))
    throw malformed('metadata is no object');
  return meta as Meta;
}
