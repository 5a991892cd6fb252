import type { Call } from '../store/call.ts';
import { MAX_KEY_BYTES } from '../store/capabilities.ts';
import type { Env } from '../store/env.ts';
import { utf8Length } from '../store/keys.ts';
import type { Position } from '../store/primitives.ts';
import type { Admission } from './admission.ts';
import type { EndReason } from './end-reason.ts';
import { type Grant, granted, refusal } from './grant.ts';
import type { MessageOf } from './protocol.ts';
import type { Member, PublicationCore } from './publication-core.ts';
import type { ServerSessionLimits } from './server-session.ts';

/** What is known of a connection before its first message. */
export interface ConnectionInfo {
  /** The web page it comes from, as its browser says. */
  readonly origin?: string | undefined;
  /** The store it is for, when the subscriber names none. */
  readonly storeId?: string | undefined;
}

/** Where connections arrive: one publication, or a hub of them. */
export interface Reception {
  readonly env: Env;
  readonly limits: ServerSessionLimits;
  /** The publication of a store; `undefined` when there is none of that id. */
  find(storeId: string): PublicationCore | undefined | Promise<PublicationCore | undefined>;
  /** Who may read, and who waits. */
  readonly admission: Admission;
  /** Connections that have not asked for a store. */
  readonly greeting: Set<Pick<Member, 'leave'>>;
  /** Counts a connection that ended before it belonged to a publication. */
  count(reason: EndReason): void;
}

/** A subscriber that may come in, and where it stands. */
export interface Admitted {
  readonly core: PublicationCore;
  readonly grant: Grant;
  readonly sourceId: string;
  readonly head: Position;
  /** Where it goes on; `undefined` when it cannot. */
  readonly at: Position | undefined;
}

const NOT_PUBLISHED = 'the store is no longer published';

/** Looks who asks for what. Errors with the operation `subscribe` are for the one who asks. */
export async function admit(
  reception: Reception,
  info: ConnectionInfo,
  hello: MessageOf<'hello'>,
  call: Call,
): Promise<Admitted> {
  const storeId = hello.storeId || (info.storeId ?? '');
  const core = await reception.find(storeId);
  if (core === undefined)
    throw refusal('invalid-argument', `there is no store with the id ${JSON.stringify(storeId)}`);
  checkPlace(core);
  if (utf8Length(hello.prefix) > MAX_KEY_BYTES)
    throw refusal('invalid-argument', `the prefix has more than ${MAX_KEY_BYTES} bytes`);
  const { cursor, token, prefix } = hello;
  const grant = await granted(core, { token, origin: info.origin, storeId }, prefix);
  const { head, storeId: sourceId } = await core.state();
  const { scope } = grant;
  const resumes =
    cursor !== undefined &&
    hello.sourceId === sourceId &&
    hello.scope === scope.id &&
    (await core.canContinue(cursor, call));
  return { core, grant, sourceId, head, at: resumes ? cursor : undefined };
}

/** Refuses where a publication takes nobody; looked at again when all else is known. */
export function checkPlace(core: PublicationCore): void {
  if (core.isClosed) throw refusal('unavailable', NOT_PUBLISHED);
  if (core.isFull) throw refusal('overloaded', 'there are too many subscribers');
}
