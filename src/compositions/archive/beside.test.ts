/** Archives beside others, over cold stores that each process has copies of. */
import { expect, it } from 'vitest';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { memory } from '../../drivers/memory/index.ts';
import { tiered } from '../tiered/index.ts';

describeWithEngine('redis-server', 'an archive beside others', () => {
  const on = new ArchiveServer();

  it('asks the cold store itself, where processes have copies of it', async () => {
    const { cold, another } = on.world();
    const near = () => tiered({ front: memory<Uint8Array>(), back: cold });
    const [one, two] = [another({ cold: near() }), another({ cold: near() })];
    await on.evicted(one, 'k', 'first');
    await two.ensure('k');
    await on.evicted(one, 'k', 'second');
    await two.ensure('k');
    expect(await on.client.get('k')).toBe('second');
  });

  it('evicts nothing by a copy that is older than the cold store', async () => {
    const { cold, another } = on.world();
    const near = () => tiered({ front: memory<Uint8Array>(), back: cold });
    const [one, two] = [another({ cold: near() }), another({ cold: near() })];
    await on.evicted(one, 'k', 'first');
    await two.ensure('k');
    await on.frozen(one, 'k', 'second');
    await on.client.set('k', 'first');
    expect(await two.evict('k')).toMatchObject({ evicted: 0, kept: [{ reason: 'dirty' }] });
    await on.makeDue();
    await two.drain();
    await two.evict('k');
    await one.ensure('k');
    expect(await on.client.get('k')).toBe('first');
  });
});
