import { expect, it } from 'vitest';
import { memory } from '../drivers/memory/index.ts';
import { Call } from '../store/call.ts';
import type { Change } from '../store/entry.ts';
import type { Position } from '../store/primitives.ts';
import { systemEnv } from '../store/system-env.ts';
import { GroupReader, type GroupSource } from './group-frames.ts';
import { scopeOf } from './scope.ts';
import { sourceSide } from './sides.ts';

const END: Position = { epoch: 'e', rev: 2, id: 'x' };

/** A source whose feed gives everything in pages as some engines do: many values, however large. */
function pagedSource(changes: readonly Change<Uint8Array>[]) {
  const side = sourceSide(memory<Uint8Array>(), undefined);
  let encoded = 0;
  const source: GroupSource = {
    storeId: 's',
    scope: scopeOf('', { read: true }, {}),
    limits: { batchBytes: 64 * 1024, batchKeys: 4_096, orderedBytes: 1 },
    side: {
      ...side,
      feed: {
        ...side.feed,
        state: () => ({ storeId: 's', head: END }),
        epochOf: () => 'e',
        wait: async () => undefined,
        async *read(after) {
          if (after?.rev === END.rev) return;
          yield { changes };
          yield { changes: [], end: END };
        },
      },
      toBytes: (key, value) => {
        encoded++;
        return side.toBytes(key, value);
      },
    },
  };
  return { source, encoded: () => encoded };
}

it('encodes no more of a page than the frames that are taken: who pauses holds up no memory', async () => {
  const changes = Array.from({ length: 100 }, (_, i): Change<Uint8Array> => {
    const value = new Uint8Array(50_000);
    return { type: 'set', key: `key:${i}`, value, version: `v.${i}`, rev: 1, modifiedAt: 0 };
  });
  const { source, encoded } = pagedSource(changes);
  const frames = new GroupReader(source).read(
    { epoch: 'e', rev: 1, id: '1' },
    Call.background(systemEnv, 'test'),
  );
  let operations = 0;
  let count = 0;
  for await (const frame of frames) {
    operations += frame.operations;
    count++;
    expect(encoded()).toBeLessThanOrEqual(count * 2);
  }
  expect({ operations, count }).toEqual({ operations: 100, count: 51 });
});
