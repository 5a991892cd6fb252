import type { ReplicaOptions } from '../../src/compositions/replica/index.ts';

/** What is done to a replica, its members included. */
export type ReplicaCommand =
  | { readonly do: 'set' | 'delete' | 'get' | 'update'; readonly key: number }
  | { readonly do: 'batch'; readonly keys: readonly number[] }
  | { readonly do: 'list' | 'getMany' | 'repair' | 'flush' }
  | { readonly do: 'pass'; readonly ms: number }
  | {
      readonly do: 'fail' | 'hang' | 'lose-answer' | 'hold-answer';
      readonly member: number;
      readonly operation: 'commit' | 'read' | 'scan' | 'feed';
      readonly times: number;
    }
  | { readonly do: 'delay'; readonly member: number; readonly ms: number }
  | { readonly do: 'heal'; readonly member: number }
  | { readonly do: 'release'; readonly member: number }
  | { readonly do: 'reopen' | 'crash'; readonly wiped: number | undefined };

/** What it is made of. */
export interface ReplicaSetup {
  readonly sync: number;
  readonly async: number;
  readonly options: Partial<ReplicaOptions<string>>;
}
