import type { Capabilities } from '../src/store/capabilities.ts';

type Driver =
  | 'memory'
  | 'lmdb'
  | 'sqlite'
  | 'file'
  | 'redis'
  | 'redis plain'
  | 's3'
  | 'dynamodb'
  | 'indexeddb';

/** What every store that others build on must do. */
const FULL = { atomic: 'batch', conditional: 'all', feed: true, ttl: true } as const;

/** What each driver must be capable of: so that none passes its tests by claiming little. */
export const requiredCapabilities: Readonly<Record<Driver, Partial<Capabilities>>> = {
  memory: { ...FULL, blocking: true, durability: 'memory' },
  lmdb: { ...FULL, blocking: true, durability: 'disk' },
  sqlite: { ...FULL, blocking: true, durability: 'disk' },
  file: {
    atomic: 'key',
    conditional: 'all',
    ttl: true,
    blocking: true,
    durability: 'disk',
  },
  redis: FULL,
  'redis plain': { atomic: 'batch', conditional: 'absent', ttl: true, bare: true, feed: false },
  s3: { atomic: 'key', conditional: 'all', ttl: true, durability: 'disk' },
  dynamodb: { atomic: 'key', conditional: 'all', ttl: true, durability: 'disk' },
  indexeddb: FULL,
};
