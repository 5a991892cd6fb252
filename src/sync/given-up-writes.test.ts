import { expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { Call } from '../store/call.ts';
import { StrataError } from '../store/errors.ts';
import { simulatedEnv } from '../testing/index.ts';
import type { MessageOf } from './protocol.ts';
import { RemoteWrites } from './remote-writes.ts';

/** Of a server that tells no terms. */
const ready: MessageOf<'ready'> = {
  type: 'ready',
  version: 2,
  sourceId: 's',
  fresh: true,
  head: undefined,
  scope: '',
  codec: 'raw',
  mayWrite: true,
  heartbeatMs: 1_000,
  nowMs: 0,
};

it('a write that is given up as its turn comes is not sent', async () => {
  const world = simulatedEnv(1);
  const writes = new RemoteWrites(world);
  const call = new Call(world, 'set', 'a');
  const written = writes.commit([{ type: 'set', key: 'a', value: bytes('1') }], call);
  const refused = expect(written).rejects.toMatchObject({ code: 'aborted' });
  const sent: Uint8Array[] = [];
  writes.greeted(ready, (frame) => void sent.push(frame));
  call.end('aborted');
  await refused;
  expect(sent).toEqual([]);
});

it('a write that was applied is never said to be undone, whatever ends the wait for it', async () => {
  const world = simulatedEnv(1);
  const writes = new RemoteWrites(world);
  const call = new Call(world, 'set', 'a');
  const written = writes.commit([{ type: 'set', key: 'a', value: bytes('1') }], call);
  const refused = expect(written).rejects.toMatchObject({ code: 'unknown-outcome' });
  writes.greeted(ready, () => undefined);
  await world.advance(1);
  writes.answered({ type: 'result', id: 1, rev: 5, outcomes: Uint8Array.of(0) });
  await world.advance(1);
  writes.end(new StrataError('closed', 'subscribe: closed', { operation: 'subscribe' }));
  await refused;
});
