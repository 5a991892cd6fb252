import { type Signal, signal } from '@preact/signals';

/** The time, for what is shown relative to it; moved every second. */
export const now: Signal<number> = signal(Date.now());

setInterval(() => {
  now.value = Date.now();
}, 1_000);
