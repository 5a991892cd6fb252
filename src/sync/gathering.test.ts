import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { Line } from '../../test/support/sync-world.ts';
import { memory } from '../drivers/memory/index.ts';
import { Call } from '../store/call.ts';
import { primitivesOf } from '../store/internals.ts';
import type { Store } from '../store/store.ts';
import { type SimulatedEnv, simulatedEnv } from '../testing/index.ts';
import { publish, type Subscription, subscribe } from './index.ts';

const GATHER_MS = 1_000;
/** Between two writes. */
const WRITE_MS = 200;

interface World {
  readonly env: SimulatedEnv;
  readonly lines: readonly Line[];
  readonly quick: Subscription<Uint8Array>;
  readonly store: Store<Uint8Array>;
  write(passMs?: number): Promise<void>;
  close(): Promise<void>;
}

/** A source with subscribers of which the first is the one that is looked at. */
async function setUp(subscribers: number): Promise<World> {
  const env = simulatedEnv(5);
  const store = memory<Uint8Array>({ env });
  const publication = publish(store, { limits: { gatherMs: GATHER_MS } });
  const lines = Array.from({ length: subscribers }, () => new Line(publication));
  const all = lines.map((line) => subscribe(line, memory<Uint8Array>({ env })));
  await env.advance(5);
  let written = 0;
  return {
    env,
    lines,
    quick: all[0] as Subscription<Uint8Array>,
    store,
    write: async (passMs = WRITE_MS) => {
      await store.set('key', bytes(`${++written}`));
      await env.advance(passMs);
    },
    close: async () => {
      await Promise.all(all.map((one) => one.close()));
    },
  };
}

describe('writes that follow closely', () => {
  it('go out at once while nothing is under way', async () => {
    const { quick, write, close } = await setUp(20);
    for (let rev = 1; rev <= 10; rev++) {
      await write();
      expect(quick.status().rev).toBe(rev);
    }
    await close();
  });

  it('are gathered while most have not taken what went out last', async () => {
    const { env, lines, quick, write, close } = await setUp(4);
    for (const line of lines.slice(1)) line.hold();
    for (let rev = 1; rev <= 3; rev++) await write();
    expect(quick.status().rev).toBe(1);
    await env.advance(GATHER_MS);
    expect(quick.status().rev).toBe(3);
    await close();
  });

  it('are gathered no longer once most have it', async () => {
    const { env, lines, quick, write, close } = await setUp(3);
    for (const line of lines.slice(1)) line.hold();
    for (let rev = 1; rev <= 3; rev++) await write();
    expect(quick.status().rev).toBe(1);
    lines[1]?.release();
    await env.advance(5);
    expect(quick.status().rev).toBe(3);
    await close();
  });

  it('let time pass, where followers answer within no time', async () => {
    const { env, quick, write, close } = await setUp(1);
    for (let rev = 1; rev <= 3; rev++) await write(1);
    expect(quick.status().rev).toBe(1);
    await env.advance(GATHER_MS);
    expect(quick.status().rev).toBe(3);
    await close();
  });

  it('are gathered after a group that brings nothing', async () => {
    const { env, quick, store, write, close } = await setUp(1);
    const call = Call.background(env, 'test');
    await primitivesOf(store).commit([{ type: 'set', key: '\u0000x', value: bytes('') }], call);
    await env.advance(WRITE_MS);
    await write();
    expect(quick.status().rev).toBe(1);
    await env.advance(GATHER_MS);
    expect(quick.status().rev).toBe(2);
    await close();
  });

  it('wait for no slow one', async () => {
    const { lines, quick, write, close } = await setUp(3);
    lines[2]?.hold();
    for (let rev = 1; rev <= 5; rev++) {
      await write();
      expect(quick.status().rev).toBe(rev);
    }
    await close();
  });
});
