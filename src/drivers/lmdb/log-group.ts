import type { Change } from '../../store/entry.ts';
import { type CommitLog, changeBytes, type LoggedCommit } from '../../store/feed/commit-log.ts';
import { Envelope } from '../../store/feed/envelope.ts';
import type { Position } from '../../store/primitives.ts';
import { ENVELOPES } from './envelope-io.ts';
import type { Group, Member } from './group.ts';

/** Appends the commits of a group that was applied, each by itself. */
export function logGroup(log: CommitLog<Uint8Array>, { members, tip, base }: Group): void {
  // A commit of another process came between.
  if (log.at(base.rev)?.end.epoch !== tip.epoch) log.clear();
  for (const member of members) {
    const rev = member.states[0]?.rev;
    if (rev !== undefined) log.add(new Logged(member, { epoch: tip.epoch, rev, id: tip.id }));
  }
}

/** A commit in the log: the stored bytes, of which each reader gets values of its own. */
class Logged implements LoggedCommit<Uint8Array> {
  readonly end: Position;
  readonly bytes: number;
  readonly #keys: readonly string[];
  readonly #entries: readonly (Uint8Array | undefined)[];

  constructor({ states, entries }: Member, end: Position) {
    this.end = end;
    this.#keys = states.map(({ key }) => key);
    this.#entries = entries;
    let bytes = 0;
    for (const [at, { key }] of states.entries()) bytes += changeBytes(key, entries[at]);
    this.bytes = bytes;
  }

  get changes(): readonly Change<Uint8Array>[] {
    return this.#keys.map((key, at) => {
      const entry = this.#entries[at];
      if (entry === undefined) return { type: 'delete', key, rev: this.end.rev };
      const envelope = new Envelope(ENVELOPES, key, entry);
      return { ...envelope.head(), type: 'set', value: new Uint8Array(envelope.value) };
    });
  }
}
