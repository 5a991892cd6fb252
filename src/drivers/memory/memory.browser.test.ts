import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { requiredCapabilities } from '../../../test/required-capabilities.ts';
import { conformance, modelTest, simulatedEnv } from '../../testing/index.ts';
import { memory } from './index.ts';

const env = simulatedEnv();

conformance({
  name: 'memory in a browser',
  test: { describe, it },
  factory: { env, create: () => memory({ env }), required: requiredCapabilities.memory },
});

conformance({
  name: 'memory in a browser, by reference, in real time',
  test: { describe, it },
  factory: { create: () => memory({ zeroCopy: true }), sharesValues: true },
});

modelTest({
  fc,
  name: 'memory in a browser',
  test: { describe, it },
  factory: { env, create: () => memory({ env, logBytes: 600 }) },
  runs: 50,
});
