/**
 * What a tiered store may say, by its documentation alone: of each key the writes that a read may
 * give. It knows nothing of how the store works, only when calls began and ended.
 */

export type Fate = 'open' | 'done' | 'refused' | 'unknown';

/** A write of one key, by the store or by others in the back. */
export interface Written {
  readonly key: string;
  /** `undefined`: a delete. No value is written twice. */
  readonly value: number | undefined;
  readonly own: boolean;
  readonly began: number;
  readonly beganMs: number;
  expiresAt?: number | undefined;
  readonly meta?: { readonly n: number };
  /** What is written with it, itself included: all or nothing. */
  group: readonly Written[];
  fate: Fate;
  /** When it was certainly in force, or certain never to be. */
  ended: number;
  /** When its call ended: later writes of the store come after it. */
  ordered: number;
  version?: string;
  seen?: boolean;
}

/** A read, or the looking of a conditional write. */
export interface Look {
  readonly began: number;
  readonly beganMs: number;
  readonly ended: number;
  readonly endedMs: number;
  /** It has seen the truth and no copy. */
  readonly fresh: boolean;
  /** Nobody is given anything older afterwards. */
  readonly binds?: boolean;
}

/** Between these moments the key held one of these writes. */
interface Point {
  readonly by: 'own' | 'look' | 'others';
  readonly writes: ReadonlySet<Written>;
  readonly began: number;
  readonly ended: number;
  readonly atMs: number;
}

export interface Rules {
  readonly write: 'through' | 'behind' | 'around' | 'front-only';
  readonly read: 'front-first' | 'front-only';
  readonly ttlMs: number;
}

const NEVER = Number.POSITIVE_INFINITY;

/** One key. */
class Register {
  writes: Written[] = [];
  points: Point[] = [];
  /** Others have written it in the back since the beginning. */
  shared = false;
  /** What a front that is read alone may have lost. */
  lostUntil = 0;
  /** Since then an overlay has something of its own, and hides the back for good. */
  hidesAt = NEVER;
  readonly #rules: Rules;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  /** The writes that may be in force during a look. */
  candidates(look: Look): Written[] {
    return this.writes.filter(
      (one) =>
        one.fate !== 'refused' &&
        one.began <= look.ended &&
        (one.own || this.hidesAt >= look.began) &&
        !this.points.some((point) => this.#holds(point, look) && replaces(point, one)),
    );
  }

  /** Forgets what no look that is open or to come can give. */
  prune(oldest: Look): void {
    this.points = this.points.filter((point) => {
      if (!this.writes.some((one) => replaces(point, one))) return false;
      if (!this.#holds(point, { ...oldest, fresh: false })) return true;
      this.writes = this.writes.filter((one) => !replaces(point, one));
      return false;
    });
  }

  /** Whether a look can give nothing that came before the point. */
  #holds(point: Point, look: Look): boolean {
    if (point.ended >= look.began) return false;
    if (point.by !== 'others' || look.fresh) return true;
    return look.beganMs >= point.atMs + this.#rules.ttlMs;
  }
}

function replaces({ by, writes, began }: Point, one: Written): boolean {
  if (one.fate === 'refused' || writes.has(one)) return false;
  return (by === 'own' ? one.ordered : one.ended) < began;
}

/** The values that a candidate may give during a look. */
function gives(one: Written, look: Look, value: unknown): boolean {
  const { expiresAt = NEVER } = one;
  if (value === undefined && expiresAt <= look.endedMs) return true;
  return one.value === value && (value === undefined || expiresAt > look.beganMs);
}

export class TieredModel {
  readonly #rules: Rules;
  readonly #registers = new Map<string, Register>();
  readonly #open = new Set<{ readonly began: number; readonly beganMs: number }>();
  readonly #replaced = new Set<Written>();
  #clock = 0;

  constructor(rules: Rules, keys: readonly string[]) {
    this.#rules = rules;
    for (const key of keys) {
      const register = new Register(rules);
      this.#registers.set(key, register);
      register.writes.push({
        ...{ key, value: undefined, own: false, began: 0, beganMs: 0, fate: 'done', ended: 0 },
        ...{ ordered: 0, group: [] },
      });
    }
  }

  tick(): number {
    return ++this.#clock;
  }

  /** A call begins. */
  begin(nowMs: number): { readonly began: number; readonly beganMs: number } {
    const open = { began: this.tick(), beganMs: nowMs };
    this.#open.add(open);
    return open;
  }

  end(open: { readonly began: number; readonly beganMs: number }): void {
    this.#open.delete(open);
  }

  /** The store is asked to write. */
  writing(
    writes: readonly Pick<Written, 'key' | 'value' | 'expiresAt' | 'meta'>[],
    { began, beganMs }: { readonly began: number; readonly beganMs: number },
  ): readonly Written[] {
    const made = writes.map(
      (one): Written => ({
        ...one,
        ...{ own: true, began, beganMs, group: [], fate: 'open', ended: NEVER, ordered: NEVER },
      }),
    );
    for (const one of made) {
      one.group = made;
      this.#of(one.key).writes.push(one);
    }
    return made;
  }

  /** The store has answered a write; `landsLate` where it may still be on its way to the back, beside later ones. */
  wrote(made: readonly Written[], fate: Fate, landsLate = false): void {
    const ended = this.tick();
    for (const one of made) {
      if (fate === 'refused' && one.seen === true)
        throw new Error(`${one.key}=${one.value} was refused, and was seen`);
      one.fate = one.seen === true ? 'done' : fate;
      if (one.fate !== 'unknown' || !landsLate) one.ordered = Math.min(one.ordered, ended);
      if (fate === 'done' && one.seen !== true) this.#inForce(one, ended);
    }
  }

  /** Nothing is on its way any more: later writes come after all of it. */
  landed(): void {
    const at = this.tick();
    for (const { writes } of this.#registers.values())
      for (const one of writes) if (one.fate !== 'open') one.ordered = Math.min(one.ordered, at);
  }

  /** Somebody writes into the back; `solid` where nothing of the store is on its way over it. */
  others(
    key: string,
    value: number | undefined,
    nowMs: number,
    expiresAt?: number,
    solid = true,
  ): Written {
    const register = this.#of(key);
    const began = this.tick();
    const one: Written = {
      ...{ key, value, own: false, began, beganMs: nowMs, fate: 'done', ended: began },
      ...{ ordered: began, group: [], ...(expiresAt !== undefined && { expiresAt }) },
    };
    register.shared = true;
    register.writes.push(one);
    const ended = this.tick();
    if (solid && this.#rules.write !== 'front-only')
      register.points.push({ by: 'others', writes: new Set([one]), began, ended, atMs: nowMs });
    return one;
  }

  /** Whether a write of the store on this key is on its way. */
  isBusy(key: string): boolean {
    return this.#of(key).writes.some(({ fate }) => fate === 'open' || fate === 'unknown');
  }

  /** The process has ended: what was open is nobody's; nothing of it lands any more. */
  crash(): void {
    const ended = this.tick();
    this.#open.clear();
    for (const register of this.#registers.values()) {
      // A front that is read alone does not get back what it was rid of.
      register.lostUntil = ended;
      for (const one of register.writes) {
        if (one.fate === 'open') one.fate = 'unknown';
        one.ordered = Math.min(one.ordered, ended);
        one.ended = Math.min(one.ended, ended);
      }
    }
  }

  /** A look at a key gave this: which write that may have been. Throws where it may not be. */
  gave(key: string, value: unknown, look: Look, what: string): readonly Written[] {
    const register = this.#of(key);
    const candidates = register.candidates(look);
    const possible = candidates.filter((one) => gives(one, look, value));
    if (value === undefined && !look.fresh && this.#mayMiss(register, candidates)) return [];
    if (possible.length === 0)
      throw new Error(
        `${what} of ${key} gave ${value}, and not one of ${candidates.map(show).join(', ')}`,
      );
    this.#seen(register, possible, look);
    return possible;
  }

  /** Whether a look may find such a write. */
  may(
    key: string,
    look: Look,
    test: (one: Written | undefined) => boolean,
    but: readonly Written[] = [],
  ): boolean {
    const register = this.#of(key);
    const candidates = register.candidates(look).filter((one) => !but.includes(one));
    if (!look.fresh && this.#mayMiss(register, candidates) && test(undefined)) return true;
    return candidates.some((one) => {
      const { expiresAt = NEVER } = one;
      if (one.value === undefined || expiresAt <= look.endedMs) if (test(undefined)) return true;
      return one.value !== undefined && expiresAt > look.beganMs && test(one);
    });
  }

  /** A look that nobody is given anything older after has found one of these. */
  bind(
    key: string,
    look: Look,
    test: (one: Written | undefined) => boolean,
    but: readonly Written[] = [],
  ): void {
    const register = this.#of(key);
    const found = register.candidates(look).filter((one) => {
      if (but.includes(one)) return true;
      const { expiresAt = NEVER } = one;
      return (one.value === undefined || expiresAt <= look.endedMs) && test(undefined)
        ? true
        : test(one);
    });
    const { began, ended, endedMs: atMs } = look;
    register.points.push({ by: 'look', writes: new Set(found), began, ended, atMs });
  }

  /** An acknowledged write was decided on this one: no other may have been. */
  replace(parent: Written): void {
    if (this.#replaced.has(parent))
      throw new Error(`${parent.key}=${parent.value} was replaced twice: an update is lost`);
    this.#replaced.add(parent);
  }

  prune(nowMs: number): void {
    const [first] = this.#open;
    const oldest = first ?? { began: this.tick(), beganMs: nowMs };
    const look = { ...oldest, ended: NEVER, endedMs: NEVER, fresh: false };
    for (const register of this.#registers.values()) register.prune(look);
  }

  writeOf(key: string, value: unknown): Written | undefined {
    return this.#of(key).writes.find((one) => one.value === value);
  }

  #seen(register: Register, possible: readonly Written[], look: Look): void {
    const { began, ended, endedMs: atMs } = look;
    if (look.binds === true || !register.shared)
      register.points.push({ by: 'look', writes: new Set(possible), began, ended, atMs });
    const [one] = possible;
    if (possible.length !== 1 || one === undefined || !one.own || one.value === undefined) return;
    for (const member of one.group) {
      if (member.seen === true) continue;
      member.seen = true;
      if (member.fate !== 'open') member.ordered = Math.min(member.ordered, ended);
      if (member.fate === 'unknown') member.fate = 'done';
      this.#inForce(member, ended);
    }
  }

  /** From then on at the latest. */
  #inForce(one: Written, ended: number): void {
    const register = this.#of(one.key);
    if (this.#rules.write === 'front-only' && one.value !== undefined)
      register.hidesAt = Math.min(register.hidesAt, ended);
    one.ended = Math.min(one.ended, ended);
    const { began, beganMs: atMs } = one;
    register.points.push({ by: 'own', writes: new Set([one]), began, ended, atMs });
  }

  /** Whether a front that is read alone may have no copy, though there is something. */
  #mayMiss({ lostUntil }: Register, candidates: readonly Written[]): boolean {
    if (this.#rules.read !== 'front-only') return false;
    if (this.#rules.write === 'around') return true;
    return candidates.some(({ own, began }) => !own || began <= lostUntil);
  }

  #of(key: string): Register {
    return this.#registers.get(key) as Register;
  }
}

function show({ value, own, fate, expiresAt }: Written): string {
  return `${value} (${own ? fate : 'by others'}${expiresAt === undefined ? '' : ', which ends'})`;
}
