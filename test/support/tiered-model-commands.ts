/** The commands of the model of tiered stores, and how a run is set up. */
import * as fc from 'fast-check';
import type { PartName } from './tiered-model-world.ts';

export const KEYS = ['a', 'b', 'c'] as const;

type Reading = 'get' | 'entry' | 'many' | 'has' | 'fresh' | 'list' | 'keys';
type Writing = 'set' | 'brief' | 'delete' | 'batch' | 'absent' | 'good' | 'stale' | 'update';
type Others = 'others set' | 'others delete' | 'others brief';
type Passing =
  | 'pass'
  | 'step'
  | 'idle'
  | 'flush'
  | 'fail'
  | 'hang'
  | 'release'
  | 'crash'
  | 'reopen';
type Kind = Reading | Writing | Others | Passing;

const KINDS: readonly Kind[] = [
  ...(['get', 'get', 'get', 'entry', 'entry', 'many', 'has', 'fresh', 'list', 'keys'] as const),
  ...(['set', 'set', 'set', 'set', 'brief', 'delete', 'delete', 'batch', 'batch'] as const),
  ...(['absent', 'good', 'stale', 'update', 'update'] as const),
  ...(['others set', 'others delete', 'others brief'] as const),
  ...(['pass', 'pass', 'pass', 'step', 'step', 'idle', 'idle', 'flush'] as const),
  ...(['fail', 'fail', 'hang', 'hang', 'release', 'crash', 'reopen'] as const),
];

export interface Command {
  readonly kind: Kind;
  readonly key: string;
  readonly dice: number;
  /** The next command comes when nothing goes on any more; else at once. */
  readonly waits: boolean;
}

export const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(...KINDS),
    key: fc.constantFrom(...KEYS),
    dice: fc.nat({ max: 255 }),
    waits: fc.boolean(),
  }),
  { minLength: 1, maxLength: 100, size: 'max' },
);

export interface Setup {
  readonly keepsFront: boolean;
  readonly ages: boolean;
  readonly late: Readonly<Record<PartName, boolean>>;
  readonly breaker: boolean;
}

export const setups: fc.Arbitrary<Setup> = fc.record({
  keepsFront: fc.boolean(),
  ages: fc.boolean(),
  late: fc.record({ front: fc.boolean(), back: fc.boolean(), journal: fc.boolean() }),
  breaker: fc.boolean(),
});
