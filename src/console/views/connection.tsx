import { useComputed, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { bytes } from '../format/figures.ts';
import { now } from '../model/now.ts';
import type { Session } from '../model/session.ts';
import { tokenIn } from '../model/token.ts';
import { Mark } from '../parts/icons.tsx';

/** How the page stands to the server: always in sight. */
export function Connection({ session }: { readonly session: Session }): JSX.Element {
  const state = session.link.state.value;
  const said = useComputed(() => WORDS[session.link.state.value.name]);
  const received = session.link.status.value?.receivedBytes ?? 0;
  return (
    <div class={`connection ${state.name}`}>
      <span class="lamp" aria-hidden="true" />
      <span class="unseen" role="status">
        {said}
      </span>
      <span aria-hidden="true">
        {state.name === 'waiting' ? <Countdown untilMs={state.untilMs} /> : said}
        {state.name === 'syncing' && received > 100_000 ? ` ${bytes(received)}` : ''}
      </span>
      {state.name === 'waiting' || state.name === 'failed' ? (
        <button type="button" class="button small" onClick={() => session.retry()}>
          Try now
        </button>
      ) : null}
    </div>
  );
}

const WORDS = {
  connecting: 'Connecting',
  syncing: 'Copying',
  live: 'Connected',
  waiting: 'Reconnecting',
  denied: 'Denied',
  failed: 'Failed',
} as const;

function Countdown({ untilMs }: { readonly untilMs: number }): JSX.Element {
  // Ticks with the page's clock, counts by the one that never jumps.
  now.value;
  const seconds = Math.max(0, Math.ceil((untilMs - performance.now()) / 1_000));
  return <>{seconds === 0 ? 'Reconnecting…' : `Reconnecting in ${seconds} s`}</>;
}

/** Instead of everything else while the server lets nobody in. */
export function TokenForm({ session }: { readonly session: Session }): JSX.Element {
  const pasted = useSignal('');
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => field.current?.focus(), []);
  const wasRefused = session.token.value !== '';
  return (
    <section class="gate" aria-labelledby="gate-title">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          const token = tokenIn(pasted.value);
          if (token !== '') session.useToken(token);
        }}
      >
        <Mark />
        <h1 id="gate-title">{wasRefused ? 'This token is not accepted' : 'A token is needed'}</h1>
        <p class="dim">
          {wasRefused
            ? 'The server may have been started again with another one. '
            : 'The address in this tab carries none. '}
          Paste the address that <code>stratakv serve</code> printed, or the token in it.
        </p>
        <label class="field">
          <span>Address or token</span>
          <input
            ref={field}
            type="password"
            autocomplete="off"
            spellcheck={false}
            value={pasted.value}
            onInput={(event) => {
              pasted.value = event.currentTarget.value;
            }}
          />
        </label>
        <button type="submit" class="button primary" disabled={pasted.value.trim() === ''}>
          Connect
        </button>
      </form>
    </section>
  );
}
