import type { Capabilities, Durability } from '../../store/capabilities.ts';
import type { Env } from '../../store/env.ts';
import type { Primitives, Shape } from '../../store/primitives.ts';
import { checkBytes } from '../check-bytes.ts';
import { ItemCommits } from './item-commits.ts';
import type { FoundItem, ItemPort } from './item-port.ts';

/** What a store of items is made of. */
export interface ItemStoreParts<Found extends FoundItem> {
  readonly shape: Shape;
  readonly reader: Pick<Primitives<Uint8Array>, 'readOne' | 'readMany' | 'scan' | 'scanKeys'>;
  readonly port: ItemPort<Found>;
  readonly env: Env;
  readonly durability: Durability;
  readonly conditional: Capabilities['conditional'];
  readonly maxValueBytes: number;
  /** Bound of calls that name none. */
  readonly timeoutMs: number | undefined;
}

/** A store of bytes, one item a key, each written in a step of its own; without a feed. */
export function itemStore<Found extends FoundItem>(
  parts: ItemStoreParts<Found>,
): Primitives<Uint8Array> {
  const { shape, reader, port, env, durability, conditional, maxValueBytes, timeoutMs } = parts;
  const commits = new ItemCommits(port, env);
  const capabilities: Capabilities = Object.freeze({
    durability,
    atomic: 'key',
    conditional,
    feed: false,
    ttl: true,
    blocking: false,
    maxKeyBytes: 512,
    maxValueBytes,
  });
  return {
    shape,
    capabilities,
    env,
    ...(timeoutMs !== undefined && { timeoutMs }),
    checkValue: checkBytes,
    readOne: (key, call) => reader.readOne(key, call),
    readMany: (keys, call) => reader.readMany(keys, call),
    scan: (range, call) => reader.scan(range, call),
    scanKeys: (range, call) => reader.scanKeys(range, call),
    commit: (writes, call) => commits.commit(writes, call),
    close: () => commits.settle(),
  };
}
