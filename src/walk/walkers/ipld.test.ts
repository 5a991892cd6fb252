/** Walks over blocks that the real libraries made. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as dagCbor from '@ipld/dag-cbor';
import * as dagPb from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import * as json from 'multiformats/codecs/json';
import * as raw from 'multiformats/codecs/raw';
import { identity } from 'multiformats/hashes/identity';
import { sha256 } from 'multiformats/hashes/sha2';
import { afterAll, describe, expect, it } from 'vitest';
import { lmdb } from '../../drivers/lmdb/index.ts';
import { memory, type Store } from '../../index.ts';
import { type Roots, sweep, type WalkOptions, walk } from '../index.ts';
import { type IpldWalkerOptions, ipldWalker } from './ipld.ts';

type Blocks = Map<string, Uint8Array>;
interface Encoder {
  readonly code: number;
  encode(data: never): Uint8Array;
}

const folder = mkdtempSync(join(tmpdir(), 'stratakv-ipld-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Makes blocks, and keeps them under their CIDs. */
class Maker {
  readonly blocks: Blocks = new Map();

  async put(codec: Encoder, data: unknown): Promise<CID> {
    const bytes = codec.encode(data as never);
    const cid = CID.createV1(codec.code, await sha256.digest(bytes));
    this.blocks.set(cid.toString(), bytes);
    return cid;
  }

  /** A tree of numbered leaves in dag-cbor: an inner node for every `width` of the level below. */
  async tree(name: string, leaves: number, width: number): Promise<CID> {
    let level: CID[] = [];
    for (let at = 0; at < leaves; at++)
      level.push(await this.put(dagCbor, { name, at, payload: new Uint8Array(20) }));
    while (level.length > 1) {
      const above: CID[] = [];
      for (let at = 0; at < level.length; at += width)
        above.push(await this.put(dagCbor, { depth: { children: level.slice(at, at + width) } }));
      level = above;
    }
    return level[0] as CID;
  }

  /** A file in pieces: raw leaves under dag-pb nodes. */
  async file(name: string, pieces: number, width: number): Promise<CID> {
    let level: CID[] = [];
    for (let at = 0; at < pieces; at++)
      level.push(await this.put(raw, new TextEncoder().encode(`${name} ${at}`)));
    do {
      const above: CID[] = [];
      for (let at = 0; at < level.length; at += width) {
        const Links = level.slice(at, at + width).map((Hash) => ({ Hash, Name: '', Tsize: 1 }));
        above.push(await this.put(dagPb, dagPb.prepare({ Data: new Uint8Array([8, 2]), Links })));
      }
      level = above;
    } while (level.length > 1);
    return level[0] as CID;
  }

  /** Runs `work`; resolves with its result and the keys that it added. */
  async added<T>(work: () => Promise<T>): Promise<[T, string[]]> {
    const before = new Set(this.blocks.keys());
    const result = await work();
    return [result, [...this.blocks.keys()].filter((key) => !before.has(key))];
  }
}

interface World {
  readonly blocks: Blocks;
  /** Heads of the two branches. */
  readonly main: string;
  readonly fork: string;
  /** What each branch reaches, shared history included. */
  readonly ofMain: ReadonlySet<string>;
  readonly ofFork: ReadonlySet<string>;
}

/** Commits in dag-cbor with trees, files and parents; two branches that part half way; orphans. */
async function makeWorld(): Promise<World> {
  const maker = new Maker();
  const [shared] = await maker.added(() => maker.tree('shared', 1_500, 12));
  const common = new Set(maker.blocks.keys());
  const branch = async (name: string, from: CID[], commits: number): Promise<[CID[], string[]]> =>
    maker.added(async () => {
      let parents = from;
      for (let at = 0; at < commits; at++) {
        const tree = await maker.tree(`${name} ${at}`, 80, 6);
        const file = await maker.file(`${name} ${at}`, 60, 10);
        const content = { shared, file, lists: [{ tree }] };
        parents = [await maker.put(dagCbor, { name, at, parents, content })];
      }
      return parents;
    });
  const [base, ofBase] = await branch('base', [], 30);
  const [main, onlyMain] = await branch('main', base, 20);
  const [fork, onlyFork] = await branch('fork', base, 10);
  await maker.tree('orphan', 300, 5);
  const trunk = [...common, ...ofBase];
  return {
    blocks: maker.blocks,
    main: String(main[0]),
    fork: String(fork[0]),
    ofMain: new Set([...trunk, ...onlyMain]),
    ofFork: new Set([...trunk, ...onlyFork]),
  };
}

const world = await makeWorld();

async function filled(store: Store<Uint8Array>): Promise<Store<Uint8Array>> {
  await store.setMany(world.blocks, { immutable: true });
  return store;
}

async function keysOf(
  store: Store<Uint8Array>,
  roots: Roots,
  options?: WalkOptions<Uint8Array>,
  walker: IpldWalkerOptions = {},
): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of walk(store, roots, ipldWalker(walker), options)) keys.push(key);
  return keys;
}

const union = (a: ReadonlySet<string>, b: ReadonlySet<string>): Set<string> =>
  new Set([...a, ...b]);
const without = (a: ReadonlySet<string>, b: ReadonlySet<string>): Set<string> =>
  new Set([...a].filter((key) => !b.has(key)));

/** The same set, and nothing twice. */
function expectKeys(keys: readonly string[], expected: ReadonlySet<string>): void {
  expect(keys).toHaveLength(expected.size);
  expect(new Set(keys)).toEqual(expected);
}

const stores: [string, () => Store<Uint8Array>][] = [
  ['memory', () => memory<Uint8Array>()],
  ['lmdb', () => lmdb({ path: join(folder, 'blocks'), durability: 'os' })],
];

describe.each(stores)('a DAG of real blocks in %s', (_, open) => {
  it('is walked exactly: forks, branches, history and shared parts, without orphans', async () => {
    await using store = await filled(open());
    expect(world.blocks.size).toBeGreaterThan(10_000);
    expectKeys(await keysOf(store, [world.main]), world.ofMain);
    expectKeys(await keysOf(store, [world.fork]), world.ofFork);
    const both = union(world.ofMain, world.ofFork);
    expectKeys(await keysOf(store, [world.main, world.fork]), both);
    expect(both.size).toBeLessThan(world.blocks.size);
  });

  it('is walked dependencies first, all roots last', async () => {
    await using store = await filled(open());
    const seen = new Set<string>();
    const walker = ipldWalker();
    const roots = [world.main, world.fork];
    const walked = walk(store, roots, walker, { order: 'roots-last' });
    for await (const { key, value } of walked) {
      for await (const link of walker(key, value)) expect(seen.has(link)).toBe(true);
      seen.add(key);
    }
    expectKeys([...seen], union(world.ofMain, world.ofFork));
    expect([...seen].slice(-2)).toEqual(roots);
  });

  it('is walked in part: a subset, and down to what is known', async () => {
    await using store = await filled(open());
    const onlyFork = without(world.ofFork, world.ofMain);
    const known = world.ofMain;
    const prune = (key: string): boolean => known.has(key);
    const beyond = await keysOf(store, [world.fork], { prune });
    expect(without(new Set(beyond), known)).toEqual(onlyFork);
    // Entries at the border are given; nothing behind them is read.
    expect(beyond.length).toBeLessThan(onlyFork.size + 30);
  });

  it('is swept down to what one branch reaches', async () => {
    await using store = await filled(open());
    await store.delete(world.fork);
    const options = { olderThan: Date.now() + 1 };
    const done = await sweep(store, [world.main], ipldWalker(), options);
    expect(done.kept).toBe(world.ofMain.size);
    expect(done.swept).toBe(world.blocks.size - world.ofMain.size - 1);
    expectKeys(await Array.fromAsync(store.keys()), world.ofMain);
    expectKeys(await keysOf(store, [world.main]), world.ofMain);
  });
});

describe('ipldWalker', () => {
  const bytesOf = async (
    make: (maker: Maker) => Promise<CID>,
  ): Promise<[Store<Uint8Array>, CID, Maker]> => {
    const maker = new Maker();
    const root = await make(maker);
    const store = memory<Uint8Array>();
    await store.setMany(maker.blocks);
    return [store, root, maker];
  };

  it('gives links in the order of the block, several levels deep', async () => {
    const [store, root, maker] = await bytesOf(async (maker) => {
      const leaves = [];
      for (let at = 0; at < 5; at++) leaves.push(await maker.put(raw, new Uint8Array([at])));
      const [a, b, c, d, e] = leaves;
      return maker.put(dagCbor, { a, b: [b, { c }], d: { d: [[d]] }, e });
    });
    const leaves = [...maker.blocks.keys()].slice(0, 5);
    expect(await keysOf(store, [root.toString()])).toEqual([root.toString(), ...leaves]);
  });

  it('looks into blocks that stand in their CIDs', async () => {
    const [store, root, maker] = await bytesOf(async (maker) => {
      const leaf = await maker.put(raw, new Uint8Array([1]));
      const inner = CID.createV1(dagCbor.code, identity.digest(dagCbor.encode({ leaf })));
      const outer = CID.createV1(dagCbor.code, identity.digest(dagCbor.encode([inner])));
      return maker.put(dagCbor, { outer });
    });
    expectKeys(await keysOf(store, [root.toString()]), new Set(maker.blocks.keys()));
  });

  it('starts at a root that holds its tree itself', async () => {
    const [store, root, maker] = await bytesOf(async (maker) => {
      const children = [await maker.tree('a', 20, 3), await maker.tree('b', 20, 3)];
      return maker.put(dagCbor, { at: 5, root: { node: { children } } });
    });
    expectKeys(await keysOf(store, [root.toString()]), new Set(maker.blocks.keys()));
  });

  it('uses other addresses when told how', async () => {
    const maker = new Maker();
    const root = await maker.tree('own', 50, 4);
    const keyOf = (cid: CID): string => `block/${cid.toV1().toString()}`;
    const cidOf = (key: string): CID => CID.parse(key.slice('block/'.length));
    const store = memory<Uint8Array>();
    for (const [cid, bytes] of maker.blocks) await store.set(keyOf(CID.parse(cid)), bytes);
    const keys = await keysOf(store, [keyOf(root)], {}, { keyOf, cidOf });
    expectKeys(keys, new Set([...maker.blocks.keys()].map((cid) => `block/${cid}`)));
  });

  it('takes further codecs, and refuses blocks of those that it does not know', async () => {
    const [store, root] = await bytesOf(async (maker) => maker.put(json, { plain: true }));
    const walked = keysOf(store, [root.toString()]);
    await expect(walked).rejects.toMatchObject({ code: 'unsupported', key: root.toString() });
    expect(await keysOf(store, [root.toString()], {}, { codecs: [json] })).toHaveLength(1);
  });

  it('names a block that is damaged, missing or no block', async () => {
    const [store, root, maker] = await bytesOf((maker) => maker.tree('torn', 4, 2));
    const [leaf] = maker.blocks.keys();
    await store.set(leaf as string, new Uint8Array([0xff, 0xff]));
    const key = root.toString();
    await expect(keysOf(store, [key])).rejects.toMatchObject({ code: 'corrupt', key: leaf });
    await store.delete(leaf as string);
    await expect(keysOf(store, [key])).rejects.toMatchObject({ code: 'data-missing', key: leaf });
    await store.set('README', new Uint8Array());
    await expect(keysOf(store, ['README'])).rejects.toMatchObject({
      code: 'invalid-argument',
      key: 'README',
    });
    expect(() => ipldWalker({ codec: [] } as never)).toThrow(
      expect.objectContaining({ code: 'invalid-argument' }),
    );
  });
});
