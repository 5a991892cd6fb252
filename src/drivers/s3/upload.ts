import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { oneAttempt } from '../../kernel/one-attempt.ts';
import { errorName } from '../../kernel/request-failures.ts';
import { sideBySide } from '../../kernel/side-by-side.ts';
import { Call } from '../../store/call.ts';
import { keyOf } from './names.ts';
import type { Condition, Requests } from './requests.ts';

/** Larger objects go in parts, where the endpoint makes one of them on a condition. */
export const LARGE_BYTES: number = 32 * 1024 * 1024;
const PART_BYTES: number = 8 * 1024 * 1024;
/** So many parts are under way at a time. */
const PARTS_AT_ONCE = 4;
/** Bound of giving up what was begun. */
const ABANDON_MS = 5_000;
/** What was begun so long ago was left behind. */
const LEFT_BEHIND_MS = 86_400_000;

/** An upload that is gone: completed, or given up by somebody. */
export function isUploadGone(error: unknown): boolean {
  return errorName(error) === 'NoSuchUpload';
}

/** An object on its way in parts: seen by nobody before it is complete. */
export class Upload {
  readonly #requests: Requests;
  readonly #name: string;
  readonly #body: Uint8Array;
  #id: string | undefined;
  readonly #etags: (string | undefined)[] = [];

  constructor(requests: Requests, name: string, body: Uint8Array) {
    this.#requests = requests;
    this.#name = name;
    this.#body = body;
  }

  /**
   * Sends the parts that are not there yet, and makes the object of them, in one attempt, which
   * rejects with what the client says. Failures before that are `StrataError`s.
   */
  async send(condition: Condition, call: Call): Promise<string> {
    this.#id ??= await this.#begin(call);
    const UploadId = this.#id;
    const count = Math.max(1, Math.ceil(this.#body.length / PART_BYTES));
    const missing = Array.from({ length: count }, (_, nth) => nth).filter(
      (nth) => this.#etags[nth] === undefined,
    );
    await sideBySide(missing, (nth) => this.#sendPart(UploadId, nth, call), PARTS_AT_ONCE);
    const Parts = this.#etags.map((ETag, nth) => ({ ETag, PartNumber: nth + 1 }));
    const command = new CompleteMultipartUploadCommand({
      ...this.#requests.at(this.#name),
      ...condition,
      UploadId,
      MultipartUpload: { Parts },
    });
    try {
      const reply = await oneAttempt(command, (once) =>
        this.#requests.client.send(once, { abortSignal: call.signal }),
      );
      this.#forget();
      return reply.ETag ?? '';
    } catch (error) {
      if (isUploadGone(error)) this.#forget();
      throw error;
    }
  }

  /** Gives up what was begun, if it was; what cannot be given up now is looked for later. */
  async abandon({ env, operation }: Call): Promise<void> {
    const UploadId = this.#id;
    if (UploadId === undefined) return;
    this.#forget();
    const call = new Call(env, operation, undefined, { timeoutMs: ABANDON_MS });
    await call.guard(abort(this.#requests, this.#name, UploadId, call)).catch(() => undefined);
  }

  #forget(): void {
    this.#id = undefined;
    this.#etags.length = 0;
  }

  async #begin(call: Call): Promise<string> {
    const reply = await this.#requests.repeat(call, undefined, () =>
      this.#requests.client.send(
        new CreateMultipartUploadCommand({
          ...this.#requests.at(this.#name),
          ContentType: 'application/octet-stream',
        }),
        { abortSignal: call.signal },
      ),
    );
    return reply.UploadId ?? '';
  }

  async #sendPart(UploadId: string, nth: number, call: Call): Promise<void> {
    const Body = this.#body.subarray(nth * PART_BYTES, (nth + 1) * PART_BYTES);
    const reply = await this.#requests.repeat(call, undefined, () =>
      this.#requests.client.send(
        new UploadPartCommand({
          ...this.#requests.at(this.#name),
          UploadId,
          PartNumber: nth + 1,
          Body,
          ContentLength: Body.length,
        }),
        { abortSignal: call.signal },
      ),
    );
    this.#etags[nth] = reply.ETag;
  }
}

interface ListUploadsFrom {
  readonly KeyMarker?: string;
  readonly UploadIdMarker?: string;
}

/** Gives up uploads of the store's own names that were left behind a day ago, and nothing of others. */
export async function abandonLeftBehind(
  requests: Requests,
  probes: string,
  call: Call,
): Promise<void> {
  for (let from: ListUploadsFrom = {}; ; ) {
    const page: ListMultipartUploadsCommandOutput = await requests.client.send(
      new ListMultipartUploadsCommand({
        Bucket: requests.bucket,
        Prefix: requests.root,
        ...from,
      }),
      { abortSignal: call.signal },
    );
    for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? []) {
      const name = Key.slice(requests.root.length);
      const isOurs = keyOf(name) !== undefined || name.startsWith(probes);
      const ageMs = call.env.now() - (Initiated?.getTime() ?? Number.POSITIVE_INFINITY);
      if (!isOurs || ageMs <= LEFT_BEHIND_MS) continue;
      // One that may not be given up keeps no other from it.
      await abort(requests, name, UploadId, call).catch(() => call.throwIfEnded());
    }
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
    if (page.IsTruncated !== true || KeyMarker === undefined) return;
    from = { KeyMarker, ...(UploadIdMarker !== undefined && { UploadIdMarker }) };
  }
}

async function abort(
  requests: Requests,
  name: string,
  UploadId: string,
  { signal }: Call,
): Promise<void> {
  try {
    await requests.client.send(
      new AbortMultipartUploadCommand({ ...requests.at(name), UploadId }),
      { abortSignal: signal },
    );
  } catch (error) {
    if (!isUploadGone(error)) throw error;
  }
}
