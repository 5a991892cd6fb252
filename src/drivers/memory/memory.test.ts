import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { conformance, modelTest, simulatedEnv } from '../../testing/index.ts';
import { memory } from './index.ts';

const env = simulatedEnv();

conformance({
  name: 'memory',
  test: { describe, it },
  factory: { env, create: () => memory({ env }), required: requiredCapabilities.memory },
});

conformance({
  name: 'memory, by reference',
  test: { describe, it },
  factory: { env, create: () => memory({ env, zeroCopy: true }), sharesValues: true },
});

conformance({ name: 'memory, in real time', test: { describe, it }, factory: () => memory() });

modelTest({
  fc,
  name: 'memory',
  test: { describe, it },
  factory: { env, create: () => memory({ env }) },
});

modelTest({
  fc,
  name: 'memory with hardly a log',
  test: { describe, it },
  factory: { env, create: () => memory({ env, logBytes: 600 }) },
});

modelTest({
  fc,
  name: 'memory that forgets',
  test: { describe, it },
  factory: { env, create: () => memory({ env, logBytes: 0, tombstoneBytes: 400 }) },
  forgetful: true,
});
