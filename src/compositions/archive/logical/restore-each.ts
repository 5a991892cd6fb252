import { sha1s } from '../../../drivers/redis/sha1.ts';
import type { ColdObject } from '../cold-objects.ts';
import type { Named } from '../hot-key.ts';
import type { Restored } from '../hot-side.ts';
import type { ScriptRunner } from '../redis-connection.ts';
import { word } from './command.ts';
import { decodeLogical } from './format.ts';

/** Larger ones are restored alone: Redis serves others in between. */
const MOST_BYTES = 64 * 1024;

/** A value that one command makes. */
export interface SmallValue {
  readonly key: Named;
  readonly generation: number;
  readonly expiresAt: number;
  readonly form: 'dump' | 'string';
  readonly bytes: Uint8Array;
}

/** A value as one that is restored beside others; `undefined` where it has to be restored alone. */
export function smallValue(
  key: Named,
  generation: number,
  { expiresAt, payload, logical }: Pick<ColdObject, 'expiresAt' | 'payload' | 'logical'>,
): SmallValue | undefined {
  const shared = { key, generation, expiresAt };
  if (payload.length > MOST_BYTES || (logical?.length ?? 0) > MOST_BYTES) return undefined;
  if (payload.length > 0) return { ...shared, form: 'dump', bytes: payload };
  const value = logical && decodeLogical(logical);
  return value?.type === 'string' ? { ...shared, form: 'string', bytes: value.value } : undefined;
}

/** Restores several values as one step; `alone` where the server refused one. */
export async function restoreEach(
  redis: ScriptRunner,
  operation: string,
  values: readonly SmallValue[],
): Promise<(Restored | 'alone')[]> {
  const keys = values.map(({ key }) => key.bytes);
  const facts = values.flatMap(({ generation, expiresAt, form }) => [
    String(generation),
    String(expiresAt),
    form,
  ]);
  const args = [sha1s(keys), JSON.stringify(facts), ...values.map(({ bytes }) => word(bytes))];
  const outcomes = await redis.run(operation, 'restoreEach', keys, args);
  return (outcomes as unknown[]).map((one) =>
    one === 1 ? 'restored' : (String(one) as Restored | 'alone'),
  );
}
