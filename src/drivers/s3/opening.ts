import { CreateBucketCommand, HeadBucketCommand } from '@aws-sdk/client-s3';
import { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { failure } from '../../store/errors.ts';
import { randomId } from '../../store/version.ts';
import { isLost, isMissing, toStrataError } from './failures.ts';
import type { Condition, Replaced, Requests } from './requests.ts';
import { abandonLeftBehind, Upload } from './upload.ts';

/** How this endpoint takes the tag of a condition: as it gave it, or without the quotes. */
export type Conditions = (replaced: Replaced) => Condition;

const QUOTED: Conditions = (replaced) =>
  replaced === 'absent' ? { IfNoneMatch: '*' } : { IfMatch: replaced.etag };
const BARE: Conditions = (replaced) =>
  replaced === 'absent'
    ? { IfNoneMatch: '*' }
    : { IfMatch: replaced.etag.replace(/^"(.*)"$/, '$1') };
/** Where the store promises none. */
export const UNCONDITIONAL: Conditions = () => ({});

/** Parts of the root that no name of a key can begin with. */
const PROBES = '.probe/';

export interface OpeningOptions {
  readonly env: Env;
  /** Make a bucket that is missing. */
  readonly create: boolean;
  /** Whether the store promises to heed conditions. */
  readonly conditional: boolean;
}

/** Bound of the opening, which belongs to all calls that wait for it. */
const OPENING_MS = 5_000;
const TIDYING_MS = 60_000;

/** Finds out, once, what a store needs to know of its endpoint; tried again after a failure. */
export class Opening {
  readonly #requests: Requests;
  readonly #options: OpeningOptions;
  #present: Promise<void> | undefined;
  #conditions: Promise<Conditions> | undefined;
  #inParts: Promise<boolean> | undefined;

  constructor(requests: Requests, options: OpeningOptions) {
    this.#requests = requests;
    this.#options = options;
  }

  /** Whether the endpoint heeds conditions, as the store promises. */
  get conditional(): boolean {
    return this.#options.conditional;
  }

  /** Makes the bucket where that was asked for. */
  forReading(): Promise<void> | undefined {
    if (!this.#options.create) return undefined;
    this.#present ??= this.#bounded((call) => this.#make(call)).catch((error: unknown) => {
      this.#present = undefined;
      throw error;
    });
    return this.#present;
  }

  /** As `forReading`; and refuses with `unsupported` an endpoint that does not heed conditions, where the store promises them. */
  async forWriting(): Promise<Conditions> {
    await this.forReading();
    if (!this.#options.conditional) return UNCONDITIONAL;
    this.#conditions ??= this.#bounded((call) => this.#probe(call)).catch((error: unknown) => {
      this.#conditions = undefined;
      throw error;
    });
    return this.#conditions;
  }

  /**
   * Whether large objects may go in parts: the end of an upload heeds conditions, or none are
   * promised. Gives up uploads that were left behind.
   */
  async forParts(): Promise<boolean> {
    const conditions = await this.forWriting();
    this.#inParts ??= this.#bounded(async (call) => {
      const heeds = conditions === UNCONDITIONAL || (await this.#probeParts(conditions, call));
      if (heeds) this.#tidyUp();
      return heeds;
    }).catch((error: unknown) => {
      this.#inParts = undefined;
      throw error;
    });
    return this.#inParts;
  }

  /**
   * In the background. A failure loses nothing: what is left of uploads is seen by nobody, the next
   * store that is opened looks for it again, and whoever may not list uploads leaves it to the
   * bucket's own rules.
   */
  #tidyUp(): void {
    const tidied = this.#bounded(
      (call) => abandonLeftBehind(this.#requests, PROBES, call),
      TIDYING_MS,
    );
    tidied.catch(() => undefined);
  }

  #bounded<T>(work: (call: Call) => Promise<T>, timeoutMs: number = OPENING_MS): Promise<T> {
    const call = new Call(this.#options.env, 'open', undefined, { timeoutMs });
    return call.guard(work(call));
  }

  async #make({ operation, signal }: Call): Promise<void> {
    const { client, bucket } = this.#requests;
    const send = { abortSignal: signal };
    try {
      await client.send(new HeadBucketCommand({ Bucket: bucket }), send);
      return;
    } catch (error) {
      const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata;
      if (status?.httpStatusCode !== 404) throw toStrataError(error, { operation, bucket });
    }
    try {
      await client.send(new CreateBucketCommand({ Bucket: bucket }), send);
    } catch (error) {
      // Another one may have made it meanwhile.
      if (!(error instanceof Error && error.name === 'BucketAlreadyOwnedByYou'))
        throw toStrataError(error, { operation, bucket });
    }
  }

  /** Tries conditions on an object of its own. */
  async #probe(call: Call): Promise<Conditions> {
    const requests = this.#requests;
    const name = PROBES + randomId(call.env);
    let writes = 0;
    const takes = async (condition: Condition): Promise<string | undefined> => {
      try {
        return await requests.put(name, new Uint8Array([++writes]), call, condition);
      } catch (error) {
        if (isLost(error) || isMissing(error)) return undefined;
        throw error;
      }
    };
    try {
      const etag = await takes({ IfNoneMatch: '*' });
      if (etag === undefined) throw this.#ignores(call, 'refused to write a new object');
      if ((await takes({ IfNoneMatch: '*' })) !== undefined)
        throw this.#ignores(call, 'replaced an object that was to be absent');
      if ((await takes({ IfMatch: '"00000000000000000000000000000000"' })) !== undefined)
        throw this.#ignores(call, 'replaced an object that was to be another');
      for (const conditions of [QUOTED, BARE])
        if ((await takes(conditions({ etag }))) !== undefined) return conditions;
      throw this.#ignores(call, 'refused to replace the very object that was named');
    } catch (error) {
      throw toStrataError(error, { operation: call.operation, bucket: requests.bucket });
    } finally {
      if (writes > 0) await this.#removeProbe(name);
    }
  }

  /** As `#probe`, for the ends of uploads: what is done there in spite of a condition, or is not there at all, rules parts out. */
  async #probeParts(conditions: Conditions, call: Call): Promise<boolean> {
    const requests = this.#requests;
    const name = PROBES + randomId(call.env);
    const body = new Uint8Array([1]);
    const upload = new Upload(requests, name, body);
    const takes = async (condition: Condition): Promise<boolean> => {
      try {
        await upload.send(condition, call);
        return true;
      } catch (error) {
        if (isLost(error) || isMissing(error)) return false;
        throw error;
      }
    };
    try {
      const etag = await requests.put(name, body, call, {});
      if (await takes({ IfNoneMatch: '*' })) return false;
      if (await takes({ IfMatch: '"00000000000000000000000000000000"' })) return false;
      return await takes(conditions({ etag }));
    } catch (error) {
      const concern = { operation: call.operation, bucket: requests.bucket };
      const told = toStrataError(error, concern);
      // An endpoint that knows no parts says so by its status.
      if (told.retryable && told.details?.status !== 501) throw told;
      return false;
    } finally {
      await upload.abandon(call);
      await this.#removeProbe(name);
    }
  }

  /**
   * Removes what was tried on, also when the trial was given up. Whoever may not remove objects may
   * still write: what then stays is a byte or two under a name that no key has and no listing gives.
   */
  async #removeProbe(name: string): Promise<void> {
    await this.#bounded((call) => this.#requests.remove(name, call)).catch(() => undefined);
  }

  #ignores({ operation }: Call, what: string): Error {
    return failure(
      'unsupported',
      operation,
      `the endpoint does not heed conditions of writes (it ${what}); with conditional: 'none' the store does without`,
    );
  }
}
