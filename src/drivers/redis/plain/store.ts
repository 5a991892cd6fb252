import { checkBytes } from '../../../kernel/check-bytes.ts';
import type { Capabilities, Durability } from '../../../store/capabilities.ts';
import type { Env } from '../../../store/env.ts';
import type { Primitives } from '../../../store/primitives.ts';
import { Connection } from '../connection.ts';
import { prepareServer } from '../opening.ts';
import { withPatience } from '../patience.ts';
import type { RedisPorts } from '../port.ts';
import { PlainCommits } from './commits.ts';
import { PlainReader } from './reader.ts';
import { PLAIN_SCRIPTS } from './scripts.ts';
import { Strings } from './strings.ts';

export interface PlainOptions {
  readonly env: Env;
  readonly prefix: string;
  readonly durability: Durability;
  readonly timeoutMs: number | undefined;
  readonly maxValueBytes: number;
  /** The server may give entries up. */
  readonly evicts: boolean;
}

const MAX_KEY_BYTES = 512;
/** Keys of layers and compositions are so much longer. */
const RESERVED_BYTES = 128;

/** A store of ordinary strings, which other programs may read and write too. */
export function plainPrimitives(
  ports: () => Promise<RedisPorts>,
  options: PlainOptions,
): Primitives<Uint8Array> {
  const { env, prefix, durability, timeoutMs, maxValueBytes, evicts } = options;
  const connection = new Connection(ports, (port) =>
    prepareServer(port, {
      durability,
      scripts: PLAIN_SCRIPTS,
      refuses: (policy) => !evicts && policy !== 'noeviction',
    }),
  );
  const strings = new Strings(connection, prefix);
  const reader = new PlainReader(strings, MAX_KEY_BYTES + RESERVED_BYTES);
  const commits = new PlainCommits(strings);
  const capabilities: Capabilities = Object.freeze({
    durability,
    atomic: 'batch',
    conditional: 'absent',
    feed: false,
    ttl: true,
    blocking: false,
    bare: true,
    ...(evicts && { evicts }),
    maxKeyBytes: MAX_KEY_BYTES,
    maxValueBytes,
  });
  return {
    shape: { type: 'redis', details: { prefix, mode: 'plain' } },
    capabilities,
    env,
    ...(timeoutMs !== undefined && { timeoutMs }),
    checkValue: checkBytes,
    readOne: (key, call) => reader.readOne(key, call),
    readValue: (key, call) => reader.readValue(key, call),
    readMany: (keys, call) => reader.readMany(keys, call),
    scan: (range, call) => reader.scan(range, call),
    scanKeys: (range, call) => reader.scanKeys(range, call),
    commit: (writes, call) => commits.commit(writes, call),
    close: async () => {
      const settled = commits.settle().then(() => connection.settle());
      // What is still under way after a while is in doubt, and told so when the connection ends.
      await withPatience(settled).catch(() => undefined);
      connection.close();
    },
  };
}
