import * as v from 'valibot';
import { describe, expect, it, vi } from 'vitest';
import { memory } from '../../drivers/memory/index.ts';
import { Call } from '../../store/call.ts';
import { describeStore, json, primitivesOf, type StoreWithBlocking } from '../../store/index.ts';
import { type EncodedOptions, encoded, type StandardSchema } from './index.ts';

const User = v.object({
  name: v.pipe(v.string(), v.minLength(1)),
  tags: v.optional(v.array(v.string()), []),
});
type User = v.InferOutput<typeof User>;
const SlowUser = v.objectAsync({
  name: v.pipeAsync(
    v.string(),
    v.checkAsync(async (name) => name !== 'taken', 'the name is taken'),
  ),
  tags: v.array(v.string()),
});

const ada: User = { name: 'Ada', tags: [] };

function open(options: Omit<EncodedOptions<User>, 'codec'>): {
  store: StoreWithBlocking<User>;
  inner: StoreWithBlocking<Uint8Array>;
} {
  const inner = memory<Uint8Array>();
  return { inner, store: encoded(inner, { codec: json<User>(), ...options }) };
}

describe('encoded with a schema', () => {
  it('refuses a value with the path and the issue, and applies nothing of its batch', async () => {
    const { store, inner } = open({ schema: User });
    const bad = { name: 'Bob', tags: ['a', 1] } as unknown as User;
    const batch = store.batch([
      { type: 'set', key: 'ada', value: ada },
      { type: 'set', key: 'bob', value: bad },
    ]);
    await expect(batch).rejects.toMatchObject({
      code: 'invalid-argument',
      operation: 'batch',
      key: 'bob',
      message: expect.stringMatching(/"bob" is refused by the schema at tags\[1\]: .*string/),
      details: { issues: [{ path: 'tags[1]', message: expect.any(String) }] },
    });
    expect(() => store.blocking.set('bob', bad)).toThrow(/tags\[1\]/);
    expect(await inner.has('ada')).toBe(false);
    await expect(store.update('ada', () => ({}) as User)).rejects.toThrow(/at name: /);
    await expect(store.set('ada', null as never)).rejects.toThrow(/refused by the schema: /);
  });

  it('stores what the schema gives', async () => {
    const { store } = open({ schema: User });
    await store.set('ada', { name: 'Ada', extra: 1 } as unknown as User);
    expect(await store.get('ada')).toEqual({ name: 'Ada', tags: [] });
    store.blocking.set('bob', { name: 'Bob' } as User);
    expect(store.blocking.get('bob')).toEqual({ name: 'Bob', tags: [] });
  });

  it('validates reads only where asked', async () => {
    const { store, inner } = open({ schema: User });
    await inner.set('k', json().encode({ name: '' }));
    expect(await store.get('k')).toEqual({ name: '' });
    const strict = encoded(inner, { codec: json<User>(), schema: User, validateReads: true });
    const corrupt = { code: 'corrupt', key: 'k', message: expect.stringMatching(/ at name: /) };
    await expect(strict.get('k')).rejects.toMatchObject(corrupt);
    await expect(strict.getMany(['k'])).rejects.toMatchObject(corrupt);
    await expect(Array.fromAsync(strict.list())).rejects.toMatchObject(corrupt);
    expect(() => strict.blocking.getEntry('k')).toThrow(expect.objectContaining(corrupt));
    expect(() => [...strict.blocking.list()]).toThrow(expect.objectContaining(corrupt));
    const watch = strict.watch({ after: 'start' })[Symbol.asyncIterator]();
    await expect(watch.next()).rejects.toMatchObject(corrupt);
    expect(await Array.fromAsync(strict.keys())).toEqual(['k']);
  });

  it('takes asynchronous schemas, and then refuses synchronous use', async () => {
    const { store } = open({ schema: SlowUser, validateReads: true });
    await store.set('ada', ada);
    expect(await store.get('ada')).toEqual(ada);
    await expect(store.set('bob', { name: 'taken', tags: [] })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/at name: the name is taken/),
    });
    expect(() => store.blocking.set('eve', ada)).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
    expect(() => store.blocking.get('ada')).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
    expect(await Array.fromAsync(store.keys())).toEqual(['ada']);
  });

  it('writes in the order of the calls, however long each validation takes', async () => {
    const waits = [20, 0, 10];
    const schema: StandardSchema<User> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: async (value) => {
          await new Promise((resolve) => setTimeout(resolve, waits[(value as User).tags.length]));
          return { value: value as User };
        },
      },
    };
    const { store } = open({ schema });
    const values = waits.map((_, at) => ({ name: 'Ada', tags: Array<string>(at).fill('x') }));
    const heads = await Promise.all(values.map((value) => store.set('k', value)));
    expect(heads.map(({ rev }) => rev)).toEqual([1, 2, 3]);
    expect(await store.get('k')).toEqual(values[2]);
  });

  it('stores the value as it was at the call, though it is changed while it is validated', async () => {
    const { store } = open({ schema: SlowUser });
    for (const key of ['first', 'second']) {
      const value = { name: 'Ada', tags: [] as string[] };
      const setting = store.set(key, value);
      value.name = 'taken';
      await setting;
      expect(await store.get(key)).toEqual(ada);
    }
  });

  it('goes on after a validation that never ends', async () => {
    const never: StandardSchema<User> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          (value as User).name === 'hang' ? new Promise(() => {}) : { value: value as User },
      },
    };
    const { store } = open({ schema: never });
    const hanging = store.set('a', { name: 'hang', tags: [] }, { timeoutMs: 20 });
    const next = store.set('b', ada);
    await expect(hanging).rejects.toMatchObject({ code: 'timeout' });
    await next;
    expect(await Array.fromAsync(store.keys())).toEqual(['b']);
  });

  it('takes a schema that throws for a refusal', async () => {
    const validate = vi.fn(() => {
      throw new RangeError('broken');
    });
    const { store } = open({ schema: { '~standard': { version: 1, vendor: 'x', validate } } });
    await expect(store.set('k', ada)).rejects.toMatchObject({
      code: 'invalid-argument',
      key: 'k',
      cause: expect.any(RangeError),
    });
  });

  it('leaves the keys of StrataKV itself alone', async () => {
    const { store } = open({ schema: User, validateReads: true });
    const door = primitivesOf(store);
    const call = Call.background(door.env, 'test');
    await door.commit([{ type: 'set', key: '\u0000note', value: 'no user' as never }], call);
    expect((await door.readOne('\u0000note', call))?.value).toBe('no user');
  });
});

describe('encoded', () => {
  it('closes the store inside, unless told not to', async () => {
    const inner = memory<Uint8Array>();
    await encoded(inner, { codec: json(), closeInner: false }).close();
    expect(await inner.get('k')).toBeUndefined();
    await encoded(inner, { codec: json() }).close();
    await expect(inner.get('k')).rejects.toMatchObject({ code: 'closed' });
  });

  it('refuses options that make no sense', () => {
    const inner = memory<Uint8Array>();
    const cases: [unknown, RegExp][] = [
      [{}, /codec is missing/],
      [{ codec: {} }, /the option codec is/],
      [{ codec: json(), schema: {} }, /the option schema is/],
      [{ codec: json(), validateReads: true }, /the option schema is undefined/],
      [{ codec: json(), scheme: User }, /unknown option "scheme"/],
    ];
    for (const [options, message] of cases)
      expect(() => encoded(inner, options as never)).toThrow(message);
  });

  it('shows its shape', () => {
    const store = encoded(memory<Uint8Array>(), { codec: json<User>(), schema: User });
    expect(describeStore(store as never)).toEqual({
      type: 'encoded',
      details: { codec: 'json', schema: 'valibot' },
      parts: { inner: { type: 'memory' } },
    });
  });
});
