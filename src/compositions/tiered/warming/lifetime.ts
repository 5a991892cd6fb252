import type { Call } from '../../../store/call.ts';

/** The warmings under way between two stores: those of a tiered store end with it. */
export class Lifetime {
  readonly #underWay = new Map<Call, Promise<unknown>>();
  #over = false;

  /** Notes a warming until it ends; when all is over, it is ended at once. */
  add(call: Call, working: Promise<unknown>): void {
    const done = (): void => {
      this.#underWay.delete(call);
    };
    this.#underWay.set(call, working.then(done, done));
    if (this.#over) call.end('closed');
  }

  /** Ends every warming with `closed`, and waits until it has let go of the stores. */
  async end(): Promise<void> {
    this.#over = true;
    for (const call of this.#underWay.keys()) call.end('closed');
    await Promise.all(this.#underWay.values());
  }
}
