/**
 * Works on several items of a source at once and gives the results in the order of the source. It
 * is ended only when all that was begun has ended, so that nothing goes on behind its caller.
 */
export async function* inOrder<A, B>(
  source: Iterable<A> | AsyncIterable<A>,
  concurrency: number,
  work: (item: A) => Promise<B>,
): AsyncGenerator<B> {
  const begun: Promise<B>[] = [];
  try {
    for await (const item of source) {
      const result = work(item);
      // Its failure is met in its turn.
      result.catch(() => {});
      begun.push(result);
      if (begun.length >= concurrency) yield await (begun.shift() as Promise<B>);
    }
    for (let next = begun.shift(); next !== undefined; next = begun.shift()) yield await next;
  } finally {
    await Promise.allSettled(begun);
  }
}
