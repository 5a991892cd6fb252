import { expect, it } from 'vitest';
import { callOf, del, set } from '../../../test/support/journal-world.ts';
import { StrataError } from '../../store/errors.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { volatileJournal } from './volatile-journal.ts';

it('gives numbers and names, and keeps dead letters only', async () => {
  const env = simulatedEnv();
  const call = callOf(env);
  const journal = volatileJournal<unknown>(env);
  expect(journal.durability).toBe('memory');
  expect(await journal.open(call)).toEqual([]);
  const records = await journal.append([[set('a', 1)], [del('a')]], [], call);
  journal.blocking?.append([[set('b', 'x'.repeat(500))]], [1], 'set');
  expect(records.map(({ seq, epoch }) => [seq, epoch])).toEqual([
    [1, journal.epoch],
    [2, journal.epoch],
  ]);
  expect(new Set(records.map(({ id }) => id)).size).toBe(2);
  expect(journal.lastSeq).toBe(3);
  await journal.drop([1, 2, 3], call);
  journal.blocking?.drop([1], 'set');
  const letter = set('c', 1);
  const refused = new StrataError('denied', 'not allowed', { operation: 'set' });
  for (let twice = 0; twice < 2; twice++) await journal.bury(letter, refused, call);
  expect(journal.deadLetterCount).toBe(1);
  const [buried] = await journal.deadLetters(call);
  expect(buried).toMatchObject({ write: letter, cause: { code: 'denied' } });
  await journal.forgetDeadLetters([buried?.id as string], call);
  expect(journal.deadLetterCount).toBe(0);
  await journal.close();
});
