import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { simulatedEnv } from '../../testing/index.ts';
import { type Compression, gzip, type SealOptions, seal, sealInfo, zstd } from './index.ts';

const key = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const place = { key: 'a/♡', storeId: 'users' };
const samples: Record<string, Uint8Array> = {
  nothing: new Uint8Array(0),
  'one byte': Uint8Array.of(7),
  text: new TextEncoder().encode('to be or not to be, '.repeat(1_000)),
  noise: simulatedEnv(7).randomBytes(5_000),
};
const ways: Record<string, SealOptions> = {
  plain: {},
  'gzip by the host': { compress: gzip() },
  'gzip by Node': { compress: gzip(zlib, { level: 1 }) },
  zstd: { compress: zstd(zlib) },
  encrypted: { keys: { one: key(1) } },
  'gzip and encrypted': { compress: gzip(), keys: { one: key(1) } },
  'zstd and encrypted': { compress: zstd(zlib, { level: 19 }), keys: { one: key(1) } },
};

describe.each(Object.entries(ways))('a seal: %s', (_, options) => {
  it.each(Object.entries(samples))('opens what it sealed: %s', async (__, bytes) => {
    const sealing = seal(options);
    const before = bytes.slice();
    const frozen = await sealing.freeze(bytes, place);
    expect(frozen.length).toBeLessThanOrEqual(bytes.length + (sealing.overheadBytes ?? 0));
    const thawed = await sealing.thaw(frozen, place);
    expect(thawed).toEqual(bytes);
    expect(thawed.constructor).toBe(Uint8Array);
    thawed.fill(1);
    frozen.fill(2);
    expect(bytes).toEqual(before);
  });

  it('finds every changed bit and every missing end', async () => {
    const sealing = seal(options);
    const bytes = new TextEncoder().encode('the quick brown fox, '.repeat(10));
    const frozen = await sealing.freeze(bytes, place);
    for (let at = 0; at < frozen.length; at++) {
      const damaged = frozen.slice();
      damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
      await expect(sealing.thaw(damaged, place), `byte ${at}`).rejects.toMatchObject({
        code: 'corrupt',
      });
    }
    for (let length = 0; length < frozen.length; length++)
      await expect(sealing.thaw(frozen.slice(0, length), place)).rejects.toMatchObject({
        code: 'corrupt',
      });
  });

  it('opens in its place only', async () => {
    const sealing = seal(options);
    const frozen = await sealing.freeze(samples.text as Uint8Array, place);
    const elsewhere = [
      { ...place, key: 'a/♥' },
      { ...place, storeId: 'user' },
      { key: place.key },
      { key: `s${place.key}`, storeId: 'user' },
    ];
    for (const other of elsewhere)
      await expect(sealing.thaw(frozen, other)).rejects.toMatchObject({ code: 'corrupt' });
  });
});

describe('seal', () => {
  const text = samples.text as Uint8Array;

  it('makes smaller what can be, and says so', async () => {
    for (const [name, compress] of [
      ['gzip', gzip()],
      ['zstd', zstd(zlib)],
    ] as const) {
      const sealing = seal({ compress, keys: { one: key(1) } });
      const small = await sealing.freeze(text, place);
      expect(small.length).toBeLessThan(text.length / 10);
      expect(sealInfo(small)).toEqual({ compression: name, keyId: 'one', bytes: text.length });
      const noise = await sealing.freeze(samples.noise as Uint8Array, place);
      expect(sealInfo(noise).compression).toBe('none');
    }
  });

  it('reads what either gzip wrote by the other, and zstd only where it is given', async () => {
    const [host, node] = [seal({ compress: gzip() }), seal({ compress: gzip(zlib) })];
    expect(await host.thaw(await node.freeze(text, place), place)).toEqual(text);
    expect(await node.thaw(await host.freeze(text, place), place)).toEqual(text);
    const packed = await seal({ compress: zstd(zlib) }).freeze(text, place);
    await expect(host.thaw(packed, place)).rejects.toMatchObject({ code: 'unsupported' });
    expect(await seal({ decompress: [zstd(zlib)] }).thaw(packed, place)).toEqual(text);
  });

  it('rotates keys, and tells which key is missing', async () => {
    const old = seal({ keys: { '2025': key(1) } });
    const both = seal({ keys: { '2025': key(1), '2026': key(2) }, keyId: '2026' });
    const next = seal({ keys: { '2026': key(2) } });
    const before = await old.freeze(text, place);
    expect(await both.thaw(before, place)).toEqual(text);
    const after = await both.freeze(text, place);
    expect(sealInfo(after).keyId).toBe('2026');
    expect(await next.thaw(after, place)).toEqual(text);
    await expect(next.thaw(before, place)).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('"2025"'),
    });
    const wrong = seal({ keys: { '2026': key(3) } });
    await expect(wrong.thaw(after, place)).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('reads nothing unencrypted when it has keys, nor the other way round', async () => {
    const [open, secret] = [seal(), seal({ keys: { one: key(1) } })];
    const forged = await open.freeze(text, place);
    await expect(secret.thaw(forged, place)).rejects.toMatchObject({ code: 'corrupt' });
    const frozen = await secret.freeze(text, place);
    await expect(open.thaw(frozen, place)).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('"one"'),
    });
  });

  it('never seals to the same bytes twice, and takes a copy of its keys', async () => {
    const mine = key(1);
    const secret = seal({ keys: { one: mine } });
    mine.fill(9);
    const [first, second] = [await secret.freeze(text, place), await secret.freeze(text, place)];
    expect(first).not.toEqual(second);
    expect(await seal({ keys: { one: key(1) } }).thaw(first, place)).toEqual(text);
  });

  it('writes nothing larger than it reads', async () => {
    const sealing = seal({ maxBytes: 100 });
    const full = await sealing.freeze(text.slice(0, 100), place);
    expect(await sealing.thaw(full, place)).toHaveLength(100);
    await expect(sealing.freeze(text.slice(0, 101), place)).rejects.toMatchObject({
      code: 'invalid-argument',
      key: place.key,
    });
    const large = await seal().freeze(text, place);
    await expect(sealing.thaw(large, place)).rejects.toMatchObject({ code: 'corrupt' });
  });

  const bombs: [string, Compression][] = [
    ['gzip by the host', gzip()],
    ['gzip by Node', gzip(zlib)],
    ['zstd', zstd(zlib)],
  ];
  it.each(bombs)('stops a bomb at the length its header names: %s', async (_, compress) => {
    const zeros = new Uint8Array(64 * 1024 * 1024);
    const liar: Compression = { ...compress, compress: () => compress.compress(zeros) };
    // Smaller than the value, yet the packed form of something far larger.
    const claimed = new Uint8Array(100_000).fill(3);
    const bomb = await seal({ compress: liar }).freeze(claimed, place);
    expect(sealInfo(bomb)).toMatchObject({ compression: compress.name, bytes: 100_000 });
    await expect(seal({ compress }).thaw(bomb, place)).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining(`${compress.name} cannot read`),
    });
  });

  it('refuses options that make no sense', () => {
    const cases: [unknown, RegExp][] = [
      [{ compress: 'gzip' }, /the option compress is "gzip"/],
      [{ keys: {} }, /the option keyId is undefined; expected one of at least one key/],
      [{ keys: { a: key(1), b: key(2) } }, /the option keyId is undefined; expected one of a, b/],
      [{ keys: { a: key(1) }, keyId: 'b' }, /the option keyId is "b"; expected one of a/],
      [{ keys: { a: new Uint8Array(16) } }, /the key "a" is 16 bytes; expected 32 bytes/],
      [{ keys: { ['x'.repeat(65)]: key(1) } }, /a key id is .*; expected 1 to 64 bytes/],
      [{ keyId: 'a' }, /the option keys is undefined/],
      [{ maxBytes: 2 ** 32 }, /the option maxBytes is 4294967296/],
      [{ decompress: [1] }, /the option decompress is an array of 1/],
      [{ secret: 1 }, /unknown option "secret"/],
    ];
    for (const [options, message] of cases) expect(() => seal(options as never)).toThrow(message);
  });

  it('refuses a place that is no text', async () => {
    for (const wrong of [{ key: '\ud800' }, { key: 'a', storeId: '\udc00' }, {}])
      await expect(seal().freeze(text, wrong as never)).rejects.toMatchObject({
        code: 'invalid-argument',
      });
  });
});
