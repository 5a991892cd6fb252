/** One of several ordered sources: what is at hand of it, and where it stands in that. */
interface Source<T> {
  readonly pages: AsyncIterator<readonly T[]>;
  page: readonly T[];
  at: number;
}

const PAGE_ITEMS = 256;

/** Goes through ordered sources as through one; what is first of all comes first. */
export async function* merge<T>(
  sources: readonly AsyncIterable<readonly T[]>[],
  isBefore: (a: T, b: T) => boolean,
): AsyncGenerator<readonly T[]> {
  const [only] = sources;
  if (sources.length === 1 && only !== undefined) {
    yield* only;
    return;
  }
  let open = await Promise.all(sources.map((source) => begin(source)));
  open = open.filter((source) => source.page.length > 0);
  let page: T[] = [];
  while (open.length > 0) {
    const first = open.reduce((a, b) => (isBefore(head(b), head(a)) ? b : a));
    page.push(head(first));
    first.at++;
    const isSpent = first.at >= first.page.length;
    if (isSpent || page.length >= PAGE_ITEMS) {
      yield page;
      page = [];
    }
    if (isSpent && !(await refill(first))) open = open.filter((source) => source !== first);
  }
}

function head<T>({ page, at }: Source<T>): T {
  return page[at] as T;
}

async function begin<T>(pages: AsyncIterable<readonly T[]>): Promise<Source<T>> {
  const source: Source<T> = { pages: pages[Symbol.asyncIterator](), page: [], at: 0 };
  await refill(source);
  return source;
}

/** Gets the next page that has something in it; false at the end. */
async function refill<T>(source: Source<T>): Promise<boolean> {
  source.at = 0;
  source.page = [];
  while (source.page.length === 0) {
    const next = await source.pages.next();
    if (next.done) return false;
    source.page = next.value;
  }
  return true;
}
