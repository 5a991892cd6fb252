import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, hexRows, toHex } from './hex.ts';
import { editableText, layOut, NumberLiteral, parseEdited, preview, readValue } from './value.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('readValue', () => {
  test.each([
    ['{"a":1}', 'json'],
    ['"text"', 'json'],
    ['12', 'json'],
    ['# Title\n\ttext', 'text'],
    ['{broken', 'text'],
    ['', 'text'],
    ['a\u0000b', 'hex'],
  ])('sees %j as %s', (text, form) => {
    expect(readValue(utf8(text)).form).toBe(form);
  });

  test('sees bytes that are no UTF-8 as hex, and has no text for them', () => {
    const value = readValue(Uint8Array.of(0xff, 0xfe));
    expect(value.form).toBe('hex');
    expect(value.text).toBeUndefined();
  });

  test('keeps a number as it is written where JavaScript would change it', () => {
    const { json } = readValue(utf8('[9007199254740993,1.0,1e400,0.1,-0]'));
    expect(json?.value).toEqual([
      new NumberLiteral('9007199254740993'),
      1,
      new NumberLiteral('1e400'),
      0.1,
      -0,
    ]);
  });

  test('keeps a byte order mark', () => {
    const bytes = utf8('\ufeffa');
    expect(parseEdited(editableText(readValue(bytes), 'text'), 'text')).toEqual(bytes);
  });
});

describe('an edited value', () => {
  test('unchanged gives the same bytes in any form', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(parseEdited(toHex(bytes), 'hex')).toEqual(bytes);
        const value = readValue(bytes);
        if (value.text !== undefined) expect(parseEdited(value.text, 'text')).toEqual(bytes);
      }),
    );
  });

  test.each([
    ['{"a":', 'json'],
    ['0', 'hex'],
    ['0g', 'hex'],
    ['\ud800', 'text'],
  ] as const)('%j is refused as %s, with the reason', (text, form) => {
    expect(parseEdited(text, form)).toEqual({ reason: expect.stringMatching(/\w+/) });
  });
});

describe('layOut', () => {
  test('changes nothing but the blanks', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(JSON.parse(layOut(text))).toEqual(JSON.parse(text));
      }),
    );
    expect(layOut('{"a":[1,{}, []],"b" :9007199254740993}')).toBe(
      '{\n  "a": [\n    1,\n    {},\n    []\n  ],\n  "b": 9007199254740993\n}',
    );
  });

  test('lays out what is laid out the same again', () => {
    fc.assert(fc.property(fc.json(), (text) => layOut(layOut(text)) === layOut(text)));
  });
});

describe('hex', () => {
  test('rows have offset, pairs and what can be printed', () => {
    const bytes = Uint8Array.from({ length: 18 }, (_, i) => i + 0x5a);
    expect(hexRows(bytes, 100)).toEqual([
      {
        offset: '00000000',
        hex: '5a 5b 5c 5d 5e 5f 60 61  62 63 64 65 66 67 68 69',
        text: 'Z[\\]^_`abcdefghi',
      },
      { offset: '00000010', hex: '6a 6b  ', text: 'jk' },
    ]);
    expect(hexRows(bytes, 16)).toHaveLength(1);
  });

  test('is read with any blanks', () => {
    expect(fromHex(' 0A\n0b0C ')).toEqual(Uint8Array.of(10, 11, 12));
  });
});

test('a preview is one line, of text where the bytes are', () => {
  expect(preview(utf8('{\n  "a": 1\n}'))).toBe('{ "a": 1 }');
  expect(preview(utf8('ä'.repeat(100)), 21)).toMatch(/^ä{10}/);
  expect(preview(Uint8Array.of(0xff, 0, 1, 2, 3, 4))).toBe('ff 00 01 02 03 04');
});
