import type { JSX } from 'preact';

/** Paths on a field of 16 by 16. */
const PATHS = {
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.400L14 14',
  plus: 'M8 3v10M3 8h10',
  pencil: 'm10.500 3 2.500 2.500L6 12.500 3 13l.5-3z',
  trash: 'M3 4.500h10M6.500 4.500v-2h3v2M4.500 4.500l.5 9h6l.5-9M7 7v4M9 7v4',
  close: 'm4 4 8 8M12 4l-8 8',
  back: 'M9.500 3 4.500 8l5 5',
  copy: 'M5.500 5.500h8v8h-8zM3.500 10.500h-1v-8h8v1',
  pause: 'M5.500 3v10M10.500 3v10',
  play: 'M5 3v10l8-5z',
  sun: 'M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1',
  moon: 'M13.500 9.500A6 6 0 0 1 6.500 2.500a6 6 0 1 0 7 7Z',
  auto: 'M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12',
  keyboard: 'M1.500 4h13v8h-13zM4 6.500h.5M6.500 6.500H7M9 6.500h.5M11.500 6.500h.5M5 9.500h6',
  check: 'm3 8.500 3 3 7-7',
} as const;

export type IconName = keyof typeof PATHS;

/** A line drawing that says nothing by itself: its button has the words. */
export function Icon({ name }: { readonly name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark of the product: layers. */
export function Mark(): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
      <path d="M12 3 21 7.500 12 12 3 7.500Z" />
      <path d="m3 12 9 4.500 9-4.500" />
      <path d="m3 16.500 9 4.500 9-4.500" />
    </svg>
  );
}
