import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { editableText, layOut, readValue } from '../format/value.ts';
import type { Draft, Theirs } from '../model/draft.ts';
import { go, guardRoute, type Route } from '../model/route.ts';
import { useShortcuts } from '../model/shortcuts.ts';
import { Dialog } from '../parts/dialog.tsx';
import { FormChoice } from './value-view.tsx';

export interface EditorProps {
  readonly draft: Draft;
  onDone(saved: boolean): void;
}

/** Edits an entry, or makes one. Ctrl+Enter saves, Escape leaves. */
export function Editor({ draft, onDone }: EditorProps): JSX.Element {
  const first = useRef<HTMLInputElement & HTMLTextAreaElement>(null);
  /** Where to go when the user agrees to lose what was changed; `true`: just out of here. */
  const leaving = useSignal<Route | true | undefined>(undefined);
  useLayoutEffect(() => {
    first.current?.focus();
    if (!draft.isNew) first.current?.setSelectionRange(0, 0);
    first.current?.scrollTo(0, 0);
  }, []);
  const save = async (how: 'save' | 'overwrite' = 'save'): Promise<void> => {
    if (!draft.busy.value && (await draft[how]())) onDone(true);
  };
  const leave = (): void => {
    if (draft.isChanged) leaving.value = true;
    else onDone(false);
  };
  useShortcuts({ Escape: leave });
  useLayoutEffect(() => keepDraft(draft, (to) => (leaving.value = to)), [draft]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (document.querySelector('dialog[open]') !== null) return;
    if (event.key === 'Escape') leave();
    else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void save();
    else return;
    event.preventDefault();
  };
  return (
    <form
      class="editor"
      aria-label={draft.isNew ? 'New key' : `Edit ${draft.key.value}`}
      onKeyDown={onKeyDown}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <EditorHead draft={draft} onLeave={leave} />
      {draft.isNew ? <KeyField draft={draft} field={first} /> : null}
      {draft.theirs.value === undefined ? null : (
        <Conflict
          draft={draft}
          theirs={draft.theirs.value}
          onOverwrite={() => void save('overwrite')}
        />
      )}
      {draft.problem.value === undefined ? null : (
        <p class="problem" role="alert">
          {draft.problem.value}
        </p>
      )}
      <ValueField draft={draft} field={draft.isNew ? undefined : first} />
      <MoreFields draft={draft} />
      {leaving.value === undefined ? null : (
        <LeaveDialog
          onStay={() => {
            leaving.value = undefined;
          }}
          onLeave={() => {
            const to = leaving.value;
            draft.abandon();
            onDone(false);
            if (typeof to === 'object') go(to);
          }}
        />
      )}
    </form>
  );
}

/** Asks before what was changed is lost, by a step elsewhere or by the end of the page. */
function keepDraft(draft: Draft, ask: (to: Route) => void): () => void {
  const leave = guardRoute((to) => {
    if (draft.isChanged) ask(to);
    return !draft.isChanged;
  });
  const unload = (event: BeforeUnloadEvent): void => {
    if (draft.isChanged) event.preventDefault();
  };
  addEventListener('beforeunload', unload);
  return () => {
    leave();
    removeEventListener('beforeunload', unload);
  };
}

function EditorHead({ draft, onLeave }: { readonly draft: Draft; onLeave(): void }): JSX.Element {
  return (
    <header class="detail-head">
      <h2 class="detail-key">{draft.isNew ? 'New key' : draft.key.value}</h2>
      <div class="actions">
        <button type="button" class="button" onClick={onLeave}>
          Cancel
        </button>
        <button type="submit" class="button primary" disabled={draft.busy.value}>
          {draft.busy.value ? 'Saving…' : 'Save'}
        </button>
      </div>
    </header>
  );
}

type Field = { current: (HTMLInputElement & HTMLTextAreaElement) | null };

function KeyField({ draft, field }: { readonly draft: Draft; readonly field: Field }): JSX.Element {
  return (
    <label class="field">
      <span>Key</span>
      <input
        ref={field}
        type="text"
        class="mono"
        spellcheck={false}
        autocomplete="off"
        value={draft.key.value}
        onInput={(event) => {
          draft.key.value = event.currentTarget.value;
        }}
      />
    </label>
  );
}

interface ValueFieldProps {
  readonly draft: Draft;
  readonly field: Field | undefined;
}

function ValueField({ draft, field }: ValueFieldProps): JSX.Element {
  const form = draft.form.value;
  return (
    <div class="field grow">
      <div class="value-bar">
        <label for="value">Value</label>
        {form === 'json' ? (
          <button
            type="button"
            class="button quiet"
            onClick={() => {
              draft.text.value = layOut(draft.text.value);
            }}
          >
            Format
          </button>
        ) : null}
        <FormChoice chosen={form} can={() => true} onChoose={(one) => draft.changeForm(one)} />
      </div>
      <textarea
        id="value"
        {...(field === undefined ? {} : { ref: field })}
        class="mono"
        spellcheck={false}
        autocomplete="off"
        value={draft.text.value}
        onInput={(event) => {
          draft.text.value = event.currentTarget.value;
        }}
      />
    </div>
  );
}

/** What few entries have. */
function MoreFields({ draft }: { readonly draft: Draft }): JSX.Element {
  const given = draft.meta.value !== '' || draft.expiresAt.value !== undefined;
  const open = useSignal(given);
  return (
    <details
      class="more-fields"
      open={open.value}
      onToggle={(event) => {
        open.value = event.currentTarget.open;
      }}
    >
      <summary>Metadata and expiry</summary>
      <div class="field-row">
        <label class="field">
          <span>Metadata, a JSON object</span>
          <textarea
            class="mono"
            rows={3}
            spellcheck={false}
            placeholder="none"
            value={draft.meta.value}
            onInput={(event) => {
              draft.meta.value = event.currentTarget.value;
            }}
          />
        </label>
        <label class="field">
          <span>Expires, in your time zone</span>
          <input
            type="datetime-local"
            step={1}
            value={toLocal(draft.expiresAt.value)}
            onChange={(event) => {
              draft.expiresAt.value = fromLocal(event.currentTarget.value);
            }}
          />
        </label>
      </div>
    </details>
  );
}

/** A moment as the date field has it: without a zone. */
function toLocal(atMs: number | undefined): string {
  if (atMs === undefined || Math.abs(atMs) > 8.64e15) return '';
  const zoneMs = new Date(atMs).getTimezoneOffset() * 60_000;
  return new Date(atMs - zoneMs).toISOString().slice(0, 19);
}

function fromLocal(text: string): number | undefined {
  return text === '' ? undefined : new Date(text).getTime();
}

interface ConflictProps {
  readonly draft: Draft;
  readonly theirs: Theirs;
  onOverwrite(): void;
}

/** Both values, and the choice between them. */
function Conflict({ draft, theirs, onOverwrite }: ConflictProps): JSX.Element {
  const { entry, refused } = theirs;
  const value = entry && readValue(entry.value);
  return (
    <div class="conflict" role="alert">
      <p>
        <strong>{refused ? 'Not saved.' : 'Changed while you edit.'}</strong>{' '}
        {entry === undefined
          ? 'Somebody has deleted this key.'
          : `Somebody else has written this key${entry.rev === undefined ? '' : ` (revision ${entry.rev})`}.`}
      </p>
      {value === undefined ? null : (
        <figure>
          <figcaption>Their value</figcaption>
          <pre class="text">{editableText(value, value.form).slice(0, 4_000)}</pre>
        </figure>
      )}
      <p class="dim">Yours is below, as you left it.</p>
      <div class="actions">
        {entry === undefined ? null : (
          <button type="button" class="button" onClick={() => draft.takeTheirs()}>
            Take theirs
          </button>
        )}
        <button type="button" class="button danger" onClick={onOverwrite}>
          {entry === undefined ? 'Write it again' : 'Overwrite with mine'}
        </button>
      </div>
    </div>
  );
}

function LeaveDialog({ onStay, onLeave }: { onStay(): void; onLeave(): void }): JSX.Element {
  return (
    <Dialog title="Leave without saving?" onClose={onStay}>
      <p class="dim">What you have changed here is lost.</p>
      <div class="actions end">
        <button type="button" class="button" onClick={onStay}>
          Go on editing
        </button>
        <button type="button" class="button danger solid" onClick={onLeave}>
          Leave
        </button>
      </div>
    </Dialog>
  );
}
