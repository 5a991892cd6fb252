/** The part of npm `fast-check` that `modelTest` uses: pass the module itself. */
export interface FastCheck {
  integer(bounds: { min: number; max: number }): FastCheckArbitrary<number>;
  constantFrom<T>(...values: T[]): FastCheckArbitrary<T>;
  array<T>(
    items: FastCheckArbitrary<T>,
    bounds: { minLength?: number; maxLength?: number; size?: 'max' },
  ): FastCheckArbitrary<T[]>;
  tuple<A, B, C, D>(
    a: FastCheckArbitrary<A>,
    b: FastCheckArbitrary<B>,
    c: FastCheckArbitrary<C>,
    d: FastCheckArbitrary<D>,
  ): FastCheckArbitrary<[A, B, C, D]>;
  asyncProperty<T>(
    arbitrary: FastCheckArbitrary<T>,
    run: (value: T) => Promise<void>,
  ): FastCheckProperty;
  assert(
    property: FastCheckProperty,
    parameters: { numRuns?: number; seed?: number; interruptAfterTimeLimit?: number },
  ): unknown;
}

/** Generated values of one type. */
export interface FastCheckArbitrary<T> {
  map<U>(fn: (value: T) => U): FastCheckArbitrary<U>;
}

/** What `asyncProperty` gives to `assert`. */
export interface FastCheckProperty {
  isAsync(): boolean;
}

/** One write, as generated; what it names is looked up when it is made. */
export interface WriteSpec {
  readonly type: 'set' | 'delete';
  readonly key: string;
  /** Number of the sample value. */
  readonly n: number;
  readonly life: 'ever' | 'short' | 'long' | 'past';
  readonly immutable: boolean;
  readonly meta: boolean;
  readonly if: 'none' | 'absent' | 'current' | 'stale';
}

/** What can be done to a store. */
export type CommandKind =
  | 'write'
  | 'batch'
  | 'update'
  | 'update to none'
  | 'update that throws'
  | 'getOrSet'
  | 'deleteMany'
  | 'clear'
  | 'burst'
  | 'read'
  | 'list'
  | 'advance'
  | 'reopen'
  | 'follow'
  | 'follow from the start'
  | 'catch up'
  | 'resume';

/** One step of a run. */
export interface Command {
  readonly kind: CommandKind;
  readonly writes: readonly WriteSpec[];
  /** Chooses handle, half, follower, range … */
  readonly dice: number;
}

export const MODEL_KEYS: readonly string[] = ['a', 'a:1', 'a:2', 'b', '\uffff', '😀'];

/** How `fast-check` is told to write a value in a report. */
const TO_STRING = Symbol.for('fast-check/toStringMethod');

/** How often each kind comes. */
const WEIGHTS: Readonly<Record<CommandKind, number>> = {
  write: 12,
  batch: 5,
  update: 3,
  'update to none': 1,
  'update that throws': 1,
  getOrSet: 2,
  deleteMany: 2,
  clear: 1,
  burst: 2,
  read: 2,
  list: 3,
  advance: 4,
  reopen: 1,
  follow: 2,
  'follow from the start': 1,
  'catch up': 4,
  resume: 2,
};

function weighted<T extends string>(weights: Readonly<Record<T, number>>): T[] {
  return (Object.keys(weights) as T[]).flatMap((kind) => Array<T>(weights[kind]).fill(kind));
}

/** Runs of commands. */
export function commandsOf(fc: FastCheck, maxCommands: number): FastCheckArbitrary<Command[]> {
  const traits = fc.tuple(
    fc.constantFrom('set', 'set', 'set', 'delete'),
    fc.constantFrom('ever', 'ever', 'ever', 'short', 'long', 'past'),
    fc.constantFrom('none', 'none', 'none', 'absent', 'current', 'stale'),
    fc.integer({ min: 0, max: 15 }),
  );
  const write = fc
    .tuple(
      traits,
      fc.constantFrom(...MODEL_KEYS),
      fc.integer({ min: 0, max: 9 }),
      fc.constantFrom(false, true),
    )
    .map(
      ([[type, life, condition, rare], key, n, meta]): WriteSpec => ({
        type: type as WriteSpec['type'],
        key,
        n,
        life: life as WriteSpec['life'],
        immutable: rare === 15,
        meta,
        if: condition as WriteSpec['if'],
      }),
    );
  const command = fc
    .tuple(
      fc.constantFrom(...weighted(WEIGHTS)),
      fc.array(write, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 0, max: 1_000 }),
      fc.constantFrom(0),
    )
    .map(([kind, writes, dice]): Command => {
      const given: Command = { kind, writes, dice };
      return Object.defineProperty(given, TO_STRING, { value: () => showCommand(given) });
    });
  return fc.array(command, { minLength: 1, maxLength: maxCommands, size: 'max' });
}

/** A command as a line for a failure's report. */
export function showCommand({ kind, writes, dice }: Command): string {
  const shown = writes.map((write) => {
    const extras = [
      write.life === 'ever' ? '' : write.life,
      write.immutable ? 'immutable' : '',
      write.meta ? 'meta' : '',
      write.if === 'none' ? '' : `if ${write.if}`,
    ].filter((extra) => extra !== '');
    const value = write.type === 'set' ? `=${write.n}` : '';
    return `${write.type} ${JSON.stringify(write.key)}${value}${extras.map((e) => ` ${e}`).join('')}`;
  });
  return `${kind} (${dice}): ${shown.join('; ')}`;
}
