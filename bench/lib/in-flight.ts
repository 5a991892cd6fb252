/** Keeps so many calls under way at once, until `total` have been made and answered. */
export async function inFlight(
  most: number,
  total: number,
  call: (i: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < total) await call(next++);
  };
  await Promise.all(Array.from({ length: most }, caller));
}
