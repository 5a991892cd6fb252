import type { EntryHead } from '../../store/entry.ts';
import { headOf } from '../../store/feed/plan.ts';
import type { SetWrite, WriteOutcome } from '../../store/primitives.ts';
import type { WriteIds } from '../../store/version.ts';

/**
 * What the entries of a commit that only sets have in common. The head of each is made of its write
 * when somebody asks for it: of most entries of a large commit nobody ever does.
 */
export class SetHeads {
  readonly #ids: WriteIds;
  readonly #firstId: number;
  readonly rev: number;
  readonly #nowMs: number;

  constructor(ids: WriteIds, count: number, rev: number, nowMs: number) {
    this.#ids = ids;
    this.#firstId = ids.take(count);
    this.rev = rev;
    this.#nowMs = nowMs;
  }

  /** The head of the write at a place of the commit. */
  make(write: SetWrite<unknown>, pos: number): EntryHead {
    return headOf(write, this.#ids.text(this.#firstId + pos), this.rev, this.#nowMs);
  }
}

/** What a set did, with its head made when it is looked at. */
export class SetOutcome implements WriteOutcome {
  readonly existed: boolean;
  readonly #node: { readonly live: EntryHead | undefined };

  constructor(existed: boolean, node: { readonly live: EntryHead | undefined }) {
    this.existed = existed;
    this.#node = node;
  }

  get entry(): EntryHead {
    return this.#node.live as EntryHead;
  }
}
