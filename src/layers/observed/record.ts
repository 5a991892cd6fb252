import type { Call } from '../../store/call.ts';
import type { Change, Entry } from '../../store/entry.ts';
import type {
  BlockingPrimitives,
  CommitOutcome,
  Feed,
  Primitives,
  Write,
} from '../../store/primitives.ts';
import { sizeOf } from './events.ts';
import type { Findings, Intent, Recorder } from './recorder.ts';

type Operations<V> = Pick<
  Primitives<V>,
  'readOne' | 'readValue' | 'readMany' | 'scan' | 'scanKeys' | 'commit'
>;

export function recordOperations<V>(inner: Primitives<V>, recorder: Recorder): Operations<V> {
  return {
    readOne: (key, call) =>
      recorder.run(reading(call.operation, key), () => inner.readOne(key, call), one),
    ...(inner.readValue !== undefined && {
      readValue: (key, call) =>
        recorder.run(reading(call.operation, key), () => inner.readValue?.(key, call), oneValue),
    }),
    readMany: (keys, call) =>
      recorder.run(
        { operation: call.operation, step: 'read', keys: keys.length },
        () => inner.readMany(keys, call),
        many,
      ),
    scan: (range, call) =>
      recorder.pages({ operation: call.operation, step: 'scan' }, inner.scan(range, call), many),
    scanKeys: (range, call) =>
      recorder.pages(
        { operation: call.operation, step: 'scan' },
        inner.scanKeys(range, call),
        (page) => ({ found: page.length }),
      ),
    commit: (writes, call) =>
      recorder.run(committing(call, writes), () => inner.commit(writes, call), committed),
  };
}

export function recordFeed<V>(inner: Feed<V>, recorder: Recorder): Feed<V> {
  return {
    state: (call) => inner.state(call),
    read: (after, call) =>
      recorder.pages(
        { operation: call.operation, step: 'feed' },
        inner.read(after, call),
        ({ changes, end }) => ({ ...given(changes), rev: end?.rev }),
      ),
    wait: (after, call) => inner.wait(after, call),
    epochOf: (rev) => inner.epochOf(rev),
  };
}

type BlockingOperations<V> = Pick<
  BlockingPrimitives<V>,
  'readOne' | 'readValue' | 'scan' | 'scanKeys' | 'commit'
>;

/** The synchronous half knows no names of methods: they are told by what is done. */
export function recordBlocking<V>(
  inner: BlockingPrimitives<V>,
  recorder: Recorder,
): BlockingOperations<V> {
  const now = <T>(intent: Intent, work: () => T, findings: (result: T) => Findings): T =>
    recorder.run(intent, work, findings) as T;
  return {
    readOne: (key) => now(reading('get', key), () => inner.readOne(key), one),
    ...(inner.readValue !== undefined && {
      readValue: (key) => now(reading('get', key), () => inner.readValue?.(key), oneValue),
    }),
    scan: (range) => recorder.items({ operation: 'list', step: 'scan' }, inner.scan(range), one),
    scanKeys: (range) =>
      recorder.items({ operation: 'keys', step: 'scan' }, inner.scanKeys(range), () => ({
        found: 1,
      })),
    commit: (writes, operation) =>
      now(
        committing({ operation, key: writes.length === 1 ? writes[0]?.key : undefined }, writes),
        () => inner.commit(writes, operation),
        committed,
      ),
  };
}

const reading = (operation: string, key: string): Intent => ({
  operation,
  step: 'read',
  key,
  keys: 1,
});

function committing<V>(
  { operation, key }: Pick<Call, 'operation' | 'key'>,
  writes: readonly Write<V>[],
): Intent {
  let inBytes = 0;
  for (const write of writes) if (write.type === 'set') inBytes += sizeOf(write.value);
  return { operation, step: 'commit', key, keys: writes.length, inBytes };
}

const committed = ({ rev }: CommitOutcome): Findings => ({ rev });

const oneValue = (value: unknown): Findings => ({
  found: value === undefined ? 0 : 1,
  outBytes: sizeOf(value),
});

const one = (entry: Entry<unknown> | undefined): Findings => oneValue(entry?.value);

function many(entries: readonly (Entry<unknown> | undefined)[]): Findings {
  let found = 0;
  let outBytes = 0;
  for (const entry of entries) {
    if (entry === undefined) continue;
    found++;
    outBytes += sizeOf(entry.value);
  }
  return { found, outBytes };
}

function given(changes: readonly Change<unknown>[]): Findings {
  let outBytes = 0;
  for (const change of changes) if (change.type === 'set') outBytes += sizeOf(change.value);
  return { found: changes.length, outBytes };
}
