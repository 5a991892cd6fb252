import type { Attempt, ItemPort, Replacement, Verdict } from '../../kernel/items/item-port.ts';
import { isInDoubt } from '../../kernel/request-failures.ts';
import { sideBySide } from '../../kernel/side-by-side.ts';
import type { Call } from '../../store/call.ts';
import type { Env } from '../../store/env.ts';
import { StrataError } from '../../store/errors.ts';
import { isBusy, isLost, isMissing, toStrataError } from './failures.ts';
import { nameOf } from './names.ts';
import { type Conditions, type Opening, UNCONDITIONAL } from './opening.ts';
import type { FoundObject, Reader } from './reader.ts';
import { encodeDeletion, encodeEntry } from './record.ts';
import type { Requests } from './requests.ts';
import { isUploadGone, LARGE_BYTES, Upload } from './upload.ts';

/** What the objects of a store are reached by. */
export interface ObjectsParts {
  readonly requests: Requests;
  readonly opening: Opening;
  readonly reader: Reader;
  readonly env: Env;
}

/** The objects of a store, as commits replace them. */
export class Objects implements ItemPort<FoundObject> {
  readonly conditional: boolean;
  readonly #parts: ObjectsParts;
  #conditions: Conditions = UNCONDITIONAL;
  /** Whether large objects go in parts. */
  #inParts = false;

  constructor(parts: ObjectsParts) {
    this.#parts = parts;
    this.conditional = parts.opening.conditional;
  }

  async begin(bytes: number): Promise<void> {
    this.#conditions = await this.#parts.opening.forWriting();
    if (bytes > LARGE_BYTES) this.#inParts = await this.#parts.opening.forParts();
  }

  find(keys: readonly string[], call: Call): Promise<(FoundObject | undefined)[]> {
    return sideBySide(keys, (key) => this.#parts.reader.find(key, call));
  }

  findWhole(key: string, call: Call): Promise<FoundObject | undefined> {
    return this.#parts.reader.findWhole(key, call);
  }

  attempt(replacement: Replacement<FoundObject>): Attempt {
    const { requests } = this.#parts;
    const { found, change } = replacement;
    const name = nameOf(change.key);
    const body = this.#bodyOf(replacement);
    if (body === undefined)
      return {
        tells: false,
        send: async (call) => {
          await requests.remove(name, call).catch((error: unknown) => {
            if (!isMissing(error)) throw error;
          });
        },
        judge,
      };
    const condition = this.#conditions(found === undefined ? 'absent' : { etag: found.tag });
    const tells = this.conditional;
    // Where a tag was named, an object that is gone is another state too.
    const orGone = (error: unknown): Verdict =>
      found !== undefined && isMissing(error) ? 'lost' : judge(error);
    if (!this.#inParts || body.length <= LARGE_BYTES)
      return {
        tells,
        send: async (call) => void (await requests.put(name, body, call, condition)),
        judge: orGone,
      };
    const upload = new Upload(requests, name, body);
    return {
      tells,
      send: async (call) => void (await upload.send(condition, call)),
      // Parts alone change nothing: what they failed with has been repeated, and is the last word.
      judge: (error) => {
        if (error instanceof StrataError) return 'refused';
        return isUploadGone(error) ? 'lost' : orGone(error);
      },
      abandon: (call) => upload.abandon(call),
    };
  }

  failure(error: unknown, operation: string, key: string): StrataError {
    return toStrataError(error, { operation, key, bucket: this.#parts.requests.bucket });
  }

  /** The object of a change; `undefined` where there is to be none. */
  #bodyOf({
    change,
    found,
    isConditional,
    writeId,
  }: Replacement<FoundObject>): Uint8Array | undefined {
    const replaced = found?.head;
    if (change.type === 'set')
      return encodeEntry(change.key, { ...change.head, writeId, replaced }, change.write.value);
    // Endpoints do not remove on a condition, but replace on one.
    if (!isConditional) return undefined;
    const modifiedAt = Math.floor(this.#parts.env.now());
    return encodeDeletion(change.key, { modifiedAt, writeId, replaced });
  }
}

function judge(error: unknown): Verdict {
  if (isLost(error)) return 'lost';
  if (isInDoubt(error)) return 'doubt';
  return isBusy(error) ? 'busy' : 'refused';
}
