import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DedupeModelOptions,
  type DedupeStep,
  DedupeWorld,
} from '../../../test/support/dedupe-model.ts';
import { settled } from '../../testing/settled.ts';
import { DedupeBuffer, type DedupeSink, type DedupeStatus, type DedupeUpdate } from './index.ts';

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');

const modelStep: fc.Arbitrary<DedupeStep> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('put' as const), key }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom<DedupeStatus>('wait-for-datastore', 'resync', 'in-sync'),
    }),
  },
  { weight: 3, arbitrary: fc.constant<DedupeStep>({ do: 'take' }) },
  { weight: 1, arbitrary: fc.constantFrom<DedupeStep>({ do: 'fail' }, { do: 'fail-applied' }) },
);
const reconnect = fc.constant<DedupeStep>({ do: 'reconnect' });

const kinds: Readonly<Record<string, DedupeModelOptions>> = {
  'as it comes': { trackSeen: true, cancelUnseen: true },
  'in front of a store that holds more': {
    trackSeen: true,
    cancelUnseen: false,
    before: ['a', 'b', 'c'],
  },
  'without memory of what the sink saw': {
    trackSeen: false,
    cancelUnseen: false,
    before: ['a', 'b', 'c'],
  },
};

describe('long random sequences', () => {
  test.each(Object.entries(kinds))('keep the promises of a buffer %s', (_, options) => {
    const step = options.trackSeen
      ? fc.oneof({ weight: 20, arbitrary: modelStep }, { weight: 1, arbitrary: reconnect })
      : modelStep;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (sequence) => {
        const world = new DedupeWorld(options);
        for (const one of sequence) world.step(one);
        world.drain();
      }),
      { numRuns: 500 },
    );
  });
});

/** What can happen to a source with connections that break, and to a sink that is slow and fails. */
type Event =
  | { readonly do: 'write' | 'delete'; readonly keys: readonly string[] }
  | {
      readonly do:
        | 'cut'
        | 'connect'
        | 'complete'
        | 'accept'
        | 'refuse'
        | 'refuse-applied'
        | 'abort';
    };

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('write' as const, 'delete' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'cut',
        'connect',
        'complete',
        'accept',
        'accept',
        'refuse',
        'refuse-applied',
        'abort',
      ),
    }),
  },
);

/** A datastore whose changes reach a buffer while connected, and a sink that takes them when told to. */
class Pipeline implements DedupeSink<DedupeUpdate<number>> {
  readonly buffer = new DedupeBuffer<number>();
  readonly truth = new Map<string, number>();
  readonly copy = new Map<string, number>();
  /** States of the source in which it called itself complete. */
  readonly complete: ReadonlyMap<string, number>[] = [new Map()];
  #values = 0;
  #connection: 'none' | 'resync' | 'in-sync' = 'none';
  #busy: { readonly work: () => void; readonly done: PromiseWithResolvers<void> } | undefined;
  #aborter = new AbortController();
  #sending = this.#send();

  onUpdates(updates: readonly DedupeUpdate<number>[]): Promise<void> {
    return this.#hold(() => {
      for (const update of updates)
        if (update.deleted === true) this.copy.delete(update.key);
        else this.copy.set(update.key, update.value);
    });
  }

  onStatusUpdated(status: DedupeStatus): Promise<void> {
    if (status === 'in-sync') this.#checkComplete();
    return this.#hold(() => undefined);
  }

  async step(event: Event): Promise<void> {
    if ('keys' in event) this.#change(event.do, event.keys);
    else if (event.do === 'abort') this.#aborter.abort();
    else if (event.do === 'cut') this.#connection = 'none';
    else if (event.do === 'connect') this.#connect();
    else if (event.do === 'complete') this.#completeResync();
    else this.#release(event.do);
    await settled();
    if (this.#busy === undefined) expect(this.buffer.length).toBe(0);
  }

  /** Lets everything through; the copy is then the source. */
  async finish(): Promise<void> {
    if (this.#connection === 'none') this.#connect();
    this.#completeResync();
    while (this.#aborter.signal.aborted) {
      this.#release('accept');
      await settled();
    }
    const stopping = this.buffer.stop({ drain: true });
    for (;;) {
      await settled();
      if (this.#busy === undefined) break;
      this.#release('accept');
    }
    expect(await stopping).toEqual({ left: 0 });
    await this.#sending;
    expect(this.copy).toEqual(this.truth);
  }

  #change(what: 'write' | 'delete', keys: readonly string[]): void {
    const updates = keys.map((key): DedupeUpdate<number> => {
      if (what === 'write') this.truth.set(key, ++this.#values);
      else this.truth.delete(key);
      return what === 'write' ? { key, value: this.#values } : { key, deleted: true };
    });
    if (this.#connection !== 'none') this.buffer.onUpdates(updates);
    this.#noteComplete();
  }

  #connect(): void {
    this.#connection = 'resync';
    this.buffer.onReconnect();
    this.buffer.onStatusUpdated('resync');
    this.buffer.onUpdates(Array.from(this.truth, ([key, value]) => ({ key, value })));
  }

  #completeResync(): void {
    if (this.#connection !== 'resync') return;
    this.#connection = 'in-sync';
    this.buffer.onStatusUpdated('in-sync');
    this.#noteComplete();
  }

  #noteComplete(): void {
    if (this.#connection === 'in-sync') this.complete.push(new Map(this.truth));
  }

  #checkComplete(): void {
    const show = (state: ReadonlyMap<string, number>): string => JSON.stringify([...state].sort());
    expect(this.complete.map(show)).toContain(show(this.copy));
  }

  #hold(work: () => void): Promise<void> {
    expect(this.#busy).toBeUndefined();
    const done = Promise.withResolvers<void>();
    this.#busy = { work, done };
    return done.promise;
  }

  #release(how: 'accept' | 'refuse' | 'refuse-applied'): void {
    const busy = this.#busy;
    this.#busy = undefined;
    if (how !== 'refuse') busy?.work();
    if (how === 'accept') busy?.done.resolve();
    else busy?.done.reject(new Error(how));
  }

  /** Sends again whenever sending ended. */
  async #send(): Promise<void> {
    for (;;) {
      try {
        await this.buffer.sendToSink(this, { signal: this.#aborter.signal });
        return;
      } catch (error) {
        if (this.#aborter.signal.aborted) this.#aborter = new AbortController();
        else expect(String(error)).toMatch(/refuse/);
      }
    }
  }
}

test('a copy at the end of a slow, failing sink becomes the source, through any reconnects', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 60, size: 'max' }), async (events) => {
      const pipeline = new Pipeline();
      for (const one of events) await pipeline.step(one);
      await pipeline.finish();
    }),
    { numRuns: 200 },
  );
});
