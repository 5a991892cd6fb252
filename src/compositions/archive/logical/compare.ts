import { isStrataError } from '../../../store/errors.ts';
import { decodeLogical, encodeLogical, type LogicalValue } from './format.ts';

/** Whether bytes are a logical form. */
export function isLogical(bytes: Uint8Array): boolean {
  try {
    decodeLogical(bytes);
    return true;
  } catch (error) {
    if (isStrataError(error, 'corrupt')) return false;
    throw error;
  }
}

/** Whether two logical forms are of one value: servers give members and fields in any order. */
export function isSameValue(one: Uint8Array, other: Uint8Array): boolean {
  const [a, b] = [one, other].map((bytes) => encodeLogical(inOrder(decodeLogical(bytes))));
  return Buffer.compare(a as Uint8Array, b as Uint8Array) === 0;
}

function inOrder(value: LogicalValue): LogicalValue {
  if (value.type === 'set') return { type: 'set', members: value.members.toSorted(Buffer.compare) };
  if (value.type === 'zset')
    return {
      type: 'zset',
      members: value.members.toSorted((a, b) => Buffer.compare(a.member, b.member)),
    };
  if (value.type === 'hash')
    return {
      type: 'hash',
      fields: value.fields.toSorted((a, b) => Buffer.compare(a.field, b.field)),
    };
  return value;
}
