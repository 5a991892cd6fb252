import type { Call } from '../store/call.ts';
import type { Entry } from '../store/entry.ts';
import { StrataError } from '../store/errors.ts';
import type { Position } from '../store/primitives.ts';
import { missingEntry } from '../walk/link-reader.ts';
import type { OperationsWriter } from './batch-operations.ts';
import {
  GroupEncoder,
  type GroupFrame,
  type GroupSource,
  type WalkedSource,
} from './group-frames.ts';
import type { Scope } from './scope.ts';
import { type GraphNode, hasEnded } from './walk-graph.ts';
import type { WalkedReach, WalkedRoot, WalkedStep } from './walked-reach.ts';

/** Entries read at once. */
const READ_KEYS = 64;
/** A source that is never still for long enough is given up after so many tries. */
const MAX_PASSES = 64;

/** Nodes that are not as a step says: changed since, or not there. */
interface Doubtful {
  readonly newer: readonly GraphNode[];
  readonly missing: readonly GraphNode[];
}

/**
 * The frames of one group of a walk. A copy at a position holds all that was reachable there, as it
 * was: of what is reachable at the end of the group, the group brings what was not, and what has
 * changed, everything behind what it points to and the roots last.
 *
 * A long group takes its time, and the store goes on meanwhile: what is found to be newer than the
 * position aimed at is left to a further pass, which aims at a later one.
 */
async function* walkedGroup(
  reach: WalkedReach,
  source: GroupSource,
  operations: OperationsWriter,
  after: Position | undefined,
  wanted: readonly string[] | undefined,
  call: Call,
): AsyncGenerator<GroupFrame, void> {
  let step = await reach.step(after, wanted ?? [], call);
  if (wanted === undefined && after !== undefined && step.at.rev === after.rev) return;
  const { order: _, holds: __, ...scope } = source.scope;
  const group = new GroupEncoder({ ...source, scope }, operations, after);
  for (const key of absent(step, scope, wanted ?? [])) {
    group.addAsIs(key, undefined, step.at.rev);
    if (group.ready.length > 0) yield* group.ready.splice(0);
  }
  const roots = new Map<string, WalkedRoot>();
  let doubtful: Doubtful = { newer: [], missing: [] };
  // A copy that begins has nothing, until an earlier pass has told of something.
  let mayHave = after !== undefined;
  for (let pass = 1; ; pass++) {
    // What was a root in an earlier pass, and is none any more, is told as it is now.
    for (const { key } of step.nodes) roots.delete(key);
    for (const root of step.roots) {
      roots.delete(root.key);
      roots.set(root.key, root);
    }
    const before = new Set(doubtful.missing.map(({ key }) => key));
    doubtful = yield* addNodes(group, source, step, mayHave, call);
    const { newer, missing } = doubtful;
    const lost = missing.find((node) => before.has(node.key));
    if (lost !== undefined) throw missingEntry('publish', lost.key, lost.from);
    if (newer.length + missing.length === 0) break;
    if (pass >= MAX_PASSES) throw tooFast();
    mayHave = true;
    step = await reach.step(
      step.at,
      [...newer, ...missing].map(({ key }) => key),
      call,
    );
  }
  const isTold = ({ key, entry }: WalkedRoot): boolean =>
    scope.accepts(key) && (entry !== undefined || mayHave);
  for (const root of roots.values())
    if (isTold(root)) group.addAsIs(root.key, root.entry, step.at.rev);
  yield* group.finish(step.at);
}

/** Keys that are wanted and do not belong to what is reached. */
function absent(
  { nodes, roots }: WalkedStep,
  { accepts }: Pick<Scope, 'accepts'>,
  wanted: readonly string[],
): readonly string[] {
  if (wanted.length === 0) return wanted;
  const there = new Set([...nodes, ...roots].map(({ key }) => key));
  return wanted.filter((key) => !there.has(key) || !accepts(key));
}

/** Adds what is as the step says; gives the nodes that are not. */
async function* addNodes(
  group: GroupEncoder,
  { side, scope }: GroupSource,
  { at, nodes, refused }: WalkedStep,
  mayHave: boolean,
  call: Call,
): AsyncGenerator<GroupFrame, Doubtful> {
  const doubtful = { newer: [] as GraphNode[], missing: [] as GraphNode[] };
  const nowMs = side.primitives.env.now();
  const seen = nodes.filter(({ key }) => scope.accepts(key));
  for (let start = 0; start < seen.length; start += READ_KEYS) {
    const some = seen.slice(start, start + READ_KEYS);
    const wanted = some.filter((node) => !refused.has(node) && !isAtHand(node, at, nowMs));
    const found = new Map<string, Entry<unknown>>();
    if (wanted.length > 0) {
      const keys = wanted.map(({ key }) => key);
      for (const entry of await side.entries.readMany(keys, call))
        if (entry !== undefined) found.set(entry.key, entry);
    }
    for (const node of some) {
      if (refused.has(node)) {
        if (mayHave) group.addAsIs(node.key, undefined, at.rev);
        continue;
      }
      const entry = found.get(node.key) ?? (isAtHand(node, at, nowMs) ? node.entry : undefined);
      if (entry === undefined) doubtful.missing.push(node);
      else if ((entry.rev ?? 0) > at.rev) doubtful.newer.push(node);
      else group.addAsIs(node.key, entry, at.rev);
    }
    if (group.ready.length > 0) yield* group.ready.splice(0);
  }
  return doubtful;
}

/** The graph may have gone on while a group is sent. */
function isAtHand(node: GraphNode, at: Position, nowMs: number): boolean {
  const { entry } = node;
  return entry !== undefined && (entry.rev ?? 0) <= at.rev && !hasEnded(node, nowMs);
}

function tooFast(): StrataError {
  return new StrataError(
    'unavailable',
    'publish: the store changes faster than what its roots reach can be sent',
    { operation: 'publish' },
  );
}

/** What a scope has of what is reached. */
export function walkedSource(reach: WalkedReach, source: GroupSource): WalkedSource {
  return {
    read: (operations, after, call) =>
      walkedGroup(reach, source, operations, after, undefined, call),
    mend: (operations, keys, since, call) =>
      walkedGroup(reach, source, operations, since, keys, call),
    look: (since, call) => reach.look(since, call),
    reaches: (key) => reach.reaches(key),
  };
}
