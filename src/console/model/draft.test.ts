import { expect, test } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import type { Store } from '../../store/store.ts';
import { Draft, type DraftHome } from './draft.ts';
import { type SourceEntry, sourceEntry } from './source-entry.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

class Home implements DraftHome {
  readonly remote: Store<Uint8Array> = memory<Uint8Array>();

  async entry(key: string): Promise<SourceEntry | undefined> {
    const entry = await this.remote.getEntry(key);
    return entry && sourceEntry(entry);
  }

  async text(key: string): Promise<string | undefined> {
    const value = await this.remote.get(key);
    return value && new TextDecoder().decode(value);
  }
}

async function editing(text: string, options = {}): Promise<{ home: Home; draft: Draft }> {
  const home = new Home();
  await home.remote.set('k', utf8(text), options);
  return { home, draft: new Draft(home, await home.entry('k')) };
}

test('is saved over the version it began from; metadata and expiry stay', async () => {
  const expiresAt = Date.now() + 60_000;
  const { home, draft } = await editing('{"a":1}', { meta: { m: 1 }, expiresAt });
  expect(draft.isChanged).toBe(false);
  draft.text.value = '{"a":2}';
  expect(draft.isChanged).toBe(true);
  expect(await draft.save()).toBe(true);
  expect(await home.text('k')).toBe('{"a":2}');
  expect(await home.entry('k')).toMatchObject({ meta: { m: 1 }, expiresAt });
});

test('never replaces unawares what others wrote', async () => {
  const { home, draft } = await editing('"old"');
  draft.text.value = '"mine"';
  await home.remote.set('k', utf8('"theirs"'));
  expect(await draft.save()).toBe(false);
  expect(await home.text('k')).toBe('"theirs"');
  expect(draft.theirs.value?.refused).toBe(true);
  expect(draft.text.value).toBe('"mine"');
  draft.seen(await home.entry('k'));
  expect(draft.theirs.value?.refused).toBe(true);
  await home.remote.set('k', utf8('"theirs again"'));
  // What is overwritten is what was shown, nothing newer.
  expect(await draft.overwrite()).toBe(false);
  expect(await home.text('k')).toBe('"theirs again"');
  expect(await draft.overwrite()).toBe(true);
  expect(await home.text('k')).toBe('"mine"');
});

test('goes on from what others wrote', async () => {
  const { home, draft } = await editing('"old"');
  await home.remote.set('k', utf8('text'));
  draft.seen(await home.entry('k'));
  expect(draft.theirs.value?.refused).toBe(false);
  draft.takeTheirs();
  expect([draft.text.value, draft.form.value, draft.isChanged]).toEqual(['text', 'text', false]);
  draft.text.value = 'text, and more';
  expect(await draft.save()).toBe(true);
});

test('a deleted entry is not brought back unasked', async () => {
  const { home, draft } = await editing('1');
  await home.remote.delete('k');
  draft.text.value = '2';
  expect(await draft.save()).toBe(false);
  expect(await home.text('k')).toBeUndefined();
  expect(draft.theirs.value).toEqual({ refused: true });
  expect(await draft.overwrite()).toBe(true);
  expect(await home.text('k')).toBe('2');
});

test('a new key replaces nothing', async () => {
  const home = new Home();
  await home.remote.set('k', utf8('there'));
  const draft = new Draft(home);
  draft.key.value = 'k';
  draft.text.value = '1';
  expect(await draft.save()).toBe(false);
  expect(draft.theirs.value?.refused).toBe(true);
  expect(await home.text('k')).toBe('there');
});

test.each<[string, (draft: Draft) => void, RegExp]>([
  ['no JSON', (draft) => (draft.text.value = '{'), /no JSON/],
  ['metadata that is no object', (draft) => (draft.meta.value = '[1]'), /no JSON object/],
  ['metadata that is no JSON', (draft) => (draft.meta.value = '{'), /metadata is no JSON/],
  ['an empty key', (draft) => (draft.key.value = ''), /at least one character/],
  ['an end in the past', (draft) => (draft.expiresAt.value = 5), /moment is past/],
])('%s is said and changes nothing', async (_, spoil, words) => {
  const home = new Home();
  const draft = new Draft(home);
  draft.key.value = 'k';
  draft.text.value = '1';
  spoil(draft);
  expect(await draft.save()).toBe(false);
  expect(draft.problem.value).toMatch(words);
  expect(await home.text('k')).toBeUndefined();
});

test('changes form by its bytes, and says where it cannot', async () => {
  const { draft } = await editing('{"a":1}');
  draft.changeForm('hex');
  expect(draft.text.value).toBe('7b 22 61 22 3a 31 7d');
  expect(draft.isChanged).toBe(false);
  draft.text.value = 'ff';
  draft.changeForm('text');
  expect([draft.form.value, draft.problem.value]).toEqual([
    'hex',
    'These bytes are no text in UTF-8',
  ]);
  draft.text.value = '41';
  draft.changeForm('text');
  expect([draft.form.value, draft.text.value]).toEqual(['text', 'A']);
});
