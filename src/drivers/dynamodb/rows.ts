import type { Attempt, ItemPort, Replacement, Verdict } from '../../kernel/items/item-port.ts';
import { isInDoubt } from '../../kernel/request-failures.ts';
import type { Call } from '../../store/call.ts';
import { failure, type StrataError } from '../../store/errors.ts';
import type { Planned } from '../../store/feed/plan.ts';
import { utf8Length } from '../../store/keys.ts';
import { isBusy, isLost, toStrataError } from './failures.ts';
import { encodeItem, FIXED_BYTES, type FoundRow, keyOf, toFound } from './item.ts';
import type { Layout } from './layout.ts';
import type { Opening } from './opening.ts';
import type { Condition, Requests } from './requests.ts';

/** Largest item that the engine takes, names and keys of it included. */
const MOST_ITEM_BYTES: number = 400 * 1024;

/** The items of a store, as commits replace them. */
export class Rows implements ItemPort<FoundRow> {
  readonly conditional = true;
  readonly #requests: Requests;
  readonly #opening: Opening;
  #layout: Layout | undefined;

  constructor(requests: Requests, opening: Opening) {
    this.#requests = requests;
    this.#opening = opening;
  }

  async begin(): Promise<void> {
    this.#layout = await this.#opening.forWriting();
  }

  async find(keys: readonly string[], call: Call): Promise<(FoundRow | undefined)[]> {
    const layout = this.#layout as Layout;
    const [only] = keys;
    if (only !== undefined && keys.length === 1) {
      const item = await this.#requests.get(layout.keyOf(only), call, only, true);
      return [item && toFound(only, item)];
    }
    const found = new Map<string, FoundRow>();
    const places = keys.map((key) => layout.keyOf(key));
    for (const item of await this.#requests.getMany(places, call, true)) {
      const key = keyOf(item);
      if (key !== undefined) found.set(key, toFound(key, item));
    }
    return keys.map((key) => found.get(key));
  }

  async findWhole(key: string, call: Call): Promise<FoundRow | undefined> {
    const layout = this.#layout as Layout;
    const item = await this.#requests.get(layout.keyOf(key), call, key);
    return item && toFound(key, item, true);
  }

  check(change: Planned<Uint8Array>, operation: string): void {
    if (change.type === 'delete') return;
    const { key, write } = change;
    const { meta, origin } = write;
    const more = [meta, origin].map((one) => (one ? utf8Length(JSON.stringify(one)) : 0));
    const bytes = more.reduce((sum, one) => sum + one, write.value.length + utf8Length(key));
    if (bytes + FIXED_BYTES > MOST_ITEM_BYTES)
      throw failure(
        'invalid-argument',
        operation,
        `key, value and metadata have ${bytes} bytes; expected at most ${MOST_ITEM_BYTES - FIXED_BYTES}`,
        { key },
      );
  }

  attempt({ change, found, writeId }: Replacement<FoundRow>): Attempt {
    const place = (this.#layout as Layout).keyOf(change.key);
    const condition = conditionOn(found);
    if (change.type === 'delete')
      return {
        tells: true,
        send: (call) => this.#requests.remove(place, condition, call),
        judge,
      };
    const fields = { ...change.head, writeId, replaced: found?.head };
    const item = { ...place, ...encodeItem(fields, change.write.value) };
    return { tells: true, send: (call) => this.#requests.put(item, condition, call), judge };
  }

  failure(error: unknown, operation: string, key: string): StrataError {
    return toStrataError(error, { operation, key, table: this.#requests.table });
  }
}

/** That what was found still stands. */
function conditionOn(found: FoundRow | undefined): Condition {
  if (found === undefined) return { ConditionExpression: 'attribute_not_exists(k)' };
  if (found.w === undefined)
    return { ConditionExpression: 'attribute_exists(k) AND attribute_not_exists(w)' };
  return { ConditionExpression: 'w = :w', ExpressionAttributeValues: { ':w': found.w } };
}

function judge(error: unknown): Verdict {
  if (isLost(error)) return 'lost';
  if (isInDoubt(error)) return 'doubt';
  return isBusy(error) ? 'busy' : 'refused';
}
