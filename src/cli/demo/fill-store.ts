import { Call } from '../../store/call.ts';
import { isStrataError } from '../../store/errors.ts';
import { primitivesOf } from '../../store/internals.ts';
import type { Store } from '../../store/store.ts';
import type { Context } from '../context.ts';
import { EntryWriter } from '../ndjson/entry-writer.ts';
import { type InstalledPackage, installedPackages, packageDocuments } from './package-documents.ts';

/** Says that a store has been filled to the end: what its users delete later must not come back. */
const FILLED_KEY = '\u0000demo/filled';

/**
 * Writes the documents of all installed packages into a store, once: not again where an earlier
 * run came to its end. Says how many entries it wrote; 0 when there was nothing to do.
 */
export async function fillStore(
  context: Context,
  store: Store<Uint8Array>,
  nodeModules: string,
): Promise<number> {
  const primitives = primitivesOf(store);
  const call = new Call(primitives.env, 'import', undefined, context.bounds, primitives.timeoutMs);
  if ((await primitives.readOne(FILLED_KEY, call)) !== undefined) return 0;
  const packages = await installedPackages(nodeModules);
  if (packages.length === 0) {
    context.note(`there are no packages in ${nodeModules}; the store stays as it is`);
    return 0;
  }
  const writer = new EntryWriter(store, { operation: 'import', bounds: context.bounds });
  const progress = context.progress('importing', 'documents');
  progress.total = packages.length;
  try {
    for (const [index, one] of packages.entries()) {
      context.throwIfStopped('import');
      await writeDocuments(one, writer, (bytes) => progress.advance(1, bytes, index + 1));
    }
    await writer.finish();
  } finally {
    progress.end();
  }
  const value = new TextEncoder().encode(JSON.stringify({ documents: writer.written }));
  await primitives.commit([{ type: 'set', key: FILLED_KEY, value }], call);
  context.note(`imported ${progress.summary()} of ${packages.length} installed packages`);
  return writer.written;
}

async function writeDocuments(
  one: InstalledPackage,
  writer: EntryWriter,
  wrote: (bytes: number) => void,
): Promise<void> {
  for (const document of await packageDocuments(one)) {
    let write: ReturnType<EntryWriter['check']>;
    try {
      write = writer.check(document);
    } catch (error) {
      // A package nested so deep that its name is no key.
      if (isStrataError(error, 'invalid-argument')) continue;
      throw error;
    }
    await writer.add(write);
    wrote(document.value.length);
  }
}
