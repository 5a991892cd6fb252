/** What is known of both sides, while answers come late. */
import { expect, it } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { simulatedEnv } from '../../testing/index.ts';
import { ColdOwner } from './cold-owner.ts';

const DENIED = { code: 'denied', message: expect.stringMatching(/rebuildIndex/) };

/** A hot side of which questions wait for their answers, until it is told to answer at once. */
class SlowHot {
  readonly env = simulatedEnv(1);
  readonly namespace = 'n';
  readonly title = 'the hot side';
  readonly cold = memory<Uint8Array>({ env: this.env });
  readonly owner = new ColdOwner(this.cold, this, 1_000);
  readonly #waiting: ((id: string) => void)[] = [];
  atOnce: string | undefined;

  identity(): Promise<string> {
    if (this.atOnce !== undefined) return Promise.resolve(this.atOnce);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  async asked(questions: number): Promise<void> {
    await expect.poll(() => this.#waiting.length).toBe(questions);
  }

  answer(question: number, id: string): void {
    this.#waiting[question]?.(id);
  }
}

it.each([
  [0, 1],
  [1, 0],
])('believes the answer to the later question, also when it comes first', async (...order) => {
  const hot = new SlowHot();
  hot.atOnce = 'x';
  await hot.owner.check('write');
  await hot.env.advance(2_000);
  hot.atOnce = undefined;
  const read = hot.owner.check('read').catch((error: unknown) => error);
  await hot.asked(1);
  // It is emptied, and marks are taken from it.
  const taken = hot.owner.isSameHot();
  await hot.asked(2);
  hot.atOnce = 'y';
  for (const question of order) hot.answer(question, question === 0 ? 'x' : 'y');
  expect(await taken).toBe(false);
  await read;
  await expect(hot.owner.check('write')).rejects.toMatchObject(DENIED);
  await expect(hot.owner.check('read')).rejects.toMatchObject(DENIED);
});

it('lets nobody rely on a comparison that began before the hot side was another', async () => {
  const hot = new SlowHot();
  const before = hot.owner.check('write');
  await hot.asked(1);
  const taken = hot.owner.isSameHot();
  await hot.asked(2);
  hot.atOnce = 'y';
  hot.answer(1, 'y');
  expect(await taken).toBe(false);
  const put = hot.owner.check('write');
  hot.answer(0, 'x');
  await before.catch(() => undefined);
  // Whichever of the two the note is of: it is that of what was taken, or nothing is put.
  const isOurs = new TextDecoder().decode((await hot.cold.get('n/id')) as Uint8Array) === 'y';
  if (isOurs) await put;
  else await expect(put).rejects.toMatchObject(DENIED);
});

it('asks again where the later question got no answer', async () => {
  const hot = new SlowHot();
  hot.atOnce = 'x';
  await hot.owner.check('write');
  hot.atOnce = undefined;
  const taken = hot.owner.isSameHot();
  await hot.asked(1);
  const failing = hot.owner.isSameHot();
  hot.identity = () => Promise.reject(new Error('away'));
  expect(await hot.owner.isSameHot()).toBe(false);
  hot.answer(0, 'x');
  hot.answer(1, 'x');
  expect(await Promise.all([taken, failing])).toEqual([false, false]);
  await expect(hot.owner.check('write')).rejects.toThrow('away');
});
