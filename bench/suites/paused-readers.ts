import { readFileSync } from 'node:fs';
import type { Report } from '../lib/row.ts';
import { scaled } from '../lib/scaled.ts';
import { Ends } from '../lib/sync-peers/ends.ts';
import type { Entrant, Field } from '../lib/sync-peers/field.ts';

const OWN = 'stratakv';
const BARE = 'bare ws frames';
const PAUSED = scaled(100);
const KEYS = scaled(2_000);
const BYTES = 1_000;
/** Writes of all keys: together more than the kernel holds for a reader that takes nothing. */
const ROUNDS = 16;
const MB = 1_000_000;

const entrants: readonly Entrant[] = [
  { name: OWN },
  { name: BARE },
  { name: 'NATS KV' },
  { name: 'Redis streams' },
];

interface Paused {
  /** What the source, or its engine, holds more than it would if all read. */
  readonly heldBytes: number;
  /** Keys that reach a live reader per second, with nobody else and beside those paused. */
  readonly alone: number;
  readonly beside: number;
}

/** One copy reads on while the process of the others is stopped; then these go on as well. */
async function measure(name: Entrant['name']): Promise<Paused> {
  await using ends = await Ends.start(name);
  let version = 1;
  await ends.source.call('fill', KEYS, version, BYTES);
  const held = { keys: KEYS, bytes: BYTES };
  await ends.connect(1, { ...held, version }, 1);
  const writeAll = async (allRead: boolean): Promise<number> => {
    const start = performance.now();
    for (let round = 0; round < ROUNDS; round++) {
      await ends.source.call('write', KEYS, ++version, BYTES);
      await ends.first.call('reached', KEYS - 1, version, BYTES);
    }
    if (allRead) await ends.all((one) => one.call('reached', KEYS - 1, version, BYTES));
    return (ROUNDS * KEYS * 1_000) / (performance.now() - start);
  };
  await writeAll(false);
  const alone = await writeAll(false);
  await ends.connect(PAUSED, { ...held, version }, 1);
  await writeAll(true);
  const before = await heldBy(ends);
  await writeAll(true);
  const reading = await heldBy(ends);
  const pid = ends.lastPid;
  process.kill(pid, 'SIGSTOP');
  let beside: number;
  let paused: number;
  try {
    beside = await writeAll(false);
    paused = await heldBy(ends);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await ends.all((one) => one.call('reached', KEYS - 1, version, BYTES));
  await ends.all((one) => one.call('verify', { ...held, version }));
  return { heldBytes: paused - reading - (reading - before), alone, beside };
}

/** What is alive in a process of ours; of an engine its anonymous memory. */
async function heldBy(ends: Ends): Promise<number> {
  if (!ends.hasEngine) return ends.source.call('retainedBytes');
  const status = readFileSync(`/proc/${ends.pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** What readers cost that take nothing in any more, and whether the others feel it: on Linux, which tells what is needed. */
export async function pausedReaders(field: Field, report: Report): Promise<void> {
  if (process.platform !== 'linux') return;
  for (const { name } of field.here(entrants)) {
    const measured = await field.try(name, () => measure(name));
    if (measured === undefined) continue;
    const { heldBytes, alone, beside } = measured;
    report({
      name: `memory held for ${PAUSED} paused readers: ${name}`,
      value: heldBytes / MB,
      unit: 'MB',
      ...(name === OWN && { goal: { of: 'value', most: 10 } }),
    });
    report({
      name: `updates of 1 KB to one reader beside them: ${name}`,
      value: beside,
      unit: 'keys/s',
      against: 'nobody beside',
      reference: alone,
      ratio: beside / alone,
    });
  }
}
