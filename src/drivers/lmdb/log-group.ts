import type { Change as FeedChange } from '../../store/entry.ts';
import type { CommitLog } from '../../store/feed/commit-log.ts';
import { type Group, valueIn } from './group.ts';

/** Appends the commits of a group that was applied, each by itself. */
export function logGroup(log: CommitLog<Uint8Array>, { members, tip }: Group): void {
  for (const { changes } of members) {
    const [first] = changes;
    if (first === undefined) continue;
    const logged = changes.map(
      ({ key, rev, set }): FeedChange<Uint8Array> =>
        set === undefined
          ? { type: 'delete', key, rev }
          : { ...set.head, type: 'set', value: valueIn(set) },
    );
    log.append(logged, { epoch: tip.epoch, rev: first.rev, id: tip.id });
  }
}
