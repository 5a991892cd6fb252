import { SortedKeys } from '../../kernel/sorted-keys.ts';
import { compareKeys, FIRST_USER_KEY, type KeyRange } from '../../store/keys.ts';

/** All keys in order. Those of StrataKV itself stand apart: looking among these few brings no others into order. */
export class OrderedKeys {
  readonly #reserved = new SortedKeys();
  readonly #users = new SortedKeys();

  add(key: string): void {
    this.#of(key).add(key);
  }

  delete(key: string): void {
    this.#of(key).delete(key);
  }

  clear(): void {
    this.#reserved.clear();
    this.#users.clear();
  }

  /** Up to `count` keys of the range in its order, beyond `after` where given. */
  page(range: KeyRange, after: string | undefined, count: number): string[] {
    const first = range.reverse ? this.#users : this.#reserved;
    const found = isWithin(range, first === this.#users) ? first.page(range, after, count) : [];
    const rest = count - found.length;
    const second = range.reverse ? this.#reserved : this.#users;
    if (rest === 0 || !isWithin(range, second === this.#users)) return found;
    const more = second.page(range, after, rest);
    return found.length === 0 ? more : [...found, ...more];
  }

  #of(key: string): SortedKeys {
    return key.charCodeAt(0) === 0 ? this.#reserved : this.#users;
  }
}

/** Whether a range may have keys of users, or reserved ones. */
function isWithin({ lower, upper }: KeyRange, users: boolean): boolean {
  if (!users) return lower === undefined || compareKeys(lower.key, FIRST_USER_KEY) < 0;
  return upper === undefined || compareKeys(upper.key, FIRST_USER_KEY) > (upper.inclusive ? -1 : 0);
}
