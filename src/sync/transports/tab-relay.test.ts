/** Whom a relay lets join, and from where; what it keeps and whom it lets go. */
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage, type Message, type MessageOf } from '../protocol.ts';
import { TabRelay } from './tab-relay.ts';

const position = (rev: number, epoch = 'e') => ({ epoch, rev, id: `c${rev}` });

const hello = (more: Partial<MessageOf<'hello'>> = {}): MessageOf<'hello'> => ({
  type: 'hello',
  oldestVersion: 1,
  newestVersion: 1,
  storeId: '',
  token: 'secret',
  prefix: '',
  clientId: 'a',
  sourceId: 's',
  scope: 'all',
  cursor: position(10),
  creditBytes: 1_000_000,
  ...more,
});

const batch = (
  from: number,
  to: number | undefined,
  more: Partial<MessageOf<'batch'>> = {},
): Message => ({
  type: 'batch',
  fresh: false,
  from,
  part: 0,
  end: to === undefined ? undefined : position(to),
  operations: new Uint8Array(8),
  ...more,
});

class World {
  readonly told: string[] = [];
  readonly toServer: Message[] = [];
  readonly relay: TabRelay;

  constructor(own: Partial<MessageOf<'hello'>> = {}) {
    const say = (ids: readonly string[] | string, what: string) =>
      this.told.push(`${[ids].flat().join('+')}: ${what}`);
    this.relay = new TabRelay({
      hello: hello(own),
      anyToken: false,
      monotonicMs: () => 0,
      toServer: (frame) => void this.toServer.push(decodeMessage(frame)),
      toMembers: (ids, frame) => {
        const message = decodeMessage(frame);
        const more =
          message.type === 'batch'
            ? ` to ${message.end?.rev}`
            : message.type === 'ready'
              ? ` fresh ${message.fresh}`
              : '';
        say(ids, `${message.type}${more}`);
      },
      end: (id, code) => say(id, `end ${code}`),
      refuse: (id) => say(id, 'refused'),
      postpone: (id) => say(id, 'postponed'),
    });
  }

  server(...messages: readonly Message[]): (Message | undefined)[] {
    return messages.map((message) => {
      const own = this.relay.heard(encodeMessage(message));
      return own && decodeMessage(own);
    });
  }

  ready(fresh: boolean): void {
    this.server({
      type: 'ready',
      version: 1,
      sourceId: 's',
      fresh,
      head: position(10),
      scope: 'all',
      codec: 'raw',
      mayWrite: true,
      heartbeatMs: 1_000,
      nowMs: 5,
    });
  }

  join(id: string, more: Partial<MessageOf<'hello'>> = {}): void {
    this.relay.join(id, encodeMessage(hello(more)));
  }

  applied(rev: number): void {
    this.relay.own(encodeMessage({ type: 'ack', rev, bytes: 0 }));
  }

  from(id: string, message: Message): void {
    this.relay.up(id, encodeMessage(message));
  }
}

describe('who joins a relay', () => {
  it('goes on from its own cursor, wherever in what is kept that is', () => {
    const world = new World();
    world.join('early');
    world.ready(false);
    world.server(batch(10, 12), batch(12, 15), batch(15, undefined));
    world.join('behind', { cursor: position(12) });
    world.join('within', { cursor: position(13) });
    world.join('ahead', { cursor: position(20) });
    world.server(batch(15, 16, { part: 1 }));
    expect(world.told).toEqual([
      'early: ready fresh false',
      'early: batch to 12',
      'early: batch to 15',
      'early: batch to undefined',
      'behind: ready fresh false',
      'behind: batch to 15',
      'behind: batch to undefined',
      'within: ready fresh false',
      'within: batch to 15',
      'within: batch to undefined',
      'ahead: ready fresh false',
      'ahead: batch to undefined',
      'early+behind+within+ahead: batch to 16',
    ]);
  });

  it('is put off when what it needs is not kept, and never given what is older than its copy', () => {
    const world = new World();
    world.ready(false);
    world.server(batch(10, 12));
    world.join('too old', { cursor: position(9) });
    world.join('of another epoch', { cursor: position(11, 'other') });
    world.join('without a copy', { cursor: undefined });
    expect(world.told).toEqual([
      'too old: postponed',
      'of another epoch: postponed',
      'without a copy: postponed',
    ]);
  });

  it('gets the first state with the holder, or waits until the holder has it', () => {
    const world = new World({ cursor: undefined });
    world.ready(true);
    world.server(batch(0, undefined, { fresh: true }));
    world.join('empty', { cursor: undefined });
    world.join('with a copy', { cursor: position(50) });
    world.server(batch(0, 30, { fresh: true, part: 1 }));
    expect(world.told).toEqual([
      'empty: ready fresh true',
      'empty: batch to undefined',
      'empty: batch to 30',
      // It was further than this state: it joins where that is true of the stream.
      'with a copy: ready fresh false',
    ]);
    world.join('behind', { cursor: position(20) });
    expect(world.told.slice(4)).toEqual([
      'behind: ready fresh true',
      'behind: batch to undefined',
      'behind: batch to 30',
    ]);
  });

  it('is sent away to a connection of its own when it asks for something else', () => {
    const world = new World();
    world.ready(false);
    world.join('prefix', { prefix: 'a/' });
    world.join('token', { token: 'other' });
    world.join('store', { storeId: 'other' });
    world.join('release', { newestVersion: 9 });
    world.relay.join('no hello', encodeMessage({ type: 'ack', rev: 0, bytes: 0 }));
    expect(world.told).toEqual(
      ['prefix', 'token', 'store', 'release', 'no hello'].map((id) => `${id}: refused`),
    );
  });
});

describe('a relay', () => {
  it('keeps little: a long group is not kept, and who comes in its midst waits for its end', () => {
    const world = new World();
    world.ready(false);
    const operations = new Uint8Array(900_000);
    for (let part = 0; part < 4; part++) world.server(batch(10, undefined, { part, operations }));
    world.join('waits');
    expect(world.told).toEqual([]);
    world.server(batch(10, 11, { part: 4, operations }));
    expect(world.told).toEqual(['waits: postponed']);
    world.join('again', { cursor: position(11) });
    world.server(batch(11, 12));
    expect(world.told.slice(1)).toEqual(['again: ready fresh false', 'again: batch to 12']);
  });

  it('lets go who takes nothing in, and holds nobody else back', () => {
    const world = new World();
    world.ready(false);
    world.join('stuck');
    world.join('quick');
    const operations = new Uint8Array(1_000_000);
    let bytes = 0;
    for (let rev = 11; rev < 21; rev++) {
      world.server(batch(rev - 1, rev, { operations }));
      bytes += 1_000_100;
      world.from('quick', { type: 'ack', rev, bytes });
    }
    expect(world.told).toContain('stuck: end 1013');
    expect(world.told.at(-1)).toBe('quick: batch to 20');
  });

  it('numbers all writes in one row, whole batches, and gives each its own answer', () => {
    const world = new World();
    world.ready(false);
    world.join('a');
    world.join('b');
    const write = (id: number, last: boolean): Message => ({
      type: 'write',
      id,
      last,
      writes: new Uint8Array(1),
    });
    world.from('a', { type: 'piece', offset: 0, bytes: new Uint8Array(3) });
    world.from('b', write(1, true));
    world.from('a', write(1, false));
    const own = [write(1, false), write(1, true)].map((message) =>
      decodeMessage(world.relay.own(encodeMessage(message))),
    );
    world.from('a', write(1, true));
    expect(world.toServer.map((m) => (m.type === 'write' ? m.id : m.type))).toEqual([
      1,
      'piece',
      3,
      3,
    ]);
    expect(own).toMatchObject([{ id: 2 }, { id: 2 }]);
    const result = (id: number): Message => ({
      type: 'result',
      id,
      rev: 0,
      outcomes: new Uint8Array(),
    });
    world.told.length = 0;
    expect(world.server(result(3), result(2), result(1), result(4))).toMatchObject([
      undefined,
      { type: 'result', id: 1 },
      undefined,
      undefined,
    ]);
    expect(world.told).toEqual(['a: result', 'b: result']);
  });

  it('ends a member whose frames are none, and all when it closes', () => {
    const world = new World();
    world.ready(false);
    world.join('a');
    world.join('b');
    world.relay.up('a', Uint8Array.of(250));
    world.relay.up('a', Uint8Array.of(250));
    world.relay.close();
    expect(world.told.slice(2)).toEqual(['a: end 1002', 'b: end 1001']);
  });
});
