import { failure } from '../store/errors.ts';
import { readUint48, writeUint48 } from '../store/version.ts';
import { fromHex, toHex } from './refs.ts';

/*
 * A node of a tree over chunks, as it is stored. Its own SHA-256 is its ref.
 *
 *   0  magic  4 bytes  SKVT
 *   4  format u8       1
 *   5  level  u8       0: the children are chunks; else nodes of the level below
 *   6  children, each 32 bytes SHA-256 and the bytes beneath it as u48
 */
const MAGIC: readonly number[] = [0x53, 0x4b, 0x56, 0x54];
const FORMAT = 1;
const HEAD_BYTES = 6;
const CHILD_BYTES = 38;

/** What a node points to. */
export interface TreeChild {
  readonly ref: string;
  /** Bytes of content beneath it. */
  readonly size: number;
}

export interface TreeNode {
  readonly level: number;
  readonly children: readonly TreeChild[];
}

export function encodeNode({ level, children }: TreeNode): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + children.length * CHILD_BYTES);
  bytes.set(MAGIC);
  bytes[4] = FORMAT;
  bytes[5] = level;
  let at = HEAD_BYTES;
  for (const { ref, size } of children) {
    bytes.set(fromHex(ref), at);
    writeUint48(size, bytes, at + 32);
    at += CHILD_BYTES;
  }
  return bytes;
}

/** Errors: `corrupt` for what is no node. */
export function decodeNode(operation: string, ref: string, bytes: Uint8Array): TreeNode {
  const whole = bytes.length >= HEAD_BYTES && (bytes.length - HEAD_BYTES) % CHILD_BYTES === 0;
  if (!whole || !MAGIC.every((byte, at) => bytes[at] === byte) || bytes[4] !== FORMAT)
    throw failure('corrupt', operation, `${ref} is no node of a tree`, { details: { ref } });
  const children: TreeChild[] = [];
  for (let at = HEAD_BYTES; at < bytes.length; at += CHILD_BYTES)
    children.push({
      ref: toHex(bytes.subarray(at, at + 32)),
      size: readUint48(bytes, at + 32),
    });
  return { level: bytes[5] as number, children };
}

/** Bytes of content beneath a node. */
export function sizeOf({ children }: TreeNode): number {
  return children.reduce((sum, { size }) => sum + size, 0);
}
