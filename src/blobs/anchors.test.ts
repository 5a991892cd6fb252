import { describe, expect, it } from 'vitest';
import { bytesOf, collect, noise, SMALL, shaOf } from '../../test/support/blob-content.ts';
import { memory } from '../drivers/memory/index.ts';
import { simulatedEnv } from '../testing/index.ts';
import { blobs } from './index.ts';

describe('anchors', () => {
  const env = simulatedEnv();
  const start = env.now();

  it('stand for what they were set to at each time', async () => {
    const all = blobs(memory({ env }));
    const [a, b, c] = (await all.putMany(['a', 'b', 'c'].map(bytesOf))).map(({ ref }) => ref) as [
      string,
      string,
      string,
    ];
    const { anchors } = all;
    expect(await anchors.get('x')).toBeUndefined();
    const first = await anchors.put('x', a);
    await env.advance(1_000);
    await anchors.put('x', b);
    await anchors.put('x', c);
    expect(await anchors.get('x')).toMatchObject({ name: 'x', ref: c });
    expect(await anchors.get('x', first.at)).toEqual(first);
    expect(await anchors.get('x', first.at - 1)).toBeUndefined();
    expect(await anchors.get('x', first.at + 999)).toMatchObject({ ref: a });
    expect((await anchors.history('x')).map(({ ref }) => ref)).toEqual([c, b, a]);
    // A time before others goes where it belongs; another ref at one that is taken is a conflict.
    await anchors.put('x', c, { at: start - 5 });
    expect(await anchors.get('x', start - 1)).toMatchObject({ ref: c });
    await expect(anchors.put('x', a, { at: start - 5 })).rejects.toMatchObject({
      code: 'conflict',
    });
    await anchors.put('y', a);
    expect((await Array.fromAsync(anchors.list())).map(({ name, ref }) => [name, ref])).toEqual([
      ['x', c],
      ['y', a],
    ]);
    expect(await Array.fromAsync(anchors.list({ prefix: 'z' }))).toEqual([]);
    expect(await anchors.forget('x', { before: first.at + 1_000 })).toBe(true);
    expect((await anchors.history('x')).map(({ ref }) => ref)).toEqual([c, b]);
    expect(await anchors.forget('x')).toBe(true);
    expect(await anchors.forget('x')).toBe(false);
  });

  it('are set on condition, lose no time of two that set at once, and expire', async () => {
    const all = blobs(memory({ env }));
    const refs = (await all.putMany(Array.from({ length: 10 }, (_, n) => Uint8Array.of(n)))).map(
      ({ ref }) => ref,
    );
    const [a, b] = refs as [string, string];
    const { anchors } = all;
    await anchors.put('x', a, { if: 'absent' });
    await expect(anchors.put('x', b, { if: 'absent' })).rejects.toMatchObject({ code: 'conflict' });
    await expect(anchors.put('x', b, { if: { ref: b } })).rejects.toMatchObject({
      code: 'conflict',
    });
    await anchors.put('x', b, { if: { ref: a } });
    await Promise.all(refs.map((ref) => anchors.put('many', ref)));
    expect(new Set((await anchors.history('many')).map(({ ref }) => ref))).toEqual(new Set(refs));
    await anchors.put('x', a, { ttlMs: 1_000 });
    expect(await anchors.get('x')).toMatchObject({ ref: a });
    await env.advance(1_000);
    expect(await anchors.get('x')).toMatchObject({ ref: b });
    await expect(anchors.put('x', shaOf(bytesOf('no')))).rejects.toMatchObject({
      code: 'data-missing',
    });
  });
});

describe('sweep', () => {
  it('keeps what anchors reach, now or before, and what is young; nothing else, and nothing foreign', async () => {
    const env = simulatedEnv();
    const store = memory<Uint8Array>({ env });
    const all = blobs(store, { graceMs: 60_000 });
    await store.set('mine', bytesOf('foreign'));
    const kept = await all.split(noise(30_000, 1), SMALL);
    const older = await all.split(noise(30_000, 2), SMALL);
    const gone = await all.split(noise(30_000, 3), SMALL);
    const { ref: loose } = await all.put(bytesOf('loose'));
    const { ref: plain } = await all.put(bytesOf('plain'));
    await all.anchors.put('file', older.ref);
    await env.advance(10);
    await all.anchors.put('file', kept.ref);
    await all.anchors.put('plain', plain);
    await all.anchors.put('short', gone.ref, { ttlMs: 120_000 });
    expect((await all.sweep()).swept).toBe(0);
    await env.advance(60_000);
    expect((await all.sweep({ dryRun: true })).swept).toBe(1);
    const swept: string[] = [];
    await all.sweep({ onSwept: (ref, kind) => swept.push(`${kind} ${ref}`) });
    expect(swept).toEqual([`blob ${loose}`]);
    await env.advance(60_000);
    const { swept: number } = await all.sweep();
    expect(number).toBeGreaterThan(gone.chunks);
    for (const [ref, seed] of [
      [kept.ref, 1],
      [older.ref, 2],
    ] as const)
      expect(Buffer.compare(await collect(all.join(ref)), noise(30_000, seed))).toBe(0);
    expect(await all.has(gone.ref)).toBe(false);
    expect(await all.get(plain)).toBeDefined();
    expect(await store.has('mine')).toBe(true);
    await all.anchors.forget('file');
    await all.anchors.forget('plain');
    await all.anchors.forget('short');
    for (const options of [{}, { dryRun: true }, { allowNoRoots: false }])
      await expect(all.sweep(options)).rejects.toMatchObject({
        code: 'invalid-argument',
        message: expect.stringContaining('allowNoRoots'),
      });
    expect(await all.has(kept.ref)).toBe(true);
    await all.sweep({ allowNoRoots: true });
    expect(await Array.fromAsync(all.listRefs())).toEqual([]);
    expect(await Array.fromAsync(all.listRefs({ kind: 'tree' }))).toEqual([]);
  });

  it('leaves old content alone that somebody has just put again and not anchored yet', async () => {
    const env = simulatedEnv();
    const all = blobs(memory({ env }), { graceMs: 60_000 });
    const content = noise(20_000, 5);
    await all.split(content, SMALL);
    await env.advance(59_000);
    const { ref, addedChunks } = await all.split(content, SMALL);
    expect(addedChunks).toBe(0);
    await env.advance(29_000);
    expect((await all.sweep({ allowNoRoots: true })).swept).toBe(0);
    await all.anchors.put('late', ref);
    await env.advance(1e6);
    await all.sweep();
    expect(Buffer.compare(await collect(all.join(ref)), content)).toBe(0);
  });

  it('never takes what a writer puts and anchors beside it', async () => {
    const env = simulatedEnv();
    const all = blobs(memory({ env }), { graceMs: 10_000 });
    for (let round = 0; round < 30; round++) {
      const content = noise(3_000, round % 7);
      const writing = (async () => {
        const { ref } = await all.split(content, SMALL);
        await all.anchors.put('current', ref);
        return ref;
      })();
      const [ref] = await Promise.all([writing, all.sweep({ allowNoRoots: true })]);
      await all.anchors.forget('current', { before: env.now() });
      expect(Buffer.compare(await collect(all.join(ref)), content)).toBe(0);
      await env.advance(4_000);
    }
  });
});
