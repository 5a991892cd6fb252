/** For tests of stores and of what stands on them: the conformance suite, a simulated world, faults. Runs under any test runner, in Node and in browsers. */
export type { Need, StoreFactory } from './conformance/case.ts';
export { type ConformanceOptions, conformance } from './conformance.ts';
export { type FaultOptions, FaultPlan, type FaultyOperation, faulty } from './faulty.ts';
export type { FastCheck, FastCheckArbitrary, FastCheckProperty } from './model/commands.ts';
export { type ModelTestOptions, modelTest } from './model-test.ts';
export type { CaseFunction, DeclareCase, TestRunner } from './runner.ts';
export { type SimulatedEnv, simulatedEnv } from './simulated-env.ts';
export {
  type TransportConformanceOptions,
  transportConformance,
} from './transport-conformance.ts';
export type { TransportFactory, TransportServer } from './transports/world.ts';
export {
  byteValues,
  jsonValues,
  type SampleValues,
  structuredValues,
  textValues,
} from './values.ts';
