import { type Signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { isStrataError } from '../../store/errors.ts';
import { bytes, moment, relative } from '../format/figures.ts';
import { readValue, type ValueForm } from '../format/value.ts';
import { Draft } from '../model/draft.ts';
import { now } from '../model/now.ts';
import type { Session } from '../model/session.ts';
import { useShortcuts } from '../model/shortcuts.ts';
import type { SourceEntry } from '../model/source-entry.ts';
import { useEntry } from '../model/use-entry.ts';
import { Dialog } from '../parts/dialog.tsx';
import { Icon } from '../parts/icons.tsx';
import { Editor } from './editor.tsx';
import { JsonTree } from './json-tree.tsx';
import { canShow, FormChoice, ValueView } from './value-view.tsx';

export interface DetailProps {
  readonly session: Session;
  readonly name: string;
  onLeave(): void;
}

/** One entry: value, what is known of it, and what can be done with it. */
export function Detail({ session, name, onLeave }: DetailProps): JSX.Element {
  const found = useEntry(session, name);
  const draft = useSignal<Draft | undefined>(undefined);
  const deleting = useSignal(false);
  const chosen = useSignal<ValueForm | undefined>(undefined);
  const looked = found.value;
  const entry = looked?.entry;
  const mayDelete = session.mayWrite.value && entry !== undefined;
  const mayEdit = mayDelete && entry.immutable !== true;
  const edit = (): void => {
    if (mayEdit) draft.value = new Draft(session, entry, chosen.value);
  };
  const remove = (): void => {
    deleting.value = mayDelete;
  };
  useShortcuts(draft.value === undefined ? { e: edit, d: remove, Escape: onLeave } : {});
  useEffect(() => {
    if (looked !== undefined) draft.value?.seen(looked.entry);
  }, [looked, draft.value]);
  if (draft.value !== undefined)
    return (
      <Editor
        draft={draft.value}
        onDone={() => {
          draft.value = undefined;
          requestAnimationFrame(() => document.getElementById('detail')?.focus());
        }}
      />
    );
  return (
    <article id="detail" class="detail" tabIndex={-1} aria-label={`Entry ${name}`}>
      <Head
        name={name}
        onLeave={onLeave}
        {...(mayEdit && { onEdit: edit })}
        {...(mayDelete && { onDelete: remove })}
      />
      {entry === undefined ? (
        <Missing known={looked !== undefined} problem={looked?.problem} />
      ) : (
        <Body entry={entry} chosen={chosen} />
      )}
      {deleting.value && entry !== undefined ? (
        <DeleteDialog
          session={session}
          entry={entry}
          onClose={() => {
            deleting.value = false;
          }}
          // While the dialog is there, nothing else can have the focus.
          onDeleted={() => requestAnimationFrame(onLeave)}
        />
      ) : null}
    </article>
  );
}

interface HeadProps {
  readonly name: string;
  onLeave(): void;
  onEdit?(): void;
  onDelete?(): void;
}

function Head({ name, onLeave, onEdit, onDelete }: HeadProps): JSX.Element {
  return (
    <header class="detail-head">
      <button type="button" class="button quiet back" onClick={onLeave}>
        <Icon name="back" />
        Keys
      </button>
      <h2 class="detail-key">{name}</h2>
      <div class="actions">
        {onEdit === undefined ? null : (
          <button type="button" class="button" onClick={onEdit}>
            <Icon name="pencil" />
            Edit
          </button>
        )}
        {onDelete === undefined ? null : (
          <button type="button" class="button danger" onClick={onDelete}>
            <Icon name="trash" />
            Delete
          </button>
        )}
      </div>
    </header>
  );
}

interface BodyProps {
  readonly entry: SourceEntry;
  /** The form asked for, where the value has it. */
  readonly chosen: Signal<ValueForm | undefined>;
}

function Body({ entry, chosen }: BodyProps): JSX.Element {
  const value = useMemo(() => readValue(entry.value), [entry]);
  const asked = chosen.value;
  const form = asked !== undefined && canShow(value, asked) ? asked : value.form;
  return (
    <>
      <Facts entry={entry} />
      <div class="value-bar">
        <FormChoice
          chosen={form}
          can={(one) => canShow(value, one)}
          onChoose={(one) => {
            chosen.value = one;
          }}
        />
        <CopyButton text={value.text} />
      </div>
      <div class="value" key={form}>
        <ValueView value={value} form={form} />
      </div>
    </>
  );
}

function Missing({
  known,
  problem,
}: {
  readonly known: boolean;
  readonly problem: string | undefined;
}): JSX.Element {
  if (!known) return <div class="empty" />;
  return (
    <div class="empty large" role="status">
      {problem === undefined ? (
        <>
          <p>This key is not there (any more).</p>
          <p class="dim">
            It was deleted or has expired, or never was. If it comes back, it appears here.
          </p>
        </>
      ) : (
        <p>{problem}</p>
      )}
    </div>
  );
}

function Facts({ entry }: { readonly entry: SourceEntry }): JSX.Element {
  const { value, version, rev, modifiedAt, expiresAt, immutable, meta } = entry;
  const facts: [string, string, string?][] = [
    ['Size', bytes(value.length), `${value.length} bytes`],
    ['Modified', relative(modifiedAt, now.value), moment(modifiedAt)],
    ['Revision', rev === undefined ? 'none' : String(rev)],
    ['Version', version],
  ];
  if (expiresAt !== undefined)
    facts.push(['Expires', relative(expiresAt, now.value), moment(expiresAt)]);
  if (immutable === true) facts.push(['Immutable', 'never changes']);
  return (
    <>
      <dl class="facts">
        {facts.map(([label, text, whole]) => (
          <div key={label} title={whole ?? text}>
            <dt>{label}</dt>
            <dd class={label === 'Version' ? 'mono' : undefined}>{text}</dd>
          </div>
        ))}
      </dl>
      {meta === undefined ? null : (
        <details class="meta">
          <summary>
            Metadata <code>{JSON.stringify(meta)}</code>
          </summary>
          <JsonTree value={meta} />
        </details>
      )}
    </>
  );
}

function CopyButton({ text }: { readonly text: string | undefined }): JSX.Element | null {
  const done = useSignal(false);
  if (text === undefined || !('clipboard' in navigator)) return null;
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    done.value = true;
    setTimeout(() => {
      done.value = false;
    }, 1_500);
  };
  return (
    <button type="button" class="button quiet" onClick={() => void copy()}>
      <Icon name={done.value ? 'check' : 'copy'} />
      {done.value ? 'Copied' : 'Copy'}
    </button>
  );
}

interface DeleteDialogProps {
  readonly session: Session;
  readonly entry: SourceEntry;
  onClose(): void;
  onDeleted(): void;
}

/** Deletes only the version that is shown. */
function DeleteDialog({ session, entry, onClose, onDeleted }: DeleteDialogProps): JSX.Element {
  const problem = useSignal<string | undefined>(undefined);
  // What the question was asked about, whatever comes in meanwhile.
  const asked = useMemo(() => entry, []);
  const remove = async (): Promise<void> => {
    try {
      await session.remote.delete(asked.key, { if: { version: asked.version } });
      onClose();
      onDeleted();
    } catch (error) {
      if (!isStrataError(error)) throw error;
      problem.value =
        error.code === 'conflict'
          ? 'It was changed meanwhile, and is not deleted. Close this and look at the new value first.'
          : error.message;
    }
  };
  return (
    <Dialog title="Delete this key?" onClose={onClose}>
      <p>
        <code class="wrap">{asked.key}</code>
      </p>
      <p class="dim">It disappears everywhere this store is replicated to.</p>
      {problem.value === undefined ? null : (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <div class="actions end">
        <button type="button" class="button" onClick={onClose}>
          Keep it
        </button>
        <button type="button" class="button danger solid" onClick={() => void remove()}>
          Delete
        </button>
      </div>
    </Dialog>
  );
}
