import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { oneAttempt } from '../../kernel/one-attempt.ts';
import { pause } from '../../kernel/pause.ts';
import { isInDoubt } from '../../kernel/request-failures.ts';
import type { Call } from '../../store/call.ts';
import { failure } from '../../store/errors.ts';
import { isMissing, isTooShort, toStrataError } from './failures.ts';

/** Times that a request is sent that may be repeated, beside what the client does of its own accord. */
const TRIES = 3;

/** The state of an object that a write replaces: its tag, or none. */
export type Replaced = { readonly etag: string } | 'absent';

/** What is to stand where an object is written; nothing where anything may. */
export interface Condition {
  readonly IfMatch?: string;
  readonly IfNoneMatch?: string;
}

/** What was read of an object. */
export interface Fetched {
  /** All of it, or its beginning. */
  readonly bytes: Uint8Array;
  /** Of the whole object. */
  readonly size: number;
  /** Names this state of the object, as the endpoint wrote it. */
  readonly etag: string;
}

export interface Listed {
  /** The object's name, after the root. */
  readonly name: string;
  readonly size: number;
}

/** Where a listing goes on. */
export type ListFrom = { readonly after: string } | { readonly token: string } | undefined;

export interface ListedPage {
  readonly objects: readonly Listed[];
  readonly next: ListFrom;
}

/** The requests of a store: to one bucket, for objects whose names begin with one root. */
export class Requests {
  readonly client: S3Client;
  readonly bucket: string;
  /** All names of the store begin with it. */
  readonly root: string;

  constructor(client: S3Client, bucket: string, root: string) {
    this.client = client;
    this.bucket = bucket;
    this.root = root;
  }

  /** An object, or its first `length` bytes. Failures are `StrataError`s. */
  async get(name: string, call: Call, key?: string, length?: number): Promise<Fetched | undefined> {
    const Range = length === undefined ? undefined : `bytes=0-${length - 1}`;
    return this.repeat(call, key, async () => {
      try {
        const reply = await this.client.send(
          new GetObjectCommand({ ...this.at(name), ...(Range && { Range }) }),
          { abortSignal: call.signal },
        );
        const bytes = (await reply.Body?.transformToByteArray()) ?? new Uint8Array(0);
        const whole = Number(/\/(\d+)$/.exec(reply.ContentRange ?? '')?.[1] ?? bytes.length);
        const due = length === undefined ? reply.ContentLength : Math.min(length, whole);
        if (due !== undefined && bytes.length < due)
          throw new Error(`the answer ended after ${bytes.length} of ${due} bytes`);
        return { bytes, size: whole, etag: reply.ETag ?? '' };
      } catch (error) {
        if (isMissing(error)) return undefined;
        if (length !== undefined && isTooShort(error)) return this.get(name, call, key);
        throw error;
      }
    });
  }

  /**
   * One attempt to write an object, on a condition or none; gives the tag of what was written.
   * Rejects with what the client says.
   */
  async put(name: string, body: Uint8Array, call: Call, condition: Condition): Promise<string> {
    const command = new PutObjectCommand({
      ...this.at(name),
      ...condition,
      Body: body,
      ContentLength: body.length,
      ContentType: 'application/octet-stream',
    });
    const reply = await oneAttempt(command, (once) =>
      this.client.send(once, { abortSignal: call.signal }),
    );
    return reply.ETag ?? '';
  }

  /** One attempt to remove an object. Rejects with what the client says. */
  async remove(name: string, call: Call): Promise<void> {
    await oneAttempt(new DeleteObjectCommand(this.at(name)), (once) =>
      this.client.send(once, { abortSignal: call.signal }),
    );
  }

  /** The next names in their order, a thousand at most. Failures are `StrataError`s. */
  async list(from: ListFrom, call: Call): Promise<ListedPage> {
    const page = await this.repeat(call, undefined, () =>
      this.client.send(
        new ListObjectsV2Command({
          Bucket: this.bucket,
          Prefix: this.root,
          // Names of other programs may hold what XML cannot carry.
          EncodingType: 'url',
          ...(from !== undefined && 'after' in from && { StartAfter: this.root + from.after }),
          ...(from !== undefined && 'token' in from && { ContinuationToken: from.token }),
        }),
        { abortSignal: call.signal },
      ),
    );
    const objects: Listed[] = [];
    for (const { Key, Size } of page.Contents ?? []) {
      const name = decoded(Key ?? '');
      if (name?.startsWith(this.root))
        objects.push({ name: name.slice(this.root.length), size: Size ?? 0 });
    }
    if (page.IsTruncated !== true) return { objects, next: undefined };
    if (page.NextContinuationToken === undefined)
      throw failure('corrupt', call.operation, 'the endpoint cut a listing short');
    return { objects, next: { token: page.NextContinuationToken } };
  }

  /** Where an object lies. */
  at(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.bucket, Key: this.root + name };
  }

  /**
   * Sends what changes nothing that others see, again where it may be had by asking again. Failures
   * are `StrataError`s.
   */
  async repeat<T>(call: Call, key: string | undefined, send: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      call.throwIfEnded();
      try {
        return await send();
      } catch (error) {
        call.throwIfEnded();
        if (tries === TRIES || !isInDoubt(error))
          throw toStrataError(error, { operation: call.operation, key, bucket: this.bucket });
        await pause(call, tries);
      }
    }
  }
}

function decoded(name: string): string | undefined {
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}
