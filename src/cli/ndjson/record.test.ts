import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../store/entry.ts';
import { parseRecord } from './parse-record.ts';
import { readLines } from './read-lines.ts';
import { entryLine, fullEntryLine } from './record.ts';

const encoder = new TextEncoder();
const jsonText = fc.json({ noUnicodeString: false }).map((text) => encoder.encode(text));
const spacedJson = fc.jsonValue().map((value) => encoder.encode(JSON.stringify(value, null, 2)));
const anyText = fc.string({ unit: 'binary' }).map((text) => encoder.encode(text));
const anyBytes = fc.uint8Array({ maxLength: 200 });
const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });

const entries = fc.record(
  {
    key: fc.string({ unit: 'binary', minLength: 1 }).filter((key) => key.isWellFormed()),
    value: fc.oneof(jsonText, spacedJson, anyText, anyBytes),
    version: fc.constant('v.1'),
    modifiedAt: time,
    expiresAt: time,
    immutable: fc.constant(true as const),
    meta: fc.dictionary(fc.string(), fc.jsonValue()),
  },
  { requiredKeys: ['key', 'value', 'version', 'modifiedAt'] },
);

describe('a line of NDJSON', () => {
  test('brings back every entry, byte for byte', () => {
    fc.assert(
      fc.property(entries, (given) => {
        const entry = given as Entry<Uint8Array>;
        for (const line of [entryLine(entry), fullEntryLine({ ...entry, rev: 7 })]) {
          expect(line).not.toMatch(/[\n\r]/);
          const { version: _, ...expected } = entry;
          const back = parseRecord(line);
          expect({ ...back, value: [...back.value] }).toEqual({
            ...JSON.parse(JSON.stringify({ ...expected, value: null })),
            value: [...entry.value],
          });
        }
      }),
    );
  });

  test.each([
    ['{"a":1}', '{"a":1}'],
    ['"text"', '"text"'],
    ['null', 'null'],
    ['{ "a": 1 }', '"{ \\"a\\": 1 }","encoding":"text"'],
    ['12345678901234567890', '"12345678901234567890","encoding":"text"'],
    ['-0', '"-0","encoding":"text"'],
    ['{"b":1,"1":2}', '"{\\"b\\":1,\\"1\\":2}","encoding":"text"'],
    ['plain', '"plain","encoding":"text"'],
    ['\ufeff{}', '"\ufeff{}","encoding":"text"'],
    ['', '"","encoding":"text"'],
  ])('shows %j as JSON only where that keeps its bytes', (text, value) => {
    const entry = { key: 'k', value: encoder.encode(text), version: 'v', modifiedAt: 5 };
    expect(entryLine(entry)).toBe(`{"key":"k","value":${value},"modifiedAt":5}`);
  });

  test.each([
    ['{"key":"k","value":1', 'no JSON'],
    ['[1]', 'expected an object with key and value'],
    ['null', 'expected an object with key and value'],
    ['{"value":1}', 'the field key is missing'],
    ['{"key":"k"}', 'the field value is missing'],
    ['{"key":1,"value":1}', 'the field key is 1; expected a string'],
    ['{"key":"k","value":1,"ttl":5}', 'unknown field "ttl"; expected key, value'],
    ['{"key":"k","value":1,"__proto__":{}}', 'unknown field "__proto__"'],
    ['{"key":"k","value":1,"expiresAt":"soon"}', 'expected a time in ms'],
    ['{"key":"k","value":1,"meta":[]}', 'expected an object'],
    ['{"key":"k","value":1,"encoding":"hex"}', "expected 'text' or 'base64'"],
    ['{"key":"k","value":1,"encoding":"base64"}', 'expected a string, as encoding says base64'],
    ['{"key":"k","value":"a b","encoding":"base64"}', 'the value is no base64'],
    ['{"key":"k","value":"\\ud800","encoding":"text"}', 'no well-formed Unicode'],
  ])('refuses %s', (line, message) => {
    expect(() => parseRecord(line)).toThrow(message);
  });
});

async function linesOf(...chunks: (string | Uint8Array)[]): Promise<[number, string, number][]> {
  const source = (async function* () {
    for (const chunk of chunks) yield typeof chunk === 'string' ? encoder.encode(chunk) : chunk;
  })();
  const found: [number, string, number][] = [];
  for await (const { number, text, endsAt } of readLines('import', source))
    found.push([number, text, endsAt]);
  return found;
}

describe('the lines of a stream', () => {
  test('are the same however the stream is cut', async () => {
    const text = '\ufeffa\r\n\nb€c\n   \n😀\u2028d';
    const bytes = encoder.encode(text);
    const whole = await linesOf(bytes);
    expect(whole.map(([number, line]) => [number, line])).toEqual([
      [1, 'a'],
      [3, 'b€c'],
      [5, '😀\u2028d'],
    ]);
    expect(whole.at(-1)?.[2]).toBe(bytes.length);
    for (let at = 0; at <= bytes.length; at++)
      expect(await linesOf(bytes.subarray(0, at), bytes.subarray(at))).toEqual(whole);
    expect(await linesOf(...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  test('are none in an empty stream', async () => {
    expect(await linesOf()).toEqual([]);
    expect(await linesOf('', '\n\n')).toEqual([]);
  });

  test('are refused where they are no UTF-8, by number', async () => {
    await expect(linesOf('a\n', Uint8Array.of(0x62, 0xff), '\n')).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'import: line 2: is no UTF-8',
    });
  });
});
