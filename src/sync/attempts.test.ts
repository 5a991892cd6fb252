import { describe, expect, it } from 'vitest';
import { bytes } from '../../test/support/bytes.ts';
import { Peer } from '../../test/support/sync-peer.ts';
import { memory } from '../drivers/memory/index.ts';
import { simulatedEnv } from '../testing/index.ts';
import { channelPair, publish, type Rights } from './index.ts';
import type { MessageOf } from './protocol.ts';
import { ByteWriter } from './wire.ts';
import { putWrite, type WireWrite } from './writes.ts';

const hello: MessageOf<'hello'> = {
  type: 'hello',
  oldestVersion: 1,
  newestVersion: 3,
  storeId: '',
  token: 't',
  prefix: '',
  clientId: 'c',
  sourceId: '',
  scope: '',
  cursor: undefined,
  creditBytes: 1_000_000,
};
const attempt: MessageOf<'attempt'> = {
  type: 'attempt',
  writer: 'w',
  sequence: 1,
  again: false,
  existence: false,
  since: undefined,
};

function write(id: number, what: WireWrite, last = true): MessageOf<'write'> {
  const into = new ByteWriter();
  putWrite(into, what);
  return { type: 'write', id, last, writes: into.view().slice() };
}

const set = (key: string): WireWrite => ({ type: 'set', key, value: bytes('1') });

async function server(newestVersion = 3) {
  const world = simulatedEnv(4);
  const store = memory<Uint8Array>({ env: world });
  let rights: Rights = { read: true, write: true };
  const publication = publish(store, { authorize: () => rights });
  const [here, there] = channelPair();
  publication.accept(there);
  const peer = new Peer(here);
  peer.send({ ...hello, newestVersion });
  await world.advance(5);
  const grant = async (next: Rights): Promise<void> => {
    rights = next;
    const asked = publication.reauthorize();
    await world.advance(5);
    await asked;
  };
  return { world, store, peer, grant };
}

describe('a numbered write', () => {
  it('is answered again with what it came to, under any id', async () => {
    const { world, store, peer } = await server();
    peer.send(attempt, write(1, set('a')));
    peer.send({ ...attempt, again: true }, write(2, set('a')));
    await world.advance(5);
    const answers = peer.received.filter(({ type }) => type === 'result');
    expect(answers).toMatchObject([
      { id: 1, rev: 1 },
      { id: 2, rev: 1 },
    ]);
    expect((answers[0] as MessageOf<'result'>).outcomes).toEqual(
      (answers[1] as MessageOf<'result'>).outcomes,
    );
    // Without a revision that it knew of before, nobody can say what became of another.
    peer.send({ ...attempt, writer: 'v', again: true }, write(3, set('b')));
    peer.send({ ...attempt, sequence: 0, again: true }, write(4, set('c')));
    await world.advance(5);
    expect(peer.received.filter(({ type }) => type === 'error')).toMatchObject([
      { id: 3, code: 'unknown-outcome', retryable: false },
      { id: 4, code: 'unknown-outcome', retryable: false },
    ]);
    expect(await store.hasMany(['a', 'b', 'c'])).toEqual(new Set(['a']));
  });

  it('that was asked for before is not said to be denied, when it may have been done', async () => {
    const { world, store, peer, grant } = await server();
    peer.send(attempt, write(1, set('a')));
    await world.advance(5);
    await grant({ read: true, write: ['b'] });
    peer.send({ ...attempt, again: true }, write(2, set('a')));
    await world.advance(5);
    expect(peer.received.at(-1)).toMatchObject({ type: 'result', id: 2, rev: 1 });
    await grant({ read: true });
    peer.send({ ...attempt, again: true }, write(3, set('a')));
    await world.advance(5);
    expect(peer.received.at(-1)).toMatchObject({ type: 'error', id: 3, code: 'unknown-outcome' });
    expect((await store.getEntry('a'))?.rev).toBe(1);
  });

  it('is malformed with a name that is none, in the midst of another, or in an older protocol', async () => {
    const sent: [number, (peer: Peer) => void, number][] = [
      [3, (peer) => peer.send({ ...attempt, writer: '' }), 1007],
      [3, (peer) => peer.send({ ...attempt, writer: 'w'.repeat(65) }), 1007],
      [3, (peer) => peer.send(attempt, write(1, set('a'), false), attempt), 1002],
      [2, (peer) => peer.send(attempt), 1002],
    ];
    for (const [version, send, code] of sent) {
      const { world, store, peer } = await server(version);
      send(peer);
      await world.advance(5);
      expect(peer.closed).toBe(code);
      expect(await store.has('a')).toBe(false);
    }
  });
});

describe('a write of several frames', () => {
  it('is not done in part when the right to write comes back in its midst', async () => {
    const { world, store, peer, grant } = await server();
    await grant({ read: true });
    peer.send(attempt, write(1, set('a'), false));
    await world.advance(5);
    await grant({ read: true, write: true });
    peer.send(write(1, set('b')));
    await world.advance(5);
    expect(await store.hasMany(['a', 'b'])).toEqual(new Set());
    expect(peer.received.at(-1)).toMatchObject({ type: 'error', id: 1, code: 'denied' });
    peer.send({ ...attempt, sequence: 2 }, write(2, set('c')));
    await world.advance(5);
    expect(await store.hasMany(['a', 'b', 'c'])).toEqual(new Set(['c']));
  });

  it('leaves no piece to the next when it is refused', async () => {
    const { world, store, peer, grant } = await server();
    peer.send({ type: 'piece', offset: 0, bytes: bytes('of a') });
    await world.advance(5);
    await grant({ read: true });
    peer.send(attempt, write(1, set('a')));
    await world.advance(5);
    expect(peer.received.at(-1)).toMatchObject({ type: 'error', id: 1, code: 'denied' });
    await grant({ read: true, write: true });
    peer.send({ ...attempt, sequence: 2 }, write(2, set('c')));
    await world.advance(5);
    expect(peer.closed).toBeUndefined();
    expect(await store.hasMany(['a', 'b', 'c'])).toEqual(new Set(['c']));
  });
});

describe('terms', () => {
  it('are told to those who know them, and those who do not come back to learn of others', async () => {
    const newer = await server();
    expect(newer.peer.types().slice(0, 2)).toEqual(['ready', 'terms']);
    expect(newer.peer.received[1]).toMatchObject({
      mayWrite: true,
      writeBytes: 16 * 1024 * 1024,
      keepsResults: true,
      resultsAt: { rev: 0 },
    });
    await newer.grant({ read: true });
    expect(newer.peer.received.at(-1)).toMatchObject({ type: 'terms', mayWrite: false });
    const older = await server(2);
    expect(older.peer.types()).not.toContain('terms');
    await older.grant({ read: true });
    expect(older.peer.types().at(-1)).toBe('goaway');
  });
});
