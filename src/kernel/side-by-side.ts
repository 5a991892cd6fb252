/** So many requests of one call are under way at a time, unless said otherwise. */
const AT_ONCE = 16;

/** Does something with each item, a few at a time; every one is over when it settles. Fails as the first that failed. */
export async function sideBySide<A, B>(
  items: readonly A[],
  work: (item: A) => Promise<B>,
  atOnce: number = AT_ONCE,
): Promise<B[]> {
  const results = new Array<B>(items.length);
  let next = 0;
  let failed: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (failed === undefined && next < items.length) {
      const at = next++;
      try {
        results[at] = await work(items[at] as A);
      } catch (error) {
        failed ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  if (failed !== undefined) throw failed.error;
  return results;
}
