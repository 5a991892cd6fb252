/** Writers, workers, evictions, expiry, deletes and failures of the cold store, against a plain map. */
import fc from 'fast-check';
import { createClient, type RedisClientType } from 'redis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ArchiveModel, type Flaw, groups, heedless } from '../../../test/support/archive-model.ts';
import { describeWithEngine, type RedisServer, startRedis } from '../../../test/support/engines.ts';

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

/** Words that only one script has. */
const only = {
  settle: 'What is marked still came after the key was read',
  evict: "return there and 'dirty' or 'absent'",
  take: 'chance says who begins',
  forget: 'if there or evicted then known',
} as const;

const flaws: Readonly<Record<string, Flaw>> = {
  'a mark is removed without a look at its generation': instead(only.settle, [
    /if current then/,
    'if m then',
  ]),
  'a key is evicted without comparing digests': instead(only.evict, [
    /or redis\.sha1hex\(redis\.call\('DUMP', key\)\) ~= ARGV\[4\]/,
    '',
  ]),
  'a key is evicted although it was marked meanwhile': instead(
    only.evict,
    [/if not current then/, 'if false then'],
    [/or redis\.sha1hex\(redis\.call\('DUMP', key\)\) ~= ARGV\[4\]/, ''],
  ),
  'a restore replaces what is newer': {
    script: (source) =>
      source
        .replace(/local standing = standingOf.*/, 'local standing')
        .replace("'ABSTTL')", "'ABSTTL', 'REPLACE')"),
  },
  'a put heeds no condition': { cold: heedless },
  'a delete leaves no tombstone': instead(only.forget, [/\n {2}mark\(key\)/, '']),
  'an expiry is not archived': instead(only.take, [/item\[7\] = .*/, "item[7] = '0'"]),
  'an expiry is neither archived nor compared': {
    script: (source) =>
      source
        .replace(/item\[7\] = .*/, "item[7] = '0'")
        .replace(/int\(math\.max\(0, redis\.call\('PEXPIRETIME', key\)\)\) ~= ARGV\[5\]/, 'false'),
  },
  'a key that was restored counts as evicted': {
    script: (source) =>
      source.replace(/dropRecord\(key\)\n *return 'restored'/, "return 'restored'"),
  },
};

describeWithEngine('redis-server', 'archive, as a map', () => {
  let server: RedisServer;
  let client: RedisClientType;
  beforeAll(async () => {
    server = await startRedis();
    client = createClient({ url: server.url });
    await client.connect();
  });
  afterAll(async () => {
    client.destroy();
    await server.stop();
  });
  const property = (model: ArchiveModel) =>
    fc.asyncProperty(groups, fc.boolean(), fc.boolean(), (all, background, beginsEvicted) =>
      model.run(all, background, beginsEvicted),
    );

  it('loses nothing and resurrects nothing, whatever fails and whoever works', {
    timeout: 180_000,
  }, async () => {
    const model = new ArchiveModel(client, server.url);
    await fc.assert(property(model), { numRuns: 1_000 }).finally(() => model.end());
  });

  it.each(Object.keys(flaws))('would notice that %s', { timeout: 60_000 }, async (name) => {
    const model = new ArchiveModel(client, server.url, flaws[name]);
    const { failed } = await fc
      .check(property(model), { numRuns: 1_000, endOnFailure: true })
      .finally(() => model.end());
    expect(failed).toBe(true);
  });
});
