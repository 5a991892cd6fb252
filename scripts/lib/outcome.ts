/** How a check ended: one that passed has a note or nothing, one that failed says why. */
export type Outcome =
  | { readonly ok: true; readonly note?: string }
  | { readonly ok: false; readonly reason: string };
