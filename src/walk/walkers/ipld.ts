import * as dagCbor from '@ipld/dag-cbor';
import * as dagPb from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import { failure } from '../../store/errors.ts';
import * as is from '../../store/option-rules.ts';
import { checkOptions } from '../../store/options.ts';
import type { Walker } from '../walker.ts';

/** What reads the blocks of one multicodec. */
export interface IpldCodec {
  readonly code: number;
  /** The block as data, with its links as CIDs. */
  decode(bytes: Uint8Array): unknown;
}

/** Options of `ipldWalker`. */
export interface IpldWalkerOptions {
  /** The key under which a block is stored; default the CID as text. */
  readonly keyOf?: (cid: CID) => string;
  /** The CID of the block under a key, the inverse of `keyOf`; default reads the key as a CID. */
  readonly cidOf?: (key: string) => CID;
  /** Codecs besides dag-cbor, dag-pb and raw. */
  readonly codecs?: readonly IpldCodec[];
}

/** Multicodec of blocks of plain bytes, which point to nothing. */
const RAW = 0x55;
/** Multihash of data that stands in the CID itself. */
const IDENTITY = 0x00;

const RULES = {
  keyOf: is.fn,
  cidOf: is.fn,
  codecs: { expected: 'an array of codecs', accepts: Array.isArray },
};

/**
 * A walker over IPLD blocks: dag-cbor, dag-pb and raw. Keys are CIDs as text (`cid.toString()`)
 * unless told otherwise. Blocks that stand in the CID itself (identity hashes) are looked into, and
 * are no keys. Whether a block matches its hash is not checked.
 *
 * Needs the peers `multiformats`, `@ipld/dag-cbor` and `@ipld/dag-pb`.
 *
 * Errors, naming the key: `corrupt` for a block that cannot be decoded, `unsupported` for a codec
 * that is not known, `invalid-argument` for a key that is no CID.
 *
 * ```ts
 * await sweep(blocks, [head.toString()], ipldWalker(), { olderThanMs: 3_600_000 });
 * ```
 */
export function ipldWalker(options: IpldWalkerOptions = {}): Walker<Uint8Array> {
  checkOptions('ipldWalker', options, RULES);
  const { keyOf = (cid: CID) => cid.toString(), cidOf = parseCid } = options;
  const codecs = new Map<number, IpldCodec>();
  for (const codec of [dagCbor, dagPb, ...(options.codecs ?? [])]) codecs.set(codec.code, codec);
  return function* (key, bytes) {
    const blocks = [{ cid: cidOf(key), bytes }];
    for (let block = blocks.pop(); block !== undefined; block = blocks.pop())
      for (const cid of linksOf(key, block.cid, block.bytes, codecs))
        if (cid.multihash.code === IDENTITY) blocks.push({ cid, bytes: cid.multihash.digest });
        else yield keyOf(cid);
  };
}

function parseCid(key: string): CID {
  try {
    return CID.parse(key);
  } catch (cause) {
    const what = `the key ${JSON.stringify(key)} is no CID; expected one, or the option cidOf`;
    throw failure('invalid-argument', 'ipldWalker', what, { key, cause });
  }
}

function* linksOf(
  key: string,
  { code }: CID,
  bytes: Uint8Array,
  codecs: ReadonlyMap<number, IpldCodec>,
): Generator<CID> {
  if (code === RAW) return;
  const codec = codecs.get(code);
  if (codec === undefined) {
    const what = `${JSON.stringify(key)} has the codec 0x${code.toString(16)}; expected dag-cbor, dag-pb, raw or one of the option codecs`;
    throw failure('unsupported', 'ipldWalker', what, { key });
  }
  let data: unknown;
  try {
    data = codec.decode(bytes);
  } catch (cause) {
    const what = `the block ${JSON.stringify(key)} cannot be decoded`;
    throw failure('corrupt', 'ipldWalker', what, { key, cause });
  }
  yield* cidsIn(data);
}

/** In the order of the block; with a stack of its own, so that depth is no limit. */
function* cidsIn(data: unknown): Generator<CID> {
  const parts = [data];
  for (let part = parts.pop(); parts.length > 0 || part !== undefined; part = parts.pop()) {
    if (typeof part !== 'object' || part === null || part instanceof Uint8Array) continue;
    const cid = CID.asCID(part);
    if (cid !== null) yield cid;
    else for (const inner of innerOf(part).reverse()) parts.push(inner);
  }
}

/** A codec of the caller may give maps and sets. */
function innerOf(part: object): unknown[] {
  return part instanceof Map || part instanceof Set ? [...part] : Object.values(part);
}
