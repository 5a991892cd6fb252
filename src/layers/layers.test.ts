import * as msgpackr from 'msgpackr';
import { describe, expectTypeOf, it } from 'vitest';
import { requiredCapabilities } from '../../test/required-capabilities.ts';
import { memory } from '../drivers/memory/index.ts';
import { delegate } from '../kernel/delegate.ts';
import {
  defineStore,
  json,
  messagePack,
  primitivesOf,
  type Store,
  type StoreWithBlocking,
} from '../store/index.ts';
import { conformance, simulatedEnv } from '../testing/index.ts';
import { encoded, type StandardSchema } from './encoded/index.ts';
import { observed } from './observed/index.ts';
import { prefixed } from './prefixed.ts';

const env = simulatedEnv();
const required = requiredCapabilities.memory;
const bytes = (): StoreWithBlocking<Uint8Array> => memory<Uint8Array>({ env });
const test = { describe, it };

/** Accepts everything, after a moment. */
const patient: StandardSchema<unknown> = {
  '~standard': { version: 1, vendor: 'test', validate: async (value) => ({ value }) },
};
const quick: StandardSchema<unknown> = {
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) },
};

/** A store that cannot be used synchronously, as most are. */
function withoutBlocking(store: Store<Uint8Array>): Store<Uint8Array> {
  const { blocking, ...rest } = delegate(primitivesOf(store));
  const capabilities = Object.freeze({ ...rest.capabilities, blocking: false });
  return defineStore({ ...rest, capabilities });
}

conformance({
  name: 'encoded as JSON',
  test,
  factory: { env, required, create: () => encoded(bytes(), { codec: json() }) },
});

conformance({
  name: 'encoded as MessagePack, validated both ways',
  test,
  factory: {
    env,
    required,
    create: () =>
      encoded(bytes(), { codec: messagePack(msgpackr), schema: quick, validateReads: true }),
  },
});

conformance({
  name: 'encoded as JSON, validated in time',
  test,
  factory: {
    env,
    required: { ...required, blocking: false },
    create: () =>
      encoded(withoutBlocking(bytes()), { codec: json(), schema: patient, validateReads: true }),
  },
});

conformance({
  name: 'prefixed',
  test,
  factory: { env, required, create: () => prefixed(memory({ env }), 'app:\u{10ffff}') },
});

conformance({
  name: 'prefixed in prefixed, encoded',
  test,
  factory: {
    env,
    required,
    create: () => encoded(prefixed(prefixed(bytes(), 'ü/'), 'b'), { codec: json() }),
  },
});

conformance({
  name: 'observed',
  test,
  factory: { env, required, create: () => observed(memory({ env }), { after: () => {} }) },
});

describe('types', () => {
  it('keep the blocking view', () => {
    const inner = bytes();
    expectTypeOf(encoded(inner, { codec: json<number>() })).toEqualTypeOf<
      StoreWithBlocking<number>
    >();
    expectTypeOf(prefixed(inner, 'a')).toEqualTypeOf<StoreWithBlocking<Uint8Array>>();
    expectTypeOf(observed(inner)).toEqualTypeOf<StoreWithBlocking<Uint8Array>>();
  });
});
