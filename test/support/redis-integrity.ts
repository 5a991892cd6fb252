/** Whether the keys of a store in Redis fit together, told by looking at them without the driver. */
import type { RedisClientType } from 'redis';

/** Type of bulk strings, as buffers. */
const AS_BUFFERS = { 36: Buffer } as const;

/** What is wrong with the store under a prefix; nothing in a sound one. */
export async function flawsOf(client: RedisClientType, prefix: string): Promise<string[]> {
  const name = (part: string): string => `{${prefix}}:${part}`;
  const bytes = client.withTypeMapping(AS_BUFFERS);
  const fields = (await bytes.sendCommand(['HGETALL', name('data')])) as unknown;
  const data = fields instanceof Map ? [...fields] : pairs(fields);
  const heads = new Map<string, Buffer>();
  const values = new Set<string>();
  for (const [field, content] of data) {
    const text = String(field);
    if (text.startsWith('k')) heads.set(text, content as Buffer);
    else values.add(text.slice(1));
  }
  const living = [...heads].filter(([, head]) => head[6] !== 0x64).map(([key]) => key);
  const dead = [...heads].filter(([, head]) => head[6] === 0x64).map(([key]) => key);
  const expiring = living.filter((key) => (heads.get(key)?.[6] ?? 0) % 2 === 1);
  const flaws: string[] = [];
  const compare = (what: string, found: Iterable<string>, expected: Iterable<string>): void => {
    const [one, other] = [[...found].sort(), [...expected].sort()].map((list) => list.join(' '));
    if (one !== other) flaws.push(`${what}: ${one}, expected ${other}`);
  };
  compare('values', values, living);
  for (const [part, expected] of Object.entries({
    order: living,
    index: heads.keys(),
    expiry: expiring,
    tombs: dead,
  }))
    compare(part, await client.zRange(name(part), 0, -1), expected);
  const meta = await client.hGetAll(name('meta'));
  const number = (field: string): number => Number(meta[field]);
  const tombBytes = dead.reduce((sum, key) => sum + 96 + Buffer.byteLength(key), 0);
  if (number('tombBytes') !== tombBytes) flaws.push(`tombBytes ${meta.tombBytes}: ${tombBytes}`);
  const logs = [await client.lLen(name('log-old')), await client.lLen(name('log'))];
  const spans = [number('log1') - number('log0'), number('log2') - number('log1')];
  if (logs.join() !== spans.join()) flaws.push(`logs of ${logs}, expected ${spans}`);
  return flaws;
}

function pairs(reply: unknown): [unknown, unknown][] {
  if (!Array.isArray(reply)) return Object.entries(reply as object);
  return Array.from({ length: reply.length / 2 }, (_, i) => [reply[2 * i], reply[2 * i + 1]]);
}
