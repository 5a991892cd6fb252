import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { simulatedEnv } from '../testing/index.ts';
import {
  randomId,
  readUint48,
  toBase64Url,
  versionText,
  WRITE_ID_BYTES,
  WriteIds,
  writeUint48,
} from './version.ts';

it('writes bytes in base64url', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
    }),
  );
});

it('writes whole numbers below 2^48, and reads them', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.nat(5), (value, offset) => {
      const bytes = new Uint8Array(12);
      writeUint48(value, bytes, offset);
      expect(readUint48(bytes, offset)).toBe(value);
      expect(Buffer.from(bytes).readUIntBE(offset, 6)).toBe(value);
    }),
    { numRuns: 1_000 },
  );
});

it('gives every write an id of its own, the same as text and as bytes', () => {
  const env = simulatedEnv();
  const sessions = Array.from({ length: 5 }, () => new WriteIds(env));
  const seen = new Set<string>();
  for (let n = 0; n < 1_000; n++) {
    const ids = sessions[n % 5] as WriteIds;
    const count = ids.next();
    const bytes = new Uint8Array(WRITE_ID_BYTES + 2);
    ids.write(count, bytes, 1);
    expect(versionText(bytes, 1)).toBe(ids.text(count));
    seen.add(ids.text(count));
  }
  expect(seen.size).toBe(1_000);
});

it('gives ids of 16 characters that are safe in addresses', () => {
  const env = simulatedEnv();
  const ids = Array.from({ length: 200 }, () => randomId(env));
  expect(new Set(ids).size).toBe(200);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{16}$/);
});
