import { equal, fails } from '../assert.ts';
import { type Case, collect } from './case.ts';
import { keyed } from './methods.ts';

/** Keys that are easily taken for one another, or for something else. */
const CONFUSABLE = [
  'a',
  'A',
  ' a',
  'a ',
  'a\u0000',
  'a\u0000b',
  'a/b',
  'a\\b',
  'a:b',
  'a%2Fb',
  'a%00',
  '.',
  '..',
  '../a',
  '/a',
  'con',
  'CON',
  'NUL.txt',
  'é',
  'e\u0301',
  'ß',
  'ss',
  'ẞ',
  'K',
  '\u212a',
  '♡',
  '♥',
  '?',
  '*',
  '[a]',
  '{a}',
  '$a',
  '#a',
  '\u0001',
  '\u007f',
  '\u0080',
  '\ud7ff',
  '\ue000',
  '\uffff',
  '😀',
  '😁',
  '\u{10ffff}',
  '\ufeff',
  '\u2028',
  '__proto__',
  'constructor',
  'toString',
  'then',
  '0',
  '00',
  '-0',
  '1e3',
  '1000',
  'null',
  'undefined',
  'true',
  'x'.repeat(255),
  'x'.repeat(256),
  'x'.repeat(511),
  'x'.repeat(512),
  `${'x'.repeat(511)}y`,
  'ü'.repeat(256),
  '😀'.repeat(128),
];

const encoder = new TextEncoder();

/** The order of the UTF-8 bytes, found the slow way. */
function byBytes(a: string, b: string): number {
  const x = encoder.encode(a);
  const y = encoder.encode(b);
  for (let i = 0; i < Math.min(x.length, y.length); i++)
    if (x[i] !== y[i]) return (x[i] as number) - (y[i] as number);
  return x.length - y.length;
}

const MALFORMED: readonly (readonly [what: string, key: unknown])[] = [
  ['an empty key', ''],
  ['a lone high surrogate', 'a\ud800'],
  ['a lone low surrogate', '\udc00a'],
  ['a reversed pair', '\ude00\ud83d'],
  ['a reserved key', '\u0000'],
  ['a reserved key with a name', '\u0000feed'],
  ['a number', 1],
  ['null', null],
  ['undefined', undefined],
  ['an object', { toString: () => 'a' }],
  ['bytes', Uint8Array.of(97)],
  ['an array', ['a']],
];

/** Which keys there are, that no two of them meet, and their order. */
export const keys: readonly Case[] = [
  {
    name: 'keeps keys apart that are easily confused',
    run: async ({ store, value }) => {
      for (const [n, key] of CONFUSABLE.entries()) await store.set(key, value(n));
      for (const [n, key] of CONFUSABLE.entries())
        equal(await store.get(key), value(n), `the value of ${JSON.stringify(key.slice(0, 12))}`);
      const all = await collect(store.list());
      equal(
        all.map(({ key }) => key),
        [...CONFUSABLE].sort(byBytes),
        'the keys listed',
      );
      for (const { key, value: found } of all)
        equal(found, value(CONFUSABLE.indexOf(key)), `listed ${JSON.stringify(key.slice(0, 12))}`);
      for (const key of CONFUSABLE.slice(0, 30)) await store.delete(key);
      equal(await collect(store.keys()), CONFUSABLE.slice(30).sort(byBytes), 'the keys left');
    },
  },
  {
    name: 'orders keys by their bytes, which is not the order of JavaScript',
    run: async ({ store, value }) => {
      const mixed = [
        '\u{1f600}',
        '\uffee',
        '\ue000',
        'z',
        '\ud7ff',
        'é',
        '\u{10000}',
        'a',
        'B',
        'ab',
      ];
      await store.setMany(mixed.map((key, n) => [key, value(n)] as const));
      const ordered = [
        'B',
        'a',
        'ab',
        'z',
        'é',
        '\ud7ff',
        '\ue000',
        '\uffee',
        '\u{10000}',
        '\u{1f600}',
      ];
      equal(await collect(store.keys()), ordered, 'forwards');
      equal(await collect(store.keys({ reverse: true })), [...ordered].reverse(), 'backwards');
      equal(await collect(store.keys({ gt: '\ue000' })), ordered.slice(7), 'above U+E000');
      equal(await collect(store.keys({ lt: '\u{10000}' })), ordered.slice(0, 8), 'below U+10000');
    },
  },
  {
    name: 'accepts keys up to its longest, and no longer ones, in bytes',
    run: async ({ store, value }) => {
      const { maxKeyBytes } = store.capabilities;
      const longest = ['x'.repeat(maxKeyBytes), '€'.repeat(Math.floor(maxKeyBytes / 3))];
      for (const [n, key] of longest.entries()) {
        await store.set(key, value(n));
        equal(await store.get(key), value(n), 'the value of the longest key');
      }
      const tooLong = ['x'.repeat(maxKeyBytes + 1), '€'.repeat(Math.floor(maxKeyBytes / 3) + 1)];
      for (const key of tooLong) {
        await fails(() => store.set(key, value(1)), 'invalid-argument', 'set of a key too long');
        await fails(() => store.get(key), 'invalid-argument', 'get of a key too long');
      }
      equal((await collect(store.keys())).length, 2, 'keys');
    },
  },
  ...MALFORMED.map(
    ([what, key]): Case => ({
      name: `refuses ${what} in every method, and changes nothing`,
      run: async ({ store, value }) => {
        await store.set('kept', value(1));
        for (const [name, run] of Object.entries(keyed(store, key as string, value(2))))
          await fails(run, 'invalid-argument', name);
        equal(await collect(store.keys()), ['kept'], 'keys');
        equal(await store.get('kept'), value(1), 'the value that was there');
      },
    }),
  ),
];
