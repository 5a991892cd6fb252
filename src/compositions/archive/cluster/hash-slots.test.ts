import { expect, it } from 'vitest';
import { SLOTS, slotOf, tagOf } from './hash-slots.ts';

const slot = (key: string): number => slotOf(Buffer.from(key));

it('gives keys the slots that Redis gives them', () => {
  // CLUSTER KEYSLOT of a server of version 7.0.
  expect(slot('123456789')).toBe(12_739);
  expect(slot('foo')).toBe(12_182);
  expect(slot('')).toBe(0);
  expect(slot('{foo}.bar')).toBe(slot('foo'));
  expect(slot('a{foo}{bar}')).toBe(slot('foo'));
  expect(slot('a{{foo}}')).toBe(slot('{foo'));
  expect(slot('{}foo')).not.toBe(slot('foo'));
  expect(slot('}{foo')).toBe(3_840);
  expect(slotOf(Uint8Array.of(0xff, 0, 0xfe))).toBe(434);
});

it('has a text for every slot, the same at all times', () => {
  for (let n = 0; n < SLOTS; n++) expect(slot(`a:{${tagOf(n)}}:b`)).toBe(n);
  expect([0, 1, 8_191, 16_383].map(tagOf)).toEqual(['1bz', 'emj', '7ho', 'hia']);
});
