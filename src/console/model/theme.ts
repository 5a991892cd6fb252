import { effect, type Signal, signal } from '@preact/signals';

export const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const KEPT_AS = 'stratakv.theme';

export const theme: Signal<Theme> = signal('auto');
/** Whether the page is dark now, whoever decided. */
export const dark: Signal<boolean> = signal(false);

/** Takes the theme that was chosen before, and follows the choice and the system's. */
export function followTheme(): void {
  const kept = localStorage.getItem(KEPT_AS);
  theme.value = THEMES.find((known) => known === kept) ?? 'auto';
  const system = matchMedia('(prefers-color-scheme: dark)');
  const apply = (): void => {
    const chosen = theme.value;
    document.documentElement.dataset.theme = chosen;
    dark.value = chosen === 'auto' ? system.matches : chosen === 'dark';
  };
  system.addEventListener('change', apply);
  effect(() => {
    localStorage.setItem(KEPT_AS, theme.value);
    apply();
  });
}

export function nextTheme(): void {
  const at = THEMES.indexOf(theme.value);
  theme.value = THEMES[(at + 1) % THEMES.length] ?? 'auto';
}
