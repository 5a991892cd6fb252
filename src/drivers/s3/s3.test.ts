import { existsSync } from 'node:fs';
import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { freePort } from '../../../test/support/redis-server.ts';
import { rootOf, S3Bucket } from '../../../test/support/s3-bucket.ts';
import { broken, changedClient, meddledClient } from '../../../test/support/s3-server.ts';
import { describeStore, json, type Store } from '../../store/index.ts';
import { conformance, modelTest, type StoreFactory, simulatedEnv } from '../../testing/index.ts';
import { type S3Options, s3 } from './index.ts';
import { nameOf } from './names.ts';

/** Thousands of requests each: only where this endpoint is asked for. */
const BULKY = /thousands|large batches|more than one batch/;
const bulky = (process.env.STRATAKV_REQUIRE ?? '').split(',').includes('radosgw');
const test = {
  describe,
  it: (name: string, run: (...context: unknown[]) => Promise<void>): void => {
    if (bulky || !BULKY.test(name)) it(name, run, 120_000);
    else it.skip(`${name} (skipped: thousands of requests; STRATAKV_REQUIRE=radosgw runs it)`, run);
  },
};

describeWithEngine('radosgw', 's3', () => {
  const on = new S3Bucket();

  function factory(options: Partial<S3Options> = {}): StoreFactory<unknown> {
    const open = (prefix: string): Store<unknown> =>
      s3({
        client: on.client,
        bucket: on.name,
        prefix,
        timeoutMs: 60_000,
        ...options,
      }) as Store<unknown>;
    const prefixOf = (store: Store<unknown>): string =>
      String(describeStore(store).details?.prefix);
    return {
      create: () => open(crypto.randomUUID()),
      reopen: async (store) => {
        await store.close();
        return open(prefixOf(store));
      },
      second: async (store) => open(prefixOf(store)),
      required: requiredCapabilities.s3,
    };
  }

  function open(options: Partial<S3Options> = {}): Store<number> {
    const prefix = crypto.randomUUID();
    return s3({ client: on.client, bucket: on.name, prefix, codec: json<number>(), ...options });
  }
  conformance({ name: 's3', test, factory: factory() });

  const env = simulatedEnv();
  modelTest({
    name: 's3, in simulated time',
    test,
    fc,
    factory: { ...factory({ env }), env },
    runs: 12,
    maxCommands: 25,
  });

  describe('what goes wrong', () => {
    it('says denied for a wrong secret', async () => {
      const credentials = { accessKeyId: 'AK', secretAccessKey: 'wrong' };
      const store = open({ client: on.server.client({ credentials }) });
      await expect(store.get('a')).rejects.toMatchObject({ code: 'denied' });
      await expect(store.set('a', 1)).rejects.toMatchObject({ code: 'denied' });
    });

    it('says unavailable for a missing bucket, by its name, and makes it only when asked', async () => {
      const missing = `missing-${crypto.randomUUID()}`;
      const store = open({ bucket: missing });
      const error = { code: 'unavailable', message: expect.stringContaining(missing) };
      await expect(store.get('a')).rejects.toMatchObject(error);
      await expect(store.set('a', 1)).rejects.toMatchObject(error);
      await expect(store.keys()[Symbol.asyncIterator]().next()).rejects.toMatchObject(error);
      const made = open({ bucket: missing, create: true });
      expect(await made.get('a')).toBeUndefined();
      await made.set('a', 1);
      const again = open({ bucket: missing, create: true });
      await again.set('b', 2);
      expect(await store.get('a')).toBeUndefined();
    });

    it('says unavailable where nobody listens, and tries again at the next call', async () => {
      const away = on.server.client({
        endpoint: `http://127.0.0.1:${await freePort()}`,
        maxAttempts: 1,
      });
      const store = open({ client: away });
      for (let n = 0; n < 2; n++) {
        await expect(store.get('a')).rejects.toMatchObject({
          code: 'unavailable',
          retryable: true,
        });
        await expect(store.set('a', 1)).rejects.toMatchObject({ code: 'unavailable' });
      }
    });

    it('refuses an endpoint that ignores conditions, unless it is to do without', async () => {
      const careless = changedClient(on.server, (_, input) => {
        delete input.IfMatch;
        delete input.IfNoneMatch;
      });
      const store = open({ client: careless });
      await expect(store.set('a', 1)).rejects.toMatchObject({ code: 'unsupported' });
      expect(await on.stored(store)).toEqual([]);
      const plain = open({ client: careless, conditional: 'none' });
      await plain.set('a', 1);
      await plain.set('a', 2);
      expect(await plain.get('a')).toBe(2);
      await expect(plain.set('a', 3, { if: 'absent' })).rejects.toMatchObject({
        code: 'unsupported',
      });
      expect(await plain.delete('a')).toBe(true);
      expect(await on.stored(plain)).toEqual([]);
    });

    it('writes once, although the answer was lost', async () => {
      let losses = 0;
      const store = open({
        client: meddledClient(on.server, async ({ command, input, send }) => {
          const reply = await send();
          const isEntry = !String(input.Key).includes('.probe');
          if (command === 'PutObjectCommand' && isEntry && losses++ === 0) throw broken();
          return reply;
        }),
      });
      const { version } = await store.set('a', 1, { if: 'absent' });
      expect(losses).toBe(1);
      expect(await store.getEntry('a')).toMatchObject({ value: 1, version });
    });

    /** A store whose first write of an entry breaks off, before or after it is carried out. */
    function breaking(
      when: 'before' | 'after',
      meanwhile: (other: Store<number>) => Promise<void>,
    ) {
      const other = open();
      const prefix = String(describeStore(other).details?.prefix);
      let writes = 0;
      const meddled = meddledClient(on.server, async ({ command, input, send }) => {
        const isEntry = !String(input.Key).includes('.probe');
        if (command !== 'PutObjectCommand' || !isEntry || writes++ > 0) return send();
        if (when === 'after') await send();
        await meanwhile(other);
        throw broken();
      });
      return { other, store: open({ prefix, client: meddled }) };
    }

    it('knows that it was carried out from the write that replaced it', async () => {
      const { store } = breaking('after', async (other) => void (await other.set('a', 2)));
      await store.set('a', 1, { if: 'absent' });
      expect(await store.get('a')).toBe(2);
    });

    it('knows that it was not carried out from the write that came first', async () => {
      const { store, other } = breaking('before', async () => void (await other.set('a', 2)));
      const { version } = await other.set('a', 0);
      await expect(store.set('a', 1, { if: { version } })).rejects.toMatchObject({
        code: 'conflict',
      });
      expect(await store.get('a')).toBe(2);
      const again = breaking('before', async (third) => void (await third.set('a', 2)));
      await again.store.set('a', 1);
      expect(await again.other.get('a')).toBe(1);
    });

    it('says unknown-outcome when what stands does not tell', async () => {
      for (const when of ['before', 'after'] as const) {
        const { store, other } = breaking(when, async () => {
          await other.delete('a');
          await other.set('a', 3);
        });
        await other.set('a', 0);
        await expect(store.set('a', 1)).rejects.toMatchObject({
          code: 'unknown-outcome',
          key: 'a',
        });
        expect(await store.get('a')).toBe(3);
      }
    });

    it('names the last versions before each, so that a busy key leaves no doubt', async () => {
      const { store, other } = breaking('after', async () => {
        for (let n = 2; n < 9; n++) await other.set('a', n);
      });
      await other.set('a', 0);
      await store.set('a', 1);
      expect(await store.get('a')).toBe(8);
    });

    it('says unknown-outcome when no answer comes at all', async () => {
      for (const carriesOut of [true, false]) {
        const silent = meddledClient(on.server, async ({ command, input, send }) => {
          const isEntry = !String(input.Key).includes('.probe');
          if (!/Put|Delete/.test(command) || !isEntry) return send();
          if (carriesOut) await send().catch(() => undefined);
          throw broken();
        });
        const store = open({ client: silent });
        // What stands says that it was carried out.
        if (carriesOut) await store.set('a', 1);
        else await expect(store.set('a', 1)).rejects.toMatchObject({ code: 'unknown-outcome' });
        expect(await store.get('a')).toBe(carriesOut ? 1 : undefined);
        if (!carriesOut) continue;
        await expect(store.delete('a')).rejects.toMatchObject({ code: 'unknown-outcome' });
        expect(await store.get('a')).toBeUndefined();
      }
    });

    it('does not apply what was given up before it was sent', async () => {
      const controller = new AbortController();
      const store = open({
        client: meddledClient(on.server, async ({ command, send }) => {
          try {
            return await send();
          } finally {
            if (command === 'GetObjectCommand') controller.abort();
          }
        }),
      });
      const { signal } = controller;
      await expect(store.set('a', 1, { signal })).rejects.toMatchObject({ code: 'aborted' });
      await store.close();
      expect(await on.stored(store)).toEqual([]);
    });

    it('reads again what broke off, and no refusal', async () => {
      let requests = 0;
      const store = open({
        client: meddledClient(on.server, async ({ command, send }) => {
          if (command === 'GetObjectCommand' && ++requests % 2 === 1) throw broken();
          return send();
        }),
      });
      await store.set('a', 1);
      expect(await store.get('a')).toBe(1);
      const wrong = { accessKeyId: 'AK', secretAccessKey: 'wrong' };
      let sent = 0;
      const refused = on.server.client({ credentials: wrong });
      refused.middlewareStack.add(
        (next) => (args) => {
          sent++;
          return next(args);
        },
        { step: 'deserialize', name: 'count' },
      );
      await expect(open({ client: refused }).get('a')).rejects.toMatchObject({ code: 'denied' });
      expect(sent).toBe(1);
    });

    it('tells an object without content', async () => {
      const store = open();
      const Key = rootOf(store) + nameOf('a');
      await on.client.send(new PutObjectCommand({ Bucket: on.name, Key, Body: '' }));
      await expect(store.get('a')).rejects.toMatchObject({ code: 'corrupt', key: 'a' });
      await store.set('a', 1);
      expect(await store.get('a')).toBe(1);
    });

    it('tells damage, which can be replaced and removed, unconditionally', async () => {
      const store = open();
      for (const damage of [5, 30, -1]) {
        const { version } = await store.set('a', 123_456);
        const Key = rootOf(store) + nameOf('a');
        const { Body } = await on.client.send(new GetObjectCommand({ Bucket: on.name, Key }));
        const bytes = (await Body?.transformToByteArray()) as Uint8Array;
        const at = damage < 0 ? bytes.lastIndexOf(0x36) : damage;
        bytes[at] = (bytes[at] as number) ^ 1;
        await on.client.send(new PutObjectCommand({ Bucket: on.name, Key, Body: bytes }));
        await expect(store.get('a')).rejects.toMatchObject({ code: 'corrupt', key: 'a' });
        const conditional = store.set('a', 2, { if: { version } });
        if (damage >= 0) await expect(conditional).rejects.toMatchObject({ code: 'corrupt' });
        else await conditional;
        await store.set('a', 3);
        expect(await store.get('a')).toBe(3);
        await store.delete('a');
      }
    });
  });

  it('lists in both directions over many pages, and nothing of others', async () => {
    const small = changedClient(on.server, (command, input) => {
      if (command === 'ListObjectsV2Command') input.MaxKeys = 3;
    });
    const store = open({ client: small });
    const keys = Array.from({ length: 20 }, (_, n) => `k${String(n).padStart(2, '0')}`);
    await store.setMany(keys.map((key, n) => [key, n] as const));
    for (const name of ['a b+c', 'ü\u0001', `x/${nameOf('k01')}`, '-'])
      await on.client.send(
        new PutObjectCommand({ Bucket: on.name, Key: rootOf(store) + name, Body: 'other' }),
      );
    const collect = async (range: object): Promise<string[]> => {
      const found: string[] = [];
      for await (const key of store.keys(range)) found.push(key);
      return found;
    };
    expect(await collect({})).toEqual(keys);
    expect(await collect({ reverse: true })).toEqual(keys.toReversed());
    expect(await collect({ reverse: true, limit: 5, lt: 'k15', gte: 'k02' })).toEqual(
      keys.slice(10, 15).toReversed(),
    );
    expect(await collect({ gt: 'k03', lte: 'k07' })).toEqual(keys.slice(4, 8));
  });

  it('leaves a mark after a conditional delete, which is no entry, and none after another', async () => {
    const store = open();
    const { version } = await store.set('a', 1);
    await store.set('b', 2);
    expect(await store.delete('a', { if: { version } })).toBe(true);
    expect(await store.delete('b')).toBe(true);
    expect(await on.stored(store)).toEqual([nameOf('a')]);
    expect(await store.get('a')).toBeUndefined();
    expect(await store.delete('a')).toBe(false);
    await expect(store.set('a', 2, { if: { version } })).rejects.toMatchObject({
      code: 'conflict',
    });
    await store.set('a', 3, { if: 'absent' });
    await expect(store.set('a', 4, { if: 'absent' })).rejects.toMatchObject({ code: 'conflict' });
    expect(await store.get('a')).toBe(3);
  });

  it('holds values of many megabytes, and long metadata', async () => {
    const prefix = crypto.randomUUID();
    const store = s3({ client: on.client, bucket: on.name, prefix, timeoutMs: 60_000 });
    const value = new Uint8Array(24 * 1024 * 1024).map((_, at) => at % 251);
    const meta = { text: 'm'.repeat(16_000) };
    await store.set('a', value, { meta, ttlMs: 3_600_000 });
    const found = await store.getEntry('a');
    expect(Buffer.compare(found?.value as Uint8Array, value)).toBe(0);
    expect(found?.meta).toEqual(meta);
    const keys: string[] = [];
    for await (const key of store.keys()) keys.push(key);
    expect(keys).toEqual(['a']);
  });

  const built = new URL('../../../dist/drivers/s3/index.js', import.meta.url);
  // Skipped where nothing is built, as the tests' own command does before.
  it.skipIf(!existsSync(built))('does as it is built what it does as it is written', async () => {
    const { s3: packaged } = (await import(built.href)) as typeof import('./index.ts');
    const store = packaged({ client: on.client, bucket: on.name, prefix: crypto.randomUUID() });
    const value = new Uint8Array([1, 2, 3]);
    const { version } = await store.set('a', value);
    expect(await store.getEntry('a')).toMatchObject({ value, version });
    const keys: string[] = [];
    for await (const key of store.keys()) keys.push(key);
    expect(keys).toEqual(['a']);
    expect(await store.delete('a', { if: { version } })).toBe(true);
  });

  it('refuses options that make no sense', () => {
    for (const options of [
      { prefix: '' },
      { prefix: 'a//b' },
      { prefix: '../a' },
      { prefix: 'x'.repeat(129) },
      { client: {} as S3Client },
      { conditional: 'set' as 'all' },
      { bucket: '' },
    ])
      expect(() => open(options)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
