/** What happens between the steps of one command. */
import { Redis } from 'ioredis';
import { afterEach, expect, it } from 'vitest';
import { ArchiveServer } from '../../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../../test/support/engines.ts';
import { type Before, slowPorts } from '../../../../test/support/slow-ports.ts';
import { hotKeysOf } from '../hot-keys-of.ts';
import type { Archive } from '../index.ts';
import { archivedRedis } from './index.ts';
import { portsLikeIoRedis } from './ioredis.ts';
import { Link } from './link.ts';
import type { GuardedArchive } from './routes.ts';
import { Session } from './session.ts';
import { Watching } from './watching.ts';

describeWithEngine('redis-server', 'archivedRedis, between its steps', () => {
  const on = new ArchiveServer();
  const sessions: Session[] = [];
  afterEach(() => {
    for (const session of sessions.splice(0)) session.destroy();
  });

  const open = (archive: Archive, before: Before): Session => {
    const pattern = new Redis(on.url, { lazyConnect: true });
    const hot = hotKeysOf(archive);
    if (!hot?.connection) throw new Error('no Redis');
    const { connection, namespace = '', prefix = '' } = hot;
    const guarded: GuardedArchive = {
      bounds: { namespace, prefix },
      env: connection.env,
      ensure: (keys) => archive.ensure(...keys),
      mark: (keys) => archive.dirty(...keys),
      ask: (words) => connection.read('test', words),
    };
    const ports = slowPorts(portsLikeIoRedis(pattern), before);
    const allowed = new Set<string>();
    const link = new Link(ports, guarded, allowed);
    const session = new Session(link, guarded, { allowed, mostWaiting: 100 }, new Watching(ports));
    sessions.push(session);
    return session;
  };
  const run = (session: Session, ...words: string[]): Promise<unknown> =>
    session.command(words, undefined, () => Promise.reject(new Error('left to the client')));
  const frozen = async (archive: Archive, key: string): Promise<void> => {
    await on.client.set(key, '5');
    await archive.dirty(key);
    await archive.drain();
  };

  it('does not run what was evicted after the guard had looked', async () => {
    const { one, another } = on.world();
    const other = another();
    let evictions = 0;
    const session = open(one, async ([name]) => {
      if (name !== 'MULTI' || evictions > 0) return;
      const { evicted } = await other.evict('n');
      evictions += evicted;
    });
    await frozen(one, 'n');
    expect(await run(session, 'INCR', 'n')).toBe(6);
    expect(evictions).toBe(1);
    evictions = 0;
    await other.drain();
    expect(String(await run(session, 'GET', 'n'))).toBe('6');
    expect(evictions).toBe(1);
  });

  it('notices what others did between its steps, and runs once', async () => {
    const { one, another } = on.world();
    const other = another();
    await frozen(one, 'n');
    let step = 0;
    const session = open(one, async () => {
      step++;
      if (step % 7 === 0) await other.evict('n');
      if (step % 11 === 0) await other.ensure('n');
      if (step % 5 === 0) await other.drain();
    });
    for (let n = 6; n < 30; n++) expect(await run(session, 'INCR', 'n')).toBe(n);
    await other.ensure('n');
    expect(await on.client.get('n')).toBe('29');
  });

  it('marks what is written behind a SCRIPT FLUSH of the same transaction', async () => {
    const { one } = on.world();
    const kv = archivedRedis(new Redis(on.url), { archive: one });
    await kv.rpush('l', 'a', 'b');
    await kv.multi().lpop('l').script('FLUSH').set('x', '1').exec();
    expect(await on.client.hKeys('strata-archive:marks')).toEqual(['l', 'x']);
    kv.disconnect();
  });

  it('leaves nothing half done when its process ends at any step', async () => {
    const { one } = on.world();
    const commands = [
      ['INCR', 'n'],
      ['DEL', 'n'],
      ['SET', 'n', 'new'],
      ['RENAME', 'n', 'm'],
      ['SET', 'n', '7', 'PX', '100000'],
    ];
    let ended = 0;
    for (const command of commands)
      for (const state of ['hot', 'evicted'])
        for (let last = 0; last < 8; last++) {
          await on.client.flushAll();
          await frozen(one, 'n');
          if (state === 'evicted') await one.evict('n');
          let sent = -1_000;
          const session = open(one, async () => {
            if (++sent > last) session.destroy();
          });
          // Its connection is ready, so that only the steps of the command are counted.
          await run(session, 'GET', 'none');
          sent = 0;
          const error = await run(session, ...command).then(
            () => undefined,
            (caught) => caught,
          );
          if (error !== undefined) ended++;
          await one.ensure('n', 'm');
          const [n, m] = [await on.client.get('n'), await on.client.get('m')];
          const marks = await on.client.hKeys('strata-archive:marks');
          if (n === '5' && m === null) continue;
          expect(marks, `${command} ended after ${last} steps`).toContain('n');
          expect(error === undefined || last >= 2).toBe(true);
          await one.drain();
          await one.evict('n', 'm');
          await one.ensure('n', 'm');
          expect([await on.client.get('n'), await on.client.get('m')]).toEqual([n, m]);
        }
    expect(ended).toBeGreaterThan(20);
  });
});
