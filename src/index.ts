export { type TieredOptions, tiered } from './compositions/tiered/index.ts';
export { type MemoryOptions, memory } from './drivers/memory/index.ts';
export type * from './store/index.ts';
export {
  defineStore,
  describeStore,
  isStrataError,
  json,
  messagePack,
  raw,
  StrataError,
  systemEnv,
  text,
} from './store/index.ts';
