import type { Suite } from '../lib/row.ts';
import { archiveSuite } from './archive.ts';
import { archivedRedisSuite } from './archived-redis.ts';
import { blobsSuite } from './blobs.ts';
import { bundle } from './bundle.ts';
import { dedupeBuffer } from './dedupe-buffer.ts';
import { hits } from './hits.ts';
import { lmdbSuite } from './lmdb.ts';
import { outage } from './outage.ts';
import { redisSuite } from './redis.ts';
import { repairSuite } from './repair.ts';
import { replicaSuite } from './replica.ts';
import { serverMemory } from './server-memory.ts';
import { syncSuite } from './sync.ts';
import { syncPeers } from './sync-peers.ts';
import { syncScale } from './sync-scale.ts';
import { tiers } from './tiers.ts';

export const suites: readonly Suite[] = [
  hits,
  tiers,
  lmdbSuite,
  redisSuite,
  replicaSuite,
  repairSuite,
  blobsSuite,
  archiveSuite,
  archivedRedisSuite,
  syncSuite,
  serverMemory,
  dedupeBuffer,
  bundle,
  outage,
  syncPeers,
  syncScale,
];
