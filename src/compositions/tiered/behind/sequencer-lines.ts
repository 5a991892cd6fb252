/** A commit that waits: when it came, and where it stands. */
export interface Ticket<C> {
  readonly commit: C;
  /** The number of its arrival. */
  readonly order: number;
  readonly places: readonly Place<C>[];
  /** In how many lines others stand before it. */
  behind: number;
  /** Whether it waits for something else than its turn. */
  held: boolean;
  /** Where it is among those that are due; -1 where it is not. */
  dueAt: number;
}

/** A commit in the line of one of its keys. */
interface Place<C> {
  readonly key: string;
  readonly ticket: Ticket<C>;
  before: Place<C> | undefined;
  after: Place<C> | undefined;
}

interface Line<C> {
  first: Place<C>;
  last: Place<C>;
}

/**
 * Commits that wait, each in a line for each of its keys. One is due when it stands first in all of
 * its lines and is not held: so commits of one key keep their order, and the others pass those that
 * are held. What happens to one costs the same however many wait, but for their order among the due.
 */
export class Lines<C> {
  readonly #lines = new Map<string, Line<C>>();
  readonly #tickets = new Set<Ticket<C>>();
  readonly #due = new Due<C>();
  #arrived = 0;

  get size(): number {
    return this.#tickets.size;
  }

  /** Of the commits that are due the one that came first. */
  get due(): C | undefined {
    return this.#due.first?.commit;
  }

  /** All that wait; they may leave meanwhile. */
  *all(): Generator<C> {
    for (const { commit } of this.#tickets) yield commit;
  }

  /** A commit comes, and stands last in the lines of its keys. Each key is to be given once. */
  enter(commit: C, keys: Iterable<string>): Ticket<C> {
    const places: Place<C>[] = [];
    const order = this.#arrived++;
    const ticket = { commit, order, places, behind: 0, held: false, dueAt: -1 };
    for (const key of keys) {
      const place: Place<C> = { key, ticket, before: undefined, after: undefined };
      places.push(place);
      const line = this.#lines.get(key);
      if (line === undefined) this.#lines.set(key, { first: place, last: place });
      else {
        ticket.behind++;
        place.before = line.last;
        line.last.after = place;
        line.last = place;
      }
    }
    this.#tickets.add(ticket);
    this.#settle(ticket);
    return ticket;
  }

  /** Commits that have left come back, and stand before all who wait for their keys, in their former order. */
  enterAgain(tickets: readonly Ticket<C>[]): void {
    const lastFirst = [...tickets].sort((a, b) => b.order - a.order);
    for (const ticket of lastFirst) {
      for (const place of ticket.places) this.#enterFirst(place);
      this.#tickets.add(ticket);
      this.#settle(ticket);
    }
  }

  /** False where it does not wait. */
  leave(ticket: Ticket<C>): boolean {
    if (!this.#tickets.delete(ticket)) return false;
    this.#due.delete(ticket);
    for (const place of ticket.places) this.#leaveLine(place);
    ticket.behind = 0;
    return true;
  }

  /** It is not due before it is released. */
  hold(ticket: Ticket<C>): void {
    ticket.held = true;
    this.#due.delete(ticket);
  }

  release(ticket: Ticket<C>): void {
    ticket.held = false;
    if (this.#tickets.has(ticket)) this.#settle(ticket);
  }

  #enterFirst(place: Place<C>): void {
    const line = this.#lines.get(place.key);
    if (line === undefined) {
      this.#lines.set(place.key, { first: place, last: place });
      return;
    }
    const { first } = line;
    place.after = first;
    first.before = place;
    line.first = place;
    first.ticket.behind++;
    this.#due.delete(first.ticket);
  }

  #leaveLine(place: Place<C>): void {
    const { key, before, after } = place;
    const line = this.#lines.get(key) as Line<C>;
    place.before = undefined;
    place.after = undefined;
    if (before !== undefined) before.after = after;
    if (after !== undefined) after.before = before;
    if (before === undefined && after === undefined) this.#lines.delete(key);
    else if (after === undefined) line.last = before as Place<C>;
    else if (before === undefined) {
      line.first = after;
      after.ticket.behind--;
      this.#settle(after.ticket);
    }
  }

  #settle(ticket: Ticket<C>): void {
    if (ticket.behind === 0 && !ticket.held && ticket.dueAt < 0) this.#due.add(ticket);
  }
}

/** Those that are due, the one that came first on top: a binary heap. */
class Due<C> {
  readonly #heap: Ticket<C>[] = [];

  get first(): Ticket<C> | undefined {
    return this.#heap[0];
  }

  add(ticket: Ticket<C>): void {
    this.#heap.push(ticket);
    this.#up(ticket, this.#heap.length - 1);
  }

  /** One that is not there may be given, too. */
  delete(ticket: Ticket<C>): void {
    const at = ticket.dueAt;
    if (at < 0) return;
    ticket.dueAt = -1;
    const last = this.#heap.pop() as Ticket<C>;
    if (last === ticket) return;
    this.#down(last, at);
    this.#up(last, last.dueAt);
  }

  #up(ticket: Ticket<C>, from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#heap[parent] as Ticket<C>;
      if (above.order <= ticket.order) break;
      this.#put(above, at);
      at = parent;
    }
    this.#put(ticket, at);
  }

  #down(ticket: Ticket<C>, from: number): void {
    let at = from;
    for (;;) {
      const left = this.#heap[2 * at + 1];
      const right = this.#heap[2 * at + 2];
      if (left === undefined) break;
      const below = right !== undefined && right.order < left.order ? right : left;
      if (below.order >= ticket.order) break;
      const next = below.dueAt;
      this.#put(below, at);
      at = next;
    }
    this.#put(ticket, at);
  }

  #put(ticket: Ticket<C>, at: number): void {
    this.#heap[at] = ticket;
    ticket.dueAt = at;
  }
}
