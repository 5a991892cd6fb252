/** One cell of the table of what a tiered store does: an operation, while front and back are as said. */
import './behind-loaded.ts';
import { type TieredOptions, tiered } from '../../src/compositions/tiered/index.ts';
import { memory } from '../../src/drivers/memory/index.ts';
import { defineStore } from '../../src/store/define-store.ts';
import { primitivesOf } from '../../src/store/internals.ts';
import type { Write } from '../../src/store/primitives.ts';
import type { Store, StoreWithBlocking } from '../../src/store/store.ts';
import { FaultPlan, faulty, type SimulatedEnv, simulatedEnv } from '../../src/testing/index.ts';
import { settled } from '../../src/testing/settled.ts';

export type Health = 'answers' | 'fails' | 'hangs';

type Operation = (store: Store<unknown>) => Promise<unknown>;

/** What can be done, where the key `copied` is in front and back and `cold` in the back alone. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  'get of a copy': (store) => store.get('copied'),
  'get of what has no copy': (store) => store.get('cold'),
  'fresh get': (store) => store.get('copied', { fresh: true }),
  'getMany of both': async (store) =>
    [...(await store.getMany(['copied', 'cold'])).values()].join(' and ') || undefined,
  list: async (store) => (await Array.fromAsync(store.list())).map(({ key }) => key).join(' and '),
  set: async (store) => (await store.set('copied', 'new')) && 'done',
  delete: async (store) => (await store.delete('copied')) && 'done',
  update: async (store) => (await store.update('copied', (old) => `${old}er`))?.value,
  batch: async (store) =>
    (await store.batch([
      { type: 'set', key: 'copied', value: 'new' },
      { type: 'delete', key: 'cold' },
    ])) && 'done',
  cursor: async (store) => (await store.cursor()) && 'a cursor',
};

export interface Cell {
  /** What was asked until the caller heard, in order. */
  readonly asked: string;
  /** What the caller got: a value or the code of an error. */
  readonly result: string;
  /** After how long, in ms. */
  readonly tookMs: number;
  /** What the next get gives once both parts are well again. */
  readonly after: string;
}

const LONGEST_MS = 20_000;
const STEP_MS = 50;

export async function runCell(
  options: Partial<TieredOptions<unknown>>,
  operation: string,
  front: Health,
  back: Health,
): Promise<Cell> {
  const env = simulatedEnv();
  const log: string[] = [];
  const [frontPlan, backPlan] = [new FaultPlan(), new FaultPlan()];
  const [inFront, inBack] = [memory({ env }), memory({ env })];
  const store = tiered({
    front: logged('front', faulty(inFront, frontPlan), log),
    back: logged('back', faulty(inBack, backPlan), log),
    breaker: false,
    ...options,
  });
  await inBack.setMany([
    ['cold', 'far'],
    ['copied', 'old'],
  ]);
  if (options.read === 'front-only' || options.write === 'behind') await store.set('copied', 'old');
  else await store.get('copied');
  if (options.write === 'behind') await store.flush();
  await settled();
  ail(frontPlan, front);
  ail(backPlan, back);
  log.length = 0;
  const beganMs = env.monotonicMs();
  const { asked, result } = await untilHeard(env, (OPERATIONS[operation] as Operation)(store), log);
  const tookMs = env.monotonicMs() - beganMs;
  frontPlan.heal();
  backPlan.heal();
  await env.advance(LONGEST_MS);
  const key = operation === 'get of what has no copy' ? 'cold' : 'copied';
  const after = show(await store.get(key));
  await store.close();
  return { asked, result, tookMs, after };
}

function ail(plan: FaultPlan, health: Health): void {
  const always = { times: Number.POSITIVE_INFINITY };
  for (const of of ['read', 'scan', 'commit', 'feed'] as const)
    if (health === 'fails') plan.failNext(of, 'unavailable', always);
    else if (health === 'hangs') plan.hangNext(of, always);
}

/** Lets time pass until a promise settles, and gives what had been asked by then. */
async function untilHeard(
  env: SimulatedEnv,
  promise: Promise<unknown>,
  log: readonly string[],
): Promise<Pick<Cell, 'asked' | 'result'>> {
  let heard: Pick<Cell, 'asked' | 'result'> | undefined;
  const hear = (result: string): void => {
    heard = { asked: log.join(' '), result };
  };
  promise.then(
    (value) => hear(show(value)),
    (error: { code?: string; message: string }) => hear(error.code ?? error.message),
  );
  await settled();
  for (let passedMs = 0; heard === undefined && passedMs < LONGEST_MS; passedMs += STEP_MS)
    await env.advance(STEP_MS);
  return heard ?? { asked: log.join(' '), result: 'nothing' };
}

function show(value: unknown): string {
  return value === undefined ? 'missing' : String(value);
}

/** The same store, noting what it is asked: `?` for reads, `+` and `-` for writes and removals, `*` for pages, `@` for the feed. */
function logged(
  name: string,
  store: StoreWithBlocking<unknown>,
  log: string[],
): StoreWithBlocking<unknown> {
  const inner = primitivesOf<unknown>(store);
  const { feed, blocking } = inner;
  if (feed === undefined || blocking === undefined) throw new TypeError('a part without a feed');
  const note = (sign: string): void => void log.push(`${name}${sign}`);
  return defineStore<unknown>({
    ...inner,
    readOne: (key, call) => {
      note('?');
      return inner.readOne(key, call);
    },
    readMany: (keys, call) => {
      note('?');
      return inner.readMany(keys, call);
    },
    scan: (range, call) => {
      note('*');
      return inner.scan(range, call);
    },
    commit: (writes, call) => {
      note(signOf(writes));
      return inner.commit(writes, call);
    },
    feed: {
      state: (call) => {
        note('@');
        return feed.state(call);
      },
      read: (after, call) => feed.read(after, call),
      wait: (after, call) => feed.wait(after, call),
      epochOf: (rev) => feed.epochOf(rev),
    },
    blocking,
  });
}

function signOf(writes: readonly Write<unknown>[]): string {
  const kinds = new Set(writes.map(({ type }) => type));
  return `${kinds.has('set') ? '+' : ''}${kinds.has('delete') ? '-' : ''}`;
}
