import { expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import { type Codec, json, type Store } from '../store/index.ts';
import { channelPair, publish, subscribe } from '../sync/index.ts';
import { encoded } from './encoded/index.ts';
import { observed } from './observed/index.ts';
import { prefixed } from './prefixed.ts';
import { readonly } from './readonly.ts';

/** JSON that counts how often it is used. */
function counted(): { codec: Codec<string>; uses(): number } {
  const codec = json<string>();
  let uses = 0;
  return {
    uses: () => uses,
    codec: {
      name: 'json',
      encode(value) {
        uses++;
        return codec.encode(value);
      },
      decode(bytes) {
        uses++;
        return codec.decode(bytes);
      },
    },
  };
}

it('replication moves bytes through layers undecoded, within the prefix of each', async () => {
  const [from, to] = [counted(), counted()];
  const [outer, inner] = [memory<Uint8Array>(), memory<Uint8Array>()];
  const source = encoded(prefixed(outer, 'here/'), { codec: from.codec });
  await source.set('a', 'one', { meta: { by: 'ada' } });
  await outer.set('elsewhere', new Uint8Array(1));
  const published = readonly(observed(source)) as unknown as Store<string>;
  const publication = publish(published);
  const copy = prefixed(encoded(observed(inner), { codec: to.codec }), 'there/');
  const [here, there] = channelPair();
  publication.accept(there);
  const subscription = subscribe(here, copy);
  await subscription.ready;
  await source.set('b', 'two');
  await expect.poll(() => inner.has('there/b')).toBe(true);
  expect([from.uses(), to.uses()]).toEqual([2, 0]);
  const entries = await Array.fromAsync(copy.list());
  expect(entries).toMatchObject([
    { key: 'a', value: 'one', meta: { by: 'ada' } },
    { key: 'b', value: 'two' },
  ]);
  await subscription.close();
  await copy.close();
  await published.close();
});
