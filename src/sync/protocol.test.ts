import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { annotate, hex } from '../../test/support/annotate-frame.ts';
import { bytes } from '../../test/support/bytes.ts';
import { memory } from '../drivers/memory/index.ts';
import type { SetChange } from '../store/entry.ts';
import type { Position } from '../store/primitives.ts';
import { simulatedEnv } from '../testing/index.ts';
import { OperationsWriter } from './batch-operations.ts';
import { channelPair, publish, subscribe, type Transport } from './index.ts';
import {
  decodeMessage,
  encodeMessage,
  MAX_FRAME_BYTES,
  MESSAGES,
  type Message,
  type MessageName,
  PROTOCOL_VERSION,
} from './protocol.ts';
import {
  decodeRangeMessage,
  encodeRangeMessage,
  encodeWanted,
  type RangeMessage,
} from './range-messages.ts';
import { ByteWriter, ProtocolError } from './wire.ts';
import { encodeOutcomes, putWrite, readOutcomes, readWrites, type WireWrite } from './writes.ts';

/** What the forms of each version hash to. A changed form needs a new version, and a new line here. */
const PINNED: Readonly<Record<number, string>> = {
  1: '070b6f3f2d791fc53355e9ea386ee338',
  2: '71659bbe33c4606c80ca42c009601c0a',
  3: '9e0c8bc9b587010691d3d80719bf4b6f',
};

const position: fc.Arbitrary<Position | undefined> = fc.option(
  fc.record({
    epoch: fc.stringMatching(/^[A-Za-z0-9_-]{1,16}$/),
    rev: fc.maxSafeNat(),
    id: fc.stringMatching(/^[A-Za-z0-9_-]{0,16}$/),
  }),
  { nil: undefined },
);
const values = {
  uint: fc.maxSafeNat(),
  flag: fc.boolean(),
  text: fc.string({ unit: 'binary', maxLength: 60 }),
  position,
  rest: fc.uint8Array({ maxLength: 100 }),
};
const message: fc.Arbitrary<Message> = fc
  .constantFrom(...(Object.keys(MESSAGES) as MessageName[]))
  .chain((type) => {
    const fields = Object.entries(MESSAGES[type].fields).map(
      ([name, kind]) => [name, values[kind]] as const,
    );
    return fc.record({ type: fc.constant(type), ...Object.fromEntries(fields) });
  }) as unknown as fc.Arbitrary<Message>;

/** A frame of every message, and the three larger bodies, with everything that they can hold. */
function samples(): Uint8Array[] {
  const sample = { uint: 300, flag: true, text: 'é', rest: Uint8Array.of(1, 2, 3) };
  const place = { epoch: 'e', rev: 2 ** 40, id: 'i' };
  const frames = (Object.keys(MESSAGES) as MessageName[]).map((type) => {
    const fields = Object.entries(MESSAGES[type].fields).map(([name, kind]) => [
      name,
      kind === 'position' ? place : sample[kind],
    ]);
    return encodeMessage({ type, ...Object.fromEntries(fields) } as Message);
  });
  const operations = new OperationsWriter();
  operations.addSet(sampleEntry('a', { rev: 3, version: 'x.1' }), bytes('1'), 's', 'e');
  operations.addDelete('b', 9);
  operations.addSet(sampleEntry('c', { rev: 2, version: 'y.2', ...extras }), bytes(''), 's', 'e');
  operations.addSet(sampleEntry('d', { version: 'y.3' }), 'pieced', 's', 'f');
  operations.finish();
  const block = new Uint8Array(operations.byteLength);
  operations.writeInto(block, 0);
  const writes = new ByteWriter();
  putWrite(writes, { type: 'set', key: 'a', value: bytes('1'), if: 'absent', ...extras });
  putWrite(writes, { type: 'set', key: 'b', value: bytes('1') }, true);
  putWrite(writes, { type: 'delete', key: 'c', if: { version: 'v' } });
  const entry = { key: 'a', version: 'v', rev: 1, modifiedAt: 2, expiresAt: 3 };
  const outcomes = encodeOutcomes([{ existed: true, entry }]);
  return [...frames, block, writes.view(), outcomes, ...rangeSamples().map(encodeRangeMessage)];
}

/** A body of every kind about ranges but that of wanted keys. */
function rangeSamples(): Exclude<RangeMessage, { kind: 'want' }>[] {
  const sum = { count: 300, a: 1, b: 2, c: 3, d: 2 ** 32 - 1 };
  const spans = [
    { lower: '', upper: 'key:1' },
    { lower: 'key:2', upper: undefined },
  ];
  return [
    { kind: 'offer', seed: [1, 2, 3, 2 ** 32 - 1] },
    { kind: 'ask', ask: { spans } },
    {
      kind: 'answer',
      answer: {
        parts: [
          { kind: 'split', bounds: ['key:1'], sums: [sum, sum] },
          { kind: 'list', keys: ['é\u{1f600}', 'é\u{1f601}'], marks: [1, 2, 3, 2 ** 32 - 1] },
        ],
      },
    },
    { kind: 'give-up' },
  ];
}

const extras = { expiresAt: 77, immutable: true as const, meta: { m: 1 } };

function sampleEntry(key: string, more: object): SetChange<unknown> {
  return { type: 'set', key, value: undefined, version: '', rev: 1, modifiedAt: 1_000, ...more };
}

/** Everything one side sends in an exchange that has every ordinary message. */
interface Sent {
  readonly from: 'subscriber' | 'server';
  readonly frame: Uint8Array;
}

async function workedExchange(): Promise<Sent[]> {
  const env = simulatedEnv(7);
  const source = memory<Uint8Array>({ env });
  await source.set('greeting', bytes('hello'), { meta: { by: 'ada' } });
  await source.set('answer', bytes('42'));
  const sent: Sent[] = [];
  const [here, there] = channelPair();
  publish(source, {
    env,
    authorize: ({ token }) => token === 'secret' && { read: true, write: ['note/'] },
  }).accept(recorded(there, 'server', sent));
  const subscription = subscribe(recorded(here, 'subscriber', sent), memory<Uint8Array>({ env }), {
    env,
    token: 'secret',
  });
  await env.advance(5);
  await subscription.ready;
  await source.delete('answer');
  await env.advance(5);
  const written = subscription.remote.set('note/1', bytes('hi'));
  await env.advance(5);
  await written;
  const refused = subscription.remote.set('answer', bytes('43')).catch(() => undefined);
  await env.advance(10_000);
  await refused;
  await subscription.close();
  return sent;
}

function recorded(transport: Transport, from: Sent['from'], sent: Sent[]): Transport {
  return {
    get bufferedBytes() {
      return transport.bufferedBytes;
    },
    start: (handlers) => transport.start(handlers),
    send: (frame) => {
      sent.push({ from, frame });
      transport.send(frame);
    },
    close: (code, reason) => transport.close(code, reason),
  };
}

/** The exchange as the documentation shows it. */
function shown(sent: readonly Sent[]): string {
  const parts = sent.map(({ from, frame }, i) => {
    const lines = annotate(frame);
    const wide = lines.flatMap(([code, meaning]) => {
      const rows = code.match(/.{1,48}/g) ?? [];
      return rows.map((row, at) => `${row.trim().padEnd(49)}${at === 0 ? meaning : ''}`.trimEnd());
    });
    const [, name = ''] = (lines[0]?.[1] ?? '').split(': ');
    return `**${i + 1}. ${from}: ${name}**, ${frame.length} bytes\n\n\`\`\`text\n${wide.join('\n')}\n\`\`\``;
  });
  return parts.join('\n\n');
}

describe('the protocol', () => {
  it('reads every message as it was written', () => {
    fc.assert(
      fc.property(message, (given) => {
        expect(decodeMessage(encodeMessage(given))).toEqual(given);
      }),
      { numRuns: 1_000 },
    );
  });

  it('answers any bytes with a message or a ProtocolError', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.tuple(message, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([given, at, byte]) => {
            const frame = encodeMessage(given);
            frame[at % frame.length] = byte;
            return frame;
          }),
        ),
        (frame) => {
          try {
            decodeMessage(frame);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('refuses frames above the limit, unknown messages and bytes left over', () => {
    const code = (frame: Uint8Array): number => {
      try {
        decodeMessage(frame);
      } catch (error) {
        return (error as ProtocolError).closeCode;
      }
      return 0;
    };
    expect(code(new Uint8Array(MAX_FRAME_BYTES + 1))).toBe(1009);
    expect(code(Uint8Array.of(99))).toBe(1002);
    expect(code(Uint8Array.of(15))).toBe(1002);
    expect(code(new Uint8Array(0))).toBe(1007);
    expect(code(Uint8Array.of(MESSAGES.live.code, 1, 1))).toBe(1007);
    expect(code(Uint8Array.of(MESSAGES.live.code, ...new Array(8).fill(0xff)))).toBe(1007);
  });

  it('carries writes and their outcomes', () => {
    const writes: WireWrite[] = [
      { type: 'set', key: 'a', value: bytes('1'), if: 'absent', meta: { x: 1 } },
      { type: 'set', key: 'b', value: bytes(''), if: { version: 'v.1' }, expiresAt: 5 },
      { type: 'set', key: 'c', value: bytes('3'), immutable: true },
      { type: 'delete', key: 'd', if: { version: 'v.2' } },
      { type: 'delete', key: 'é' },
    ];
    const into = new ByteWriter();
    for (const write of writes) putWrite(into, write);
    expect(readWrites(into.view(), undefined)).toEqual(writes);
    const outcomes = [
      { existed: true },
      { existed: false, entry: { key: 'b', version: 'v.3', rev: 7, modifiedAt: 9, expiresAt: 11 } },
    ];
    expect(readOutcomes(encodeOutcomes(outcomes), ['a', 'b'])).toEqual(outcomes);
  });

  it('carries the steps of a comparison', () => {
    for (const message of rangeSamples())
      expect(decodeRangeMessage(encodeRangeMessage(message))).toEqual(message);
    for (const count of [0, 1, 30_000]) {
      const keys = Array.from({ length: count }, (_, n) => `key:${n}`);
      const bodies = encodeWanted(keys).map(decodeRangeMessage);
      expect(bodies.map((body) => body.kind === 'want' && body.last).indexOf(true)).toBe(
        bodies.length - 1,
      );
      expect(bodies.flatMap((body) => (body.kind === 'want' ? body.keys : []))).toEqual(keys);
    }
  });

  it('answers any step of a comparison with a message or a ProtocolError', () => {
    const whole = rangeSamples().map(encodeRangeMessage);
    fc.assert(
      fc.property(fc.constantFrom(...whole), fc.nat(), fc.nat(255), (body, at, byte) => {
        const damaged = body.slice();
        damaged[at % body.length] = byte;
        for (const each of [damaged, body.subarray(0, at % body.length)])
          try {
            decodeRangeMessage(each);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
      }),
      { numRuns: 2_000 },
    );
  });

  it('is pinned to its version: a changed form needs a new one', () => {
    const forms = JSON.stringify(MESSAGES) + samples().map(hex).join('\n');
    const hash = createHash('sha256').update(forms).digest('hex').slice(0, 32);
    expect({ version: PROTOCOL_VERSION, hash }).toEqual({
      version: PROTOCOL_VERSION,
      hash: PINNED[PROTOCOL_VERSION],
    });
  });

  it('is documented by an exchange that really takes place', async () => {
    const path = new URL('../../docs/protocol.md', import.meta.url);
    const document = readFileSync(path, 'utf8');
    const [start, end] = ['<!-- exchange -->\n', '<!-- end of exchange -->'];
    const from = document.indexOf(start) + start.length;
    const exchange = `\n${shown(await workedExchange())}\n\n`;
    const upToDate = document.slice(0, from) + exchange + document.slice(document.indexOf(end));
    if (process.env.STRATAKV_UPDATE_DOCS === '1') writeFileSync(path, upToDate);
    const mend =
      'STRATAKV_UPDATE_DOCS=1 npx vitest run src/sync/protocol.test.ts brings it up to date';
    expect(readFileSync(path, 'utf8'), mend).toBe(upToDate);
    for (const [name, { code }] of Object.entries(MESSAGES))
      expect(document).toMatch(new RegExp(`\\| ${code} \\| \`${name}\` \\|`));
  });
});
