import {
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { expect, it, vi } from 'vitest';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { rootOf, S3Bucket } from '../../../test/support/s3-bucket.ts';
import { broken, meddledClient } from '../../../test/support/s3-server.ts';
import { describeStore, type Store } from '../../store/index.ts';
import { systemEnv } from '../../store/system-env.ts';
import { type S3Options, s3 } from './index.ts';
import { nameOf } from './names.ts';

const MiB = 1024 * 1024;
const DAY_MS = 86_400_000;

describeWithEngine('radosgw', 's3, large values', () => {
  const on = new S3Bucket();

  const open = (options: Partial<S3Options> = {}): Store<Uint8Array> =>
    s3({
      client: on.client,
      bucket: on.name,
      prefix: crypto.randomUUID(),
      timeoutMs: 60_000,
      ...options,
    });
  /** Bytes that no two parts have alike. */
  const large = (seed: number): Uint8Array => {
    const block = new Uint8Array(4_093).map((_, at) => (at * 31 + seed) % 251);
    return new Uint8Array(Buffer.alloc(33 * MiB, block));
  };

  async function uploads(store: Store<Uint8Array>): Promise<string[]> {
    const Prefix = rootOf(store);
    const command = new ListMultipartUploadsCommand({ Bucket: on.name, Prefix });
    const { Uploads = [] } = await on.client.send(command);
    return Uploads.map(({ Key }) => String(Key).slice(Prefix.length));
  }

  async function expectHeld(store: Store<Uint8Array>, key: string, value: Uint8Array) {
    const found = await store.get(key);
    expect(Buffer.compare(found as Uint8Array, value)).toBe(0);
  }

  /**
   * A client of an endpoint that heeds conditions at the end of an upload, as radosgw does not: it
   * looks before it lets the request pass. Counts requests, and lets a test meddle before that.
   */
  function heeding(
    counts: Record<string, number>,
    meddle: (command: string, send: () => Promise<unknown>) => Promise<unknown> = (_, send) =>
      send(),
  ): S3Client {
    return meddledClient(on.server, ({ command, input, send }) => {
      counts[command] = (counts[command] ?? 0) + 1;
      if (command !== 'CompleteMultipartUploadCommand') return meddle(command, send);
      return meddle(command, async () => {
        const { Bucket, Key, IfMatch, IfNoneMatch } = input as Record<string, string>;
        const head = new HeadObjectCommand({ Bucket, Key });
        const etag = await on.client.send(head).then(
          ({ ETag }) => ETag?.replaceAll('"', ''),
          () => undefined,
        );
        const wanted = IfMatch?.replaceAll('"', '');
        if ((IfNoneMatch !== undefined && etag !== undefined) || (IfMatch && wanted !== etag))
          throw Object.assign(new Error('At least one condition did not hold'), {
            name: 'PreconditionFailed',
            $metadata: { httpStatusCode: 412 },
          });
        return send();
      });
    });
  }

  it('go in one request where the end of an upload ignores conditions', async () => {
    const counts: Record<string, number> = {};
    const store = open({
      client: meddledClient(on.server, ({ command, send }) => {
        counts[command] = (counts[command] ?? 0) + 1;
        return send();
      }),
    });
    await store.set('a', large(1));
    await expectHeld(store, 'a', large(1));
    // Those of the trial.
    expect(counts.UploadPartCommand).toBe(1);
    expect(await uploads(store)).toEqual([]);
    const { version } = await store.set('a', large(2));
    await expect(store.set('a', large(3), { if: 'absent' })).rejects.toMatchObject({
      code: 'conflict',
    });
    await store.set('a', large(3), { if: { version } });
    await expectHeld(store, 'a', large(3));
  }, 120_000);

  it('go in parts where nothing is promised, and where the end heeds conditions', async () => {
    for (const conditional of ['none', 'all'] as const) {
      const counts: Record<string, number> = {};
      const store = open({ conditional, client: heeding(counts) });
      await store.set('a', large(1), { meta: { n: 1 }, ttlMs: DAY_MS });
      expect(counts.UploadPartCommand).toBeGreaterThanOrEqual(5);
      expect((await store.getEntry('a'))?.meta).toEqual({ n: 1 });
      await expectHeld(store, 'a', large(1));
      await store.set('a', large(2));
      await expectHeld(store, 'a', large(2));
      expect(await store.keys()[Symbol.asyncIterator]().next()).toMatchObject({ value: 'a' });
      expect(await store.delete('a')).toBe(true);
      expect(await uploads(store)).toEqual([]);
    }
  }, 120_000);

  it('replace only what was read, and leave no parts where another came first', async () => {
    const counts: Record<string, number> = {};
    const store = open({ client: heeding(counts) });
    const { version } = await store.set('a', large(1));
    const other = open({ prefix: String(describeStore(store).details?.prefix) });
    const small = new Uint8Array([1]);
    let raced = false;
    const racing = open({
      prefix: String(describeStore(store).details?.prefix),
      client: heeding(counts, async (command, send) => {
        if (command === 'CompleteMultipartUploadCommand' && !raced && counts.UploadPartCommand) {
          const isEntry = counts.UploadPartCommand > 7;
          raced = isEntry;
          if (isEntry) await other.set('a', small);
        }
        return send();
      }),
    });
    await expect(racing.set('a', large(2), { if: { version } })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(await store.get('a')).toEqual(small);
    expect(await uploads(store)).toEqual([]);
    await racing.set('a', large(3));
    await expectHeld(store, 'a', large(3));
  }, 120_000);

  it('are whole once they are there, although answers are lost and parts fail', async () => {
    const counts: Record<string, number> = {};
    const failed = new Set<string>();
    const store = open({
      client: heeding(counts, async (command, send) => {
        const nth = `${command} ${counts[command]}`;
        const isTrial = (counts.UploadPartCommand ?? 0) < 2;
        if (isTrial || failed.has(command)) return send();
        failed.add(command);
        // A part is lost on its way, the answer to the end on its way back.
        if (command === 'CompleteMultipartUploadCommand') await send();
        throw Object.assign(broken(), { nth });
      }),
    });
    const { version } = await store.set('a', large(1), { if: 'absent' });
    expect(failed).toContain('CompleteMultipartUploadCommand');
    expect(failed).toContain('UploadPartCommand');
    expect((await store.getEntry('a'))?.version).toBe(version);
    await expectHeld(store, 'a', large(1));
    expect(await uploads(store)).toEqual([]);
  }, 120_000);

  it('leave nothing behind when they fail, and change nothing', async () => {
    const counts: Record<string, number> = {};
    const store = open({
      client: heeding(counts, (command, send) => {
        if (command === 'UploadPartCommand' && (counts.UploadPartCommand ?? 0) > 3) throw broken();
        return send();
      }),
    });
    const small = new Uint8Array([7]);
    await store.set('a', small);
    await expect(store.set('a', large(1))).rejects.toMatchObject({ code: 'unavailable' });
    expect(await store.get('a')).toEqual(small);
    expect(await uploads(store)).toEqual([]);
  }, 120_000);

  it('of a process that died are given up a day later, and nothing of others', async () => {
    const store = open({ conditional: 'none' });
    const begin = (name: string) =>
      on.client.send(
        new CreateMultipartUploadCommand({ Bucket: on.name, Key: rootOf(store) + name }),
      );
    const left = ['left behind', 'another'].map(nameOf);
    for (const name of [...left, 'not ours!']) await begin(name);
    await store.set('a', large(1));
    expect((await uploads(store)).sort()).toEqual([...left, 'not ours!'].sort());
    const tomorrow = { ...systemEnv, now: () => Date.now() + DAY_MS + 60_000 };
    const prefix = String(describeStore(store).details?.prefix);
    // The first that is to be given up is refused, and keeps no other from it.
    let refused: string | undefined;
    const refusing = meddledClient(on.server, ({ command, input, send }) => {
      if (command === 'AbortMultipartUploadCommand') refused ??= String(input.Key);
      if (command !== 'AbortMultipartUploadCommand' || input.Key !== refused) return send();
      throw Object.assign(new Error('no'), {
        name: 'AccessDenied',
        $metadata: { httpStatusCode: 403 },
      });
    });
    const later = open({ prefix, conditional: 'none', env: tomorrow, client: refusing });
    await later.set('b', large(2));
    await vi.waitUntil(async () => (await uploads(store)).length < 3, { timeout: 20_000 });
    const stays = refused?.slice(rootOf(store).length);
    expect(left).toContain(stays);
    expect((await uploads(store)).sort()).toEqual([stays, 'not ours!'].sort());
    await open({ prefix, conditional: 'none', env: tomorrow }).set('c', large(3));
    await vi.waitUntil(async () => (await uploads(store)).length < 2, { timeout: 20_000 });
    expect(await uploads(store)).toEqual(['not ours!']);
    await expectHeld(store, 'b', large(2));
  }, 120_000);
});
