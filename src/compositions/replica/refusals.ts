import type { RefusedWrite, ReplicaEvent } from './events.ts';

/** So many are remembered. */
const MAX_REFUSED = 100;

/** The writes that one member refuses for good. Each is told once. */
export class Refusals {
  readonly #member: string;
  readonly #onEvent: (event: ReplicaEvent) => void;
  readonly #refused: RefusedWrite[] = [];

  constructor(member: string, onEvent: (event: ReplicaEvent) => void) {
    this.#member = member;
    this.#onEvent = onEvent;
  }

  get all(): readonly RefusedWrite[] {
    return [...this.#refused];
  }

  add(refused: RefusedWrite): void {
    if (this.#refused.some(({ key }) => key === refused.key)) return;
    this.#refused.push(refused);
    if (this.#refused.length > MAX_REFUSED) this.#refused.shift();
    this.#onEvent({ type: 'write-refused', member: this.#member, ...refused });
  }
}
