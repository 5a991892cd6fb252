/** A first store in a new epoch that has lost nothing: after an unclean end, or when somebody said so. */
import { expect, test } from 'vitest';
import { RenewedEpochs } from '../../../test/support/renewed-epochs.ts';
import { memory } from '../../drivers/memory/index.ts';
import type { Store } from '../../store/store.ts';
import { FaultPlan, faulty, simulatedEnv } from '../../testing/index.ts';
import { type ReplicaOptions, replica } from './index.ts';

const env = simulatedEnv();
const AWAY = { times: Number.POSITIVE_INFINITY };

const kinds: Record<
  string,
  (first: Store<string>, other: Store<string>) => ReplicaOptions<string>
> = {
  'an asynchronous': (first, other) => ({ sync: [first], async: [other] }),
  'a synchronous': (first, other) => ({ sync: [first, other], write: 1 }),
};

test.each(Object.entries(kinds))(
  'what was deleted while %s member was away stays deleted, and what others wrote there is kept',
  async (_, options) => {
    const renewed = new RenewedEpochs(memory<string>({ env }));
    const member = memory<string>({ env });
    const plan = new FaultPlan();
    const open = (other: Store<string>) =>
      replica({ ...options(renewed.store, other), closeParts: false });
    const before = open(faulty(member, plan));
    for (const key of ['gone', 'stays', 'changed']) await before.set(key, 'old');
    await before.flush();
    plan.failNext('commit', 'unavailable', AWAY);
    await before.delete('gone');
    await before.set('changed', 'new');
    await member.set('other', 'past the replica');
    await before.close({ drainMs: 0 });
    await renewed.renew();
    const after = open(member);
    await after.flush();
    const expected = [
      ['changed', 'new'],
      ['other', 'past the replica'],
      ['stays', 'old'],
    ];
    for (const store of [after, renewed.store, member])
      expect(await Array.fromAsync(store.list(), ({ key, value }) => [key, value])).toEqual(
        expected,
      );
    await after.close();
  },
);
