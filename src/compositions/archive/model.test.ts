/** Writers, workers, evictions, expiry, deletes and failures of the cold store, against a plain map. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  ArchiveModel,
  type Flaw,
  groups,
  heedless,
  rewriting,
} from '../../../test/support/archive-model.ts';
import { ArchiveServer } from '../../../test/support/archive-world.ts';
import { describeWithEngine } from '../../../test/support/engines.ts';
import { faultyCold } from '../../../test/support/faulty-cold.ts';
import { FaultPlan } from '../../testing/index.ts';
import { archive, redisKeys } from './index.ts';

/** Changes a script, and fails where it is not what it was when the flaw was thought out. */
function instead(mark: string, ...changes: readonly (readonly [RegExp, string])[]): Flaw {
  return {
    script: (source) => {
      if (!source.includes(mark)) return source;
      return changes.reduce((script, [part, flawed]) => {
        expect(script).toMatch(part);
        return script.replace(part, flawed);
      }, source);
    },
  };
}

/** Several changes, of one script each. */
const together = (...flaws: readonly Flaw[]): Flaw => ({
  script: (source) => flaws.reduce((script, flaw) => flaw.script?.(script) ?? script, source),
});

/** Words that only one script has. */
const only = {
  settle: 'What is marked still came after the key was read',
  evict: "return there and 'dirty' or 'absent'",
  take: 'chance says who begins',
  forget: 'if there or evicted then known',
  restore: "redis.call('RESTORE', key, ARGV[2], ARGV[3], 'ABSTTL')",
  restoreEach: "redis.pcall('RESTORE', key, expiry, value, 'ABSTTL')",
} as const;

/** A mark is removed without a look at its generation. */
const blindSettle = instead(only.settle, [/if current then/, 'if m then']);

const flaws: Readonly<Record<string, Flaw>> = {
  'a key is evicted without comparing digests': instead(only.evict, [
    /or redis\.sha1hex\(redis\.call\('DUMP', key\)\) ~= ARGV\[4\]/,
    '',
  ]),
  'a key is evicted although it was marked meanwhile': instead(
    only.evict,
    [/if not current then/, 'if false then'],
    [/or redis\.sha1hex\(redis\.call\('DUMP', key\)\) ~= ARGV\[4\]/, ''],
  ),
  'a restore replaces what is newer': together(
    instead(
      only.restore,
      [/local standing = standingOf.*/, 'local standing'],
      [/'ABSTTL'\)/, "'ABSTTL', 'REPLACE')"],
    ),
    instead(
      only.restoreEach,
      [/if isOver or call\('HGET'.* then/, 'if false then'],
      [/'ABSTTL'\)/, "'ABSTTL', 'REPLACE')"],
    ),
  ),
  'a put heeds no condition': { cold: heedless },
  'a delete leaves no tombstone': instead(only.forget, [/\n {2}mark\(key\)/, '']),
  'an expiry is not archived': instead(only.take, [/item\[7\] = .*/, "item[7] = '0'"]),
  'an expiry is neither archived nor compared': {
    script: (source) =>
      source
        .replace(/item\[7\] = .*/, "item[7] = '0'")
        .replace(/int\(math\.max\(0, redis\.call\('PEXPIRETIME', key\)\)\) ~= ARGV\[5\]/, 'false'),
  },
  'a key that was restored counts as evicted': together(
    instead(only.restore, [/dropRecord\(key\)\n *return 'restored'/, "return 'restored'"]),
    instead(only.restoreEach, [/call\('HDEL', bucket, id\)\n *countRecord\(-1\)/, '']),
  ),
};

describeWithEngine('redis-server', 'archive, as a map', () => {
  const on = new ArchiveServer();
  const property = (model: ArchiveModel) =>
    fc.asyncProperty(groups, fc.boolean(), fc.boolean(), (all, background, beginsEvicted) =>
      model.run(all, background, beginsEvicted),
    );

  it('loses nothing and resurrects nothing, whatever fails and whoever works', {
    timeout: 180_000,
  }, async () => {
    const model = new ArchiveModel(on.client, on.url);
    await fc.assert(property(model), { numRuns: 1_000 }).finally(() => model.end());
  });

  // Chance seldom puts a write between the two steps.
  it.each([
    ['keeps the mark of a key that is written while it is frozen', {}, 1],
    ['would notice that a mark is removed without a look at its generation', blindSettle, 0],
  ] as const)('%s', async (_, flaw: Flaw, dirty) => {
    const plan = new FaultPlan();
    const one = archive({
      hot: redisKeys(rewriting(on.url, flaw.script ?? ((source) => source))),
      cold: faultyCold(plan),
    });
    await on.client.set('k', 'old');
    await one.dirty('k');
    plan.hangNext('commit');
    const draining = one.drain();
    await expect.poll(() => plan.hanging).toBe(1);
    await on.client.set('k', 'new');
    await one.dirty('k');
    plan.release();
    await draining;
    expect((await one.stats()).dirty).toBe(dirty);
    await one.close();
    await on.client.flushAll();
  });

  it.each(Object.keys(flaws))('would notice that %s', { timeout: 60_000 }, async (name) => {
    const model = new ArchiveModel(on.client, on.url, flaws[name]);
    const { failed } = await fc
      .check(property(model), { numRuns: 1_000, endOnFailure: true })
      .finally(() => model.end());
    expect(failed).toBe(true);
  });
});
