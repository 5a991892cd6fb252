import { type Signal, signal } from '@preact/signals';
import type { Meta } from '../../store/entry.ts';
import { isStrataError } from '../../store/errors.ts';
import type { SetOptions } from '../../store/operations.ts';
import type { Store } from '../../store/store.ts';
import { editableText, parseEdited, readValue, type ValueForm } from '../format/value.ts';
import type { SourceEntry } from './source-entry.ts';

/** What a draft needs of the session. */
export interface DraftHome {
  /** The source, to write to. */
  readonly remote: Store<Uint8Array>;
  entry(key: string): Promise<SourceEntry | undefined>;
}

/** The entry as others have left it since editing began; `value` is absent where they removed it. */
export interface Theirs {
  readonly entry?: SourceEntry;
  /** Whether saving has been refused because of it. */
  readonly refused: boolean;
}

const UNKNOWN =
  'The connection was lost while saving: the write may have been applied or not. Look at the value before you save again.';

/**
 * An entry that is being edited, or a new one. It is saved only over the version that it began
 * from: what others wrote meanwhile is shown, never overwritten unawares.
 */
export class Draft {
  readonly isNew: boolean;
  readonly key: Signal<string>;
  readonly form: Signal<ValueForm>;
  readonly text: Signal<string>;
  readonly meta: Signal<string>;
  /** Ms since 1970; `undefined` for ever. */
  readonly expiresAt: Signal<number | undefined>;
  readonly theirs: Signal<Theirs | undefined> = signal(undefined);
  readonly problem: Signal<string | undefined> = signal(undefined);
  readonly busy: Signal<boolean> = signal(false);
  readonly #home: DraftHome;
  /** What the draft replaces. */
  #base: SourceEntry | undefined;
  #began: string;

  constructor(home: DraftHome, base?: SourceEntry, form?: ValueForm) {
    this.#home = home;
    this.#base = base;
    this.isNew = base === undefined;
    const value = base && readValue(base.value);
    this.key = signal(base?.key ?? '');
    const asked = value === undefined || form === 'hex' || value.text !== undefined ? form : 'hex';
    this.form = signal(asked ?? value?.form ?? 'json');
    this.text = signal(value === undefined ? '' : editableText(value, this.form.value));
    this.meta = signal(base?.meta === undefined ? '' : JSON.stringify(base.meta, null, 2));
    this.expiresAt = signal(base?.expiresAt);
    this.#began = this.#content();
  }

  get isChanged(): boolean {
    return this.#content() !== this.#began;
  }

  /** What was changed is of no account any more. */
  abandon(): void {
    this.#began = this.#content();
  }

  /** Shows the same bytes in another form, where they have one. */
  changeForm(form: ValueForm): void {
    const bytes = parseEdited(this.text.value, this.form.value);
    if (!(bytes instanceof Uint8Array)) {
      // Text that is no JSON yet is text all the same.
      if (form === 'text' && this.form.value === 'json') this.form.value = form;
      else this.problem.value = bytes.reason;
      return;
    }
    const value = readValue(bytes);
    if (form !== 'hex' && value.text === undefined && bytes.length > 0) {
      this.problem.value = 'These bytes are no text in UTF-8';
      return;
    }
    const unchanged = !this.isChanged;
    this.problem.value = undefined;
    this.text.value = editableText(value, form);
    this.form.value = form;
    if (unchanged) this.#began = this.#content();
  }

  /** Hears how the entry stands now. */
  seen(entry: SourceEntry | undefined): void {
    if (this.isNew || this.busy.value) return;
    if (entry?.version === this.#base?.version) this.theirs.value = undefined;
    else {
      // A refusal stays one, whatever else comes in.
      const refused = this.theirs.value?.refused === true;
      this.theirs.value = { ...(entry && { entry }), refused };
    }
  }

  /** Writes; true when it is done. What is wrong is in `problem` or `theirs`. */
  async save(): Promise<boolean> {
    const write = this.#write();
    if (write === undefined) return false;
    this.busy.value = true;
    try {
      await this.#home.remote.set(this.key.value, write.value, write.options);
      this.theirs.value = undefined;
      this.abandon();
      return true;
    } catch (error) {
      if (!isStrataError(error)) throw error;
      if (error.code === 'conflict') await this.#refused();
      else this.problem.value = error.code === 'unknown-outcome' ? UNKNOWN : error.message;
      return false;
    } finally {
      this.busy.value = false;
    }
  }

  /** Saves over what others wrote. */
  overwrite(): Promise<boolean> {
    this.#base = this.theirs.value?.entry;
    return this.save();
  }

  /** Goes on from what others wrote. */
  takeTheirs(): void {
    const entry = this.theirs.value?.entry;
    if (entry === undefined) return;
    this.#base = entry;
    const value = readValue(entry.value);
    this.form.value = value.form;
    this.text.value = editableText(value, value.form);
    this.meta.value = entry.meta === undefined ? '' : JSON.stringify(entry.meta, null, 2);
    this.expiresAt.value = entry.expiresAt;
    this.theirs.value = undefined;
    this.problem.value = undefined;
    this.#began = this.#content();
  }

  async #refused(): Promise<void> {
    const entry = await this.#home.entry(this.key.value);
    this.theirs.value = { ...(entry && { entry }), refused: true };
  }

  #write(): { value: Uint8Array; options: SetOptions } | undefined {
    this.problem.value = undefined;
    const value = parseEdited(this.text.value, this.form.value);
    if (!(value instanceof Uint8Array)) {
      this.problem.value = `The value is no ${this.form.value === 'json' ? 'JSON' : this.form.value}: ${value.reason}`;
      return undefined;
    }
    const meta = parseMeta(this.meta.value);
    if (typeof meta === 'string') {
      this.problem.value = meta;
      return undefined;
    }
    const expiresAt = this.expiresAt.value;
    if (expiresAt !== undefined && expiresAt <= Date.now()) {
      this.problem.value = 'It would expire at once: that moment is past';
      return undefined;
    }
    const options: SetOptions = {
      if: this.#base === undefined ? 'absent' : { version: this.#base.version },
      ...(meta !== undefined && { meta }),
      ...(expiresAt !== undefined && { expiresAt }),
    };
    return { value, options };
  }

  #content(): string {
    return [this.key.value, this.text.value, this.meta.value, this.expiresAt.value].join('\u0000');
  }
}

/** Metadata, `undefined` for none, or what is wrong with it. */
function parseMeta(text: string): Meta | undefined | string {
  if (text.trim() === '') return undefined;
  let meta: unknown;
  try {
    meta = JSON.parse(text);
  } catch (error) {
    return `The metadata is no JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta))
    return 'The metadata is no JSON object';
  return meta as Meta;
}
